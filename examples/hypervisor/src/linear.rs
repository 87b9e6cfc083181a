//! The guest's linear address space, for what the hypervisor does in the guest's place.

use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::layout::{PAGE_SIZE, VIRTUAL_TOP};
use crate::paging::{self, Access, Intent, Privilege, Registers, Translation, code};
use crate::physical::{self, Area};

/// The longest instruction.
pub const INSTRUCTION_SIZE: usize = 15;

/// The parts of `length` bytes at `linear` that lie in one page each: address, and range of the bytes.
///
/// # Errors
///
/// #GP(0) if part of them lies at or above [`VIRTUAL_TOP`], where no segment of the guest reaches.
fn pages(linear: u32, length: usize) -> Result<impl Iterator<Item = (u32, core::ops::Range<usize>)>, Fault> {
    let end = u64::from(linear) + length as u64;
    if end > VIRTUAL_TOP.into() {
        return Err(Fault::general_protection(0));
    }
    let mut done = 0;
    Ok(core::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let address = linear + done as u32;
        let left = (PAGE_SIZE - address % PAGE_SIZE) as usize;
        let range = done..length.min(done + left);
        done = range.end;
        Some((address, range))
    }))
}

impl<H: Host> Guest<H> {
    /// The registers by which the guest's linear addresses are translated.
    fn paging_registers(&self) -> Registers {
        let vcpu = &self.vcpu;
        Registers { cr0: vcpu.cr0, cr3: vcpu.cr3, cr4: vcpu.cr4, efer: vcpu.msr.efer }
    }

    /// What `linear` leads to, without a trace in the guest's tables.
    fn look_up(&self, linear: u32, access: Access) -> Result<(Translation, paging::Notes), Fault> {
        let registers = self.paging_registers();
        let read = |address, bytes: &mut [u8]| self.host.read(address, bytes);
        let (translation, notes) = paging::translate(registers, linear, access, read)?;
        if physical::area(translation.physical).is_none() {
            let why = code::PRESENT | code::RESERVED;
            return Err(paging::fault(registers, linear, access, why));
        }
        Ok((translation, notes))
    }

    /// What `linear`, below [`VIRTUAL_TOP`], leads to; marks the guest's entries as used, as its processor
    /// would.
    ///
    /// # Errors
    ///
    /// The page fault that the access raises. To the guest, a frame that it does not have is an entry with a
    /// reserved bit set.
    pub fn translate(&mut self, linear: u32, access: Access) -> Result<Translation, Fault> {
        let (translation, notes) = self.look_up(linear, access).inspect_err(|fault| {
            if fault.error_code.is_some_and(|error| error & code::RESERVED != 0) {
                self.refusals.log(&mut self.host, linear);
            }
        })?;
        for note in notes.into_iter().flatten() {
            // A table outside the guest's RAM keeps no marks.
            let _ = self.host.write(note.address, &note.value.to_le_bytes());
        }
        Ok(translation)
    }

    /// Reads bytes at a linear address.
    ///
    /// # Errors
    ///
    /// The fault that the access raises; #GP(0) at or above [`VIRTUAL_TOP`].
    pub fn read_linear(&self, linear: u32, bytes: &mut [u8], privilege: Privilege) -> Result<(), Fault> {
        for (address, range) in pages(linear, bytes.len())? {
            let (translation, _) = self.look_up(address, Access { intent: Intent::Read, privilege })?;
            let read = self.host.read(translation.physical, &mut bytes[range]);
            read.map_err(|_| Fault::general_protection(0))?;
        }
        Ok(())
    }

    /// Writes bytes at a linear address: all of them, or none if one of the pages faults.
    ///
    /// # Errors
    ///
    /// The fault that the access raises; #GP(0) at or above [`VIRTUAL_TOP`], and in the local APIC.
    pub fn write_linear(&mut self, linear: u32, bytes: &[u8], privilege: Privilege) -> Result<(), Fault> {
        let access = Access { intent: Intent::Write, privilege };
        for (address, _) in pages(linear, bytes.len())? {
            let translation = self.translate(address, access)?;
            if physical::area(translation.physical) == Some(Area::LocalApic) {
                return Err(Fault::general_protection(0));
            }
        }
        for (address, range) in pages(linear, bytes.len())? {
            let translation = self.translate(address, access)?;
            let written = self.host.write(translation.physical, &bytes[range]);
            written.map_err(|_| Fault::general_protection(0))?;
            if self.is_descriptor_frame(translation.physical) {
                self.descriptors_changed();
            }
        }
        Ok(())
    }

    /// Reads two bytes; as [`Self::read_linear`].
    ///
    /// # Errors
    ///
    /// As [`Self::read_linear`].
    pub fn read_u16(&self, linear: u32, privilege: Privilege) -> Result<u16, Fault> {
        let mut bytes = [0; 2];
        self.read_linear(linear, &mut bytes, privilege)?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// Reads four bytes; as [`Self::read_linear`].
    ///
    /// # Errors
    ///
    /// As [`Self::read_linear`].
    pub fn read_u32(&self, linear: u32, privilege: Privilege) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.read_linear(linear, &mut bytes, privilege)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Reads eight bytes; as [`Self::read_linear`].
    ///
    /// # Errors
    ///
    /// As [`Self::read_linear`].
    pub fn read_u64(&self, linear: u32, privilege: Privilege) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.read_linear(linear, &mut bytes, privilege)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Writes two bytes; as [`Self::write_linear`].
    ///
    /// # Errors
    ///
    /// As [`Self::write_linear`].
    pub fn write_u16(&mut self, linear: u32, value: u16, privilege: Privilege) -> Result<(), Fault> {
        self.write_linear(linear, &value.to_le_bytes(), privilege)
    }

    /// Writes four bytes; as [`Self::write_linear`].
    ///
    /// # Errors
    ///
    /// As [`Self::write_linear`].
    pub fn write_u32(&mut self, linear: u32, value: u32, privilege: Privilege) -> Result<(), Fault> {
        self.write_linear(linear, &value.to_le_bytes(), privilege)
    }

    /// Fetches an instruction in the ring that the guest is in; returns how many bytes could be fetched.
    pub fn fetch(&self, linear: u32, bytes: &mut [u8; INSTRUCTION_SIZE]) -> usize {
        let privilege = if self.vcpu.frame.is_user() { Privilege::User } else { Privilege::Supervisor };
        let access = Access { intent: Intent::Execute, privilege };
        let room = VIRTUAL_TOP.saturating_sub(linear) as usize;
        let mut fetched = 0;
        let Ok(pages) = pages(linear, room.min(bytes.len())) else {
            return 0;
        };
        for (address, range) in pages {
            let Ok((translation, _)) = self.look_up(address, access) else {
                break;
            };
            let end = range.end;
            if self.host.read(translation.physical, &mut bytes[range]).is_err() {
                break;
            }
            fetched = end;
        }
        fetched
    }
}
