//! Shadow tables that follow the guest's.
//!
//! A kernel that takes itself to run in ring 0 has to notice that it returns to ring 3: there interrupts are
//! enabled, and the I/O privilege level of the frame counts. The processor does not ask, so the code segments
//! of ring 3 are not present in the shadow while such a kernel runs, and the return traps.

use crate::decode::Segment;
use crate::descriptor::{Descriptor, shadow};
use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::{Flush, Host, Mapping, Table};
use crate::layout::{DESCRIPTORS, PAGE_SIZE};
use crate::paging::{Access, Intent, Privilege};
use crate::vcpu::{Mode, TableRegister};

/// Entries that are read at once.
const BLOCK: usize = 16;

/// Bits in a word of a set.
const BITS: usize = u64::BITS as usize;

/// A set of entries of a table.
#[derive(Clone, Copy, Debug, Default)]
struct Set([u64; DESCRIPTORS as usize / BITS]);

impl Set {
    fn insert(&mut self, index: usize, is_member: bool) {
        let (word, bit) = (&mut self.0[index / BITS], 1 << (index % BITS));
        *word = if is_member { *word | bit } else { *word & !bit };
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        let members = |word: u64| (0..BITS).filter(move |bit| word & 1 << bit != 0);
        let words = self.0.into_iter().enumerate().filter(|(_, word)| *word != 0);
        words.flat_map(move |(index, word)| members(word).map(move |bit| BITS * index + bit))
    }
}

/// Whether ring 3 alone may run the code of a descriptor.
fn is_user_code(entry: u64) -> bool {
    let descriptor = Descriptor(entry);
    descriptor.is_code() && !descriptor.is_conforming() && descriptor.dpl() == 3
}

/// What is known of the guest's descriptor tables.
pub struct Segments {
    /// The guest's entries, as last read; 0 beyond the limit, and where they could not be read.
    pub(super) gdt: [u64; DESCRIPTORS as usize],
    pub(super) ldt: [u64; DESCRIPTORS as usize],
    /// The code segments of ring 3: of the GDT and of the LDT.
    user_code: [Set; 2],
    /// They are not present in the shadows.
    hides_user_code: bool,
    /// The numbers of the physical frames that the tables lie in.
    frames: [Option<u64>; 4],
    /// The tables have to be read again.
    stale: bool,
}

impl Segments {
    /// No tables.
    pub const fn new() -> Self {
        const NONE: [u64; DESCRIPTORS as usize] = [0; DESCRIPTORS as usize];
        const EMPTY: Set = Set([0; DESCRIPTORS as usize / BITS]);
        Self {
            gdt: NONE,
            ldt: NONE,
            user_code: [EMPTY; 2],
            hides_user_code: false,
            frames: [None; 4],
            stale: true,
        }
    }
}

impl Default for Segments {
    fn default() -> Self {
        Self::new()
    }
}

/// The entries that lie inside a limit and are shadowed.
fn entries(table: TableRegister) -> usize {
    let whole = (u64::from(table.limit) + 1) / 8;
    whole.min(DESCRIPTORS.into()) as usize
}

impl<H: Host> Guest<H> {
    /// Whether one of the guest's descriptor tables lies in the frame with this guest-physical address: it has
    /// to be mapped read-only.
    pub fn is_descriptor_frame(&self, physical: u64) -> bool {
        self.segments.frames.contains(&Some(physical / u64::from(PAGE_SIZE)))
    }

    /// The tables, or where they lie, may have changed: they are read again before the guest goes on.
    pub const fn descriptors_changed(&mut self) {
        self.segments.stale = true;
    }

    /// Lets the guest write to a page in which descriptors lie, for one instruction.
    ///
    /// # Errors
    ///
    /// The page fault that the write raises in the guest's own tables.
    pub fn open_descriptor_frame(&mut self, linear: u32) -> Result<(), Fault> {
        let mut access = Access::from_code(self.vcpu.frame.error_code);
        access.intent = Intent::Write;
        let translation = self.translate(linear, access)?;
        let mapping = Mapping {
            physical: translation.physical & !u64::from(PAGE_SIZE - 1),
            writable: true,
            user: translation.user,
            executable: translation.executable,
        };
        self.host.map(linear, mapping);
        self.stepping.open(linear);
        Ok(())
    }

    /// Reads the guest's tables, if they may have changed, and makes the shadows follow.
    pub(crate) fn sync_descriptors(&mut self) {
        // Reading marks page-table entries as used, and these may lie in a page with descriptors.
        for _ in 0..2 {
            if !core::mem::take(&mut self.segments.stale) {
                return;
            }
            self.find_frames();
            self.sync_table(Table::Gdt, self.vcpu.gdt);
            self.sync_table(Table::Ldt, self.vcpu.ldt.table);
        }
    }

    /// Notes the frames that the tables lie in. Where others were mapped writable that is forgotten.
    fn find_frames(&mut self) {
        let mut frames = [None; 4];
        for (half, table) in [self.vcpu.gdt, self.vcpu.ldt.table].into_iter().enumerate() {
            let Some(last) = (entries(table) as u32 * 8).checked_sub(1) else {
                continue;
            };
            for (index, linear) in [table.base, table.base.wrapping_add(last)].into_iter().enumerate() {
                let access = Access { intent: Intent::Read, privilege: Privilege::Supervisor };
                if let Ok(found) = self.translate(linear, access) {
                    frames[2 * half + index] = Some(found.physical / u64::from(PAGE_SIZE));
                }
            }
        }
        if frames.iter().flatten().any(|frame| !self.segments.frames.contains(&Some(*frame))) {
            self.host.flush(Flush::All);
        }
        self.segments.frames = frames;
    }

    fn sync_table(&mut self, table: Table, register: TableRegister) {
        let valid = entries(register);
        for first in (0..usize::from(DESCRIPTORS)).step_by(BLOCK) {
            let block = if first < valid {
                self.read_block(register.base.wrapping_add(first as u32 * 8), valid - first)
            } else {
                [0; BLOCK]
            };
            for (index, new) in (first..).zip(block) {
                let entries = match table {
                    Table::Gdt => &mut self.segments.gdt,
                    Table::Ldt => &mut self.segments.ldt,
                };
                if core::mem::replace(&mut entries[index], new) != new {
                    self.segments.user_code[table as usize].insert(index, is_user_code(new));
                    self.show(table, index, new);
                }
            }
        }
    }

    /// Puts an entry into the shadow.
    fn show(&mut self, table: Table, index: usize, entry: u64) {
        let mut descriptor = Descriptor(shadow(entry));
        if self.segments.hides_user_code && is_user_code(entry) {
            descriptor = descriptor.absent();
        }
        self.host.set_descriptor(table, index as u16, descriptor.0);
    }

    /// Hides the code of ring 3 from a kernel that takes itself to run in ring 0, and shows it to all others.
    pub(crate) fn choose_user_code(&mut self) {
        let vcpu = &self.vcpu;
        // What a register holds has to be there when the processor loads it again.
        let is_held = |segment| {
            self.guest_descriptor(vcpu.frame.segment(segment)).is_some_and(|held| is_user_code(held.0))
        };
        let hides =
            vcpu.mode == Mode::Hardware && !vcpu.frame.is_user() && !Segment::DATA.into_iter().any(is_held);
        if core::mem::replace(&mut self.segments.hides_user_code, hides) == hides {
            return;
        }
        let [global, local] = self.segments.user_code;
        for index in global.iter() {
            self.show(Table::Gdt, index, self.segments.gdt[index]);
        }
        for index in local.iter() {
            self.show(Table::Ldt, index, self.segments.ldt[index]);
        }
    }

    /// Reads up to `valid` entries; those that cannot be read are 0.
    fn read_block(&self, linear: u32, valid: usize) -> [u64; BLOCK] {
        let valid = valid.min(BLOCK);
        let mut bytes = [0; 8 * BLOCK];
        let whole = &mut bytes[..8 * valid];
        if self.read_linear(linear, whole, Privilege::Supervisor).is_err() {
            for (index, entry) in whole.chunks_exact_mut(8).enumerate() {
                let linear = linear.wrapping_add(8 * index as u32);
                if self.read_linear(linear, entry, Privilege::Supervisor).is_err() {
                    entry.fill(0);
                }
            }
        }
        let mut entries = [0; BLOCK];
        for (entry, bytes) in entries.iter_mut().zip(bytes.chunks_exact(8)) {
            // The chunks have eight bytes.
            *entry = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
        entries
    }
}
