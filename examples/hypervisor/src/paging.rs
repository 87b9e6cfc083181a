//! The guest's own page tables, read as its processor would read them.
//!
//! Source: Intel manual, volume 3, chapter 4, for the two formats that a 32-bit kernel has.

use crate::fault::Fault;
use crate::host::NotMemory;
use crate::layout::PAGE_SIZE;

/// Who accesses memory: rings 0 to 2 are the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Rings 0 to 2.
    Supervisor,
    /// Ring 3.
    User,
}

/// What is done to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Data is read.
    Read,
    /// Data is written.
    Write,
    /// An instruction is fetched.
    Execute,
}

/// An access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What is done.
    pub intent: Intent,
    /// Who does it.
    pub privilege: Privilege,
}

/// Bits of a page fault's error code.
pub mod code {
    /// There is a page.
    pub const PRESENT: u32 = 1 << 0;
    /// It was to be written.
    pub const WRITE: u32 = 1 << 1;
    /// By ring 3.
    pub const USER: u32 = 1 << 2;
    /// An entry has a reserved bit set.
    pub const RESERVED: u32 = 1 << 3;
    /// An instruction was to be fetched.
    pub const FETCH: u32 = 1 << 4;
}

impl Access {
    /// The access that a page fault with this error code is about.
    pub const fn from_code(code: u32) -> Self {
        let intent = if code & code::FETCH != 0 {
            Intent::Execute
        } else if code & code::WRITE != 0 {
            Intent::Write
        } else {
            Intent::Read
        };
        let privilege = if code & code::USER != 0 { Privilege::User } else { Privilege::Supervisor };
        Self { intent, privilege }
    }

    /// Whether memory is written.
    pub const fn is_write(self) -> bool {
        matches!(self.intent, Intent::Write)
    }
}

/// The registers that say how a linear address is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// PG and WP count.
    pub cr0: u32,
    /// Where the tables are.
    pub cr3: u32,
    /// PSE and PAE count.
    pub cr4: u32,
    /// NXE counts.
    pub efer: u64,
}

/// CR0.WP: the supervisor heeds read-only pages.
pub const CR0_WP: u32 = 1 << 16;
/// CR0.PG: paging is on.
pub const CR0_PG: u32 = 1 << 31;
/// CR4.PSE: entries of a short page directory may map large pages.
pub const CR4_PSE: u32 = 1 << 4;
/// CR4.PAE: entries have 8 bytes.
pub const CR4_PAE: u32 = 1 << 5;
/// EFER.NXE: bit 63 of a long entry forbids execution.
pub const EFER_NXE: u64 = 1 << 11;

/// Bits of an entry.
mod entry {
    pub const PRESENT: u64 = 1 << 0;
    pub const WRITABLE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    pub const ACCESSED: u64 = 1 << 5;
    pub const DIRTY: u64 = 1 << 6;
    pub const LARGE: u64 = 1 << 7;
    pub const NO_EXECUTE: u64 = 1 << 63;
    /// In a long entry: bits 12 to 35, the address. The guest's processor has 36 address lines.
    pub const ADDRESS: u64 = 0xF_FFFF_F000;
    /// In a long entry: bits 36 to 62 are reserved.
    pub const RESERVED: u64 = 0x7FFF_FFF0_0000_0000;
    /// In an entry of the page-directory-pointer table, moreover: bits 1, 2 and 5 to 8.
    pub const POINTER_RESERVED: u64 = RESERVED | NO_EXECUTE | 0x1E6;
    /// In a long entry for a large page, moreover: bits 13 to 20.
    pub const LARGE_RESERVED: u64 = 0x1F_E000;
    /// In a short entry for a large page: bit 21. Bits 13 to 20 are bits 32 to 39 of the address.
    pub const SHORT_LARGE_RESERVED: u64 = 1 << 21;
}

/// What a linear address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The guest-physical address, with the offset in the page.
    pub physical: u64,
    /// Whether the entries allow writing.
    pub writable: bool,
    /// Whether the entries allow ring 3 to use the page.
    pub user: bool,
    /// Whether instructions may be fetched from the page.
    pub executable: bool,
    /// Whether the page is marked as written already, or is by this access.
    pub dirty: bool,
}

/// An entry that a translation went through and that has to be changed: the processor notes that it used it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Guest-physical address of the entry.
    pub address: u64,
    /// The new value of its first four bytes.
    pub value: u32,
}

/// The entries that an access has to mark: at most one in the page directory and one in a page table.
pub type Notes = [Option<Note>; 2];

/// A walk through the tables, and what the entries passed so far allow.
struct Walk<R> {
    registers: Registers,
    linear: u32,
    access: Access,
    read: R,
    writable: bool,
    user: bool,
    executable: bool,
    notes: Notes,
}

/// Translates `linear` by the tables that `read` gives the bytes of.
///
/// # Errors
///
/// The page fault that the access raises. An entry that lies where the guest has no memory is taken to have
/// a reserved bit set.
pub fn translate(
    registers: Registers,
    linear: u32,
    access: Access,
    read: impl Fn(u64, &mut [u8]) -> Result<(), NotMemory>,
) -> Result<(Translation, Notes), Fault> {
    if registers.cr0 & CR0_PG == 0 {
        let translation = Translation {
            physical: linear.into(),
            writable: true,
            user: true,
            executable: true,
            dirty: true,
        };
        return Ok((translation, [None; 2]));
    }
    let walk = Walk {
        registers,
        linear,
        access,
        read,
        writable: true,
        user: true,
        executable: true,
        notes: [None; 2],
    };
    if registers.cr4 & CR4_PAE != 0 { walk.long() } else { walk.short() }
}

/// The page fault that an access raises; `why` is [`code::PRESENT`], [`code::RESERVED`], both or nothing.
pub fn fault(registers: Registers, linear: u32, access: Access, why: u32) -> Fault {
    let mut code = why;
    if access.is_write() {
        code |= code::WRITE;
    }
    if access.privilege == Privilege::User {
        code |= code::USER;
    }
    let forbids_execution = registers.cr4 & CR4_PAE != 0 && registers.efer & EFER_NXE != 0;
    if access.intent == Intent::Execute && forbids_execution {
        code |= code::FETCH;
    }
    Fault::page(code, linear)
}

impl<R: Fn(u64, &mut [u8]) -> Result<(), NotMemory>> Walk<R> {
    fn fault(&self, why: u32) -> Fault {
        fault(self.registers, self.linear, self.access, why)
    }

    fn reserved(&self) -> Fault {
        self.fault(code::PRESENT | code::RESERVED)
    }

    /// Reads an entry that has to be present.
    fn entry<const SIZE: usize>(&self, address: u64) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        (self.read)(address, &mut bytes[..SIZE]).map_err(|_| self.reserved())?;
        let entry = u64::from_le_bytes(bytes);
        if entry & entry::PRESENT == 0 { Err(self.fault(0)) } else { Ok(entry) }
    }

    /// Passes an entry: adds its restrictions, and marks it as used.
    fn pass(&mut self, level: usize, address: u64, entry: u64, marks: u64) {
        self.writable &= entry & entry::WRITABLE != 0;
        self.user &= entry & entry::USER != 0;
        self.executable &= entry & entry::NO_EXECUTE == 0;
        if entry & marks != marks {
            self.notes[level] = Some(Note { address, value: (entry | marks) as u32 });
        }
    }

    /// Entries of 4 bytes in two levels.
    fn short(mut self) -> Result<(Translation, Notes), Fault> {
        let table = u64::from(self.registers.cr3 & !(PAGE_SIZE - 1));
        let address = table + u64::from(self.linear >> 22) * 4;
        let entry = self.entry::<4>(address)?;
        if entry & entry::LARGE != 0 && self.registers.cr4 & CR4_PSE != 0 {
            if entry & entry::SHORT_LARGE_RESERVED != 0 {
                return Err(self.reserved());
            }
            let page = (entry & 0xFFC0_0000) | (entry >> 13 & 0xFF) << 32;
            return self.leaf(0, address, entry, page, 0x3F_FFFF);
        }
        self.pass(0, address, entry, entry::ACCESSED);
        let address = (entry & 0xFFFF_F000) + u64::from(self.linear >> 12 & 0x3FF) * 4;
        let entry = self.entry::<4>(address)?;
        self.leaf(1, address, entry, entry & 0xFFFF_F000, 0xFFF)
    }

    /// Entries of 8 bytes in three levels.
    fn long(mut self) -> Result<(Translation, Notes), Fault> {
        let table = u64::from(self.registers.cr3 & !31);
        let pointer = self.entry::<8>(table + u64::from(self.linear >> 30) * 8)?;
        if pointer & entry::POINTER_RESERVED != 0 {
            return Err(self.reserved());
        }
        let address = (pointer & entry::ADDRESS) + u64::from(self.linear >> 21 & 0x1FF) * 8;
        let entry = self.long_entry(address)?;
        if entry & entry::LARGE != 0 {
            if entry & entry::LARGE_RESERVED != 0 {
                return Err(self.reserved());
            }
            let page = entry & entry::ADDRESS & !0x1F_FFFF;
            return self.leaf(0, address, entry, page, 0x1F_FFFF);
        }
        self.pass(0, address, entry, entry::ACCESSED);
        let address = (entry & entry::ADDRESS) + u64::from(self.linear >> 12 & 0x1FF) * 8;
        let entry = self.long_entry(address)?;
        self.leaf(1, address, entry, entry & entry::ADDRESS, 0xFFF)
    }

    fn long_entry(&self, address: u64) -> Result<u64, Fault> {
        let entry = self.entry::<8>(address)?;
        let may_forbid_execution = self.registers.efer & EFER_NXE != 0;
        let reserved = entry::RESERVED | if may_forbid_execution { 0 } else { entry::NO_EXECUTE };
        if entry & reserved == 0 { Ok(entry) } else { Err(self.reserved()) }
    }

    /// Passes the entry that names the page, and judges the access. `offset` has the bits of the linear address
    /// that are the offset in the page.
    fn leaf(
        mut self,
        level: usize,
        address: u64,
        entry: u64,
        page: u64,
        offset: u32,
    ) -> Result<(Translation, Notes), Fault> {
        let is_write = self.access.is_write();
        let marks = if is_write { entry::ACCESSED | entry::DIRTY } else { entry::ACCESSED };
        self.pass(level, address, entry, marks);
        let heeds_read_only = self.access.privilege == Privilege::User || self.registers.cr0 & CR0_WP != 0;
        let allowed = match self.access.privilege {
            Privilege::User => self.user,
            Privilege::Supervisor => true,
        } && match self.access.intent {
            Intent::Read => true,
            Intent::Write => self.writable || !heeds_read_only,
            Intent::Execute => self.executable,
        };
        if !allowed {
            return Err(self.fault(code::PRESENT));
        }
        let Self { writable, user, executable, notes, .. } = self;
        let physical = page | u64::from(self.linear & offset);
        let dirty = is_write || entry & entry::DIRTY != 0;
        Ok((Translation { physical, writable, user, executable, dirty }, notes))
    }
}

#[cfg(test)]
mod tests;
