//! Control registers and debug registers.
//!
//! Source: Intel manual, volume 3, sections 2.5 and 17.2.

use crate::decode::{Memory, Operand};
use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::{Flush, Host};
use crate::stepping::debug_status;

/// Bits of CR0.
pub(crate) mod cr0 {
    pub const PROTECTED_MODE: u32 = 1 << 0;
    pub const MONITOR_COPROCESSOR: u32 = 1 << 1;
    pub const EMULATION: u32 = 1 << 2;
    pub const TASK_SWITCHED: u32 = 1 << 3;
    pub const EXTENSION_TYPE: u32 = 1 << 4;
    pub const NUMERIC_ERROR: u32 = 1 << 5;
    pub const WRITE_PROTECT: u32 = 1 << 16;
    pub const ALIGNMENT_MASK: u32 = 1 << 18;
    pub const NOT_WRITE_THROUGH: u32 = 1 << 29;
    pub const CACHE_DISABLE: u32 = 1 << 30;
    pub const PAGING: u32 = 1 << 31;
    /// The bits that can be set; a write of others is ignored.
    pub const ALL: u32 = PROTECTED_MODE
        | MONITOR_COPROCESSOR
        | EMULATION
        | TASK_SWITCHED
        | EXTENSION_TYPE
        | NUMERIC_ERROR
        | WRITE_PROTECT
        | ALIGNMENT_MASK
        | NOT_WRITE_THROUGH
        | CACHE_DISABLE
        | PAGING;
    /// The bits that say how linear addresses are translated.
    pub const TRANSLATION: u32 = PAGING | WRITE_PROTECT;
}

/// Bits of CR4.
pub(crate) mod cr4 {
    pub const TIME_STAMP_DISABLE: u32 = 1 << 2;
    pub const DEBUG_EXTENSIONS: u32 = 1 << 3;
    /// PSE, PAE, PGE: the bits that say how linear addresses are translated.
    pub const TRANSLATION: u32 = 1 << 4 | 1 << 5 | 1 << 7;
    /// Each bit with the feature bit of CPUID leaf 1, EDX, that it needs: VME, PVI, TSD, DE, PSE, PAE, MCE,
    /// PGE, OSFXSR, OSXMMEXCPT.
    pub const FEATURES: [(u32, u32); 10] =
        [(0, 1), (1, 1), (2, 4), (3, 2), (4, 3), (5, 6), (6, 7), (7, 13), (9, 24), (10, 25)];
    /// PCE. The guest has no performance counter to enable, and may say so.
    pub const PERFORMANCE_COUNTERS: u32 = 1 << 8;
}

/// DR7.GD: touching a debug register is #DB.
const GENERAL_DETECT: u32 = 1 << 13;

impl<H: Host> Guest<H> {
    /// The translations of all linear addresses may have changed.
    pub fn flush_all(&mut self) {
        self.host.flush(Flush::All);
        self.descriptors_changed();
    }

    /// The translation of a page may have changed.
    pub fn flush_page(&mut self, linear: u32) {
        self.host.flush(Flush::Page(linear));
        self.descriptors_changed();
    }

    /// Sets CR0.
    ///
    /// # Errors
    ///
    /// #GP(0): the bits contradict each other, or protected mode would be left, which is refused.
    pub fn load_cr0(&mut self, value: u32) -> Result<(), Fault> {
        let refused = Fault::general_protection(0);
        let value = value & cr0::ALL | cr0::EXTENSION_TYPE;
        if value & cr0::PROTECTED_MODE == 0 {
            // Paging without it, and a cache that is not written through and not off, do not exist.
            if value & cr0::PAGING == 0 {
                self.host.log(format_args!("refused: CR0 = {value:08x} leaves protected mode"));
            }
            return Err(refused);
        }
        if value & cr0::NOT_WRITE_THROUGH != 0 && value & cr0::CACHE_DISABLE == 0 {
            return Err(refused);
        }
        let changed = core::mem::replace(&mut self.vcpu.cr0, value) ^ value;
        if changed & cr0::TRANSLATION != 0 {
            self.flush_all();
        }
        Ok(())
    }

    /// Sets CR3.
    pub fn load_cr3(&mut self, value: u32) {
        self.vcpu.cr3 = value;
        self.flush_all();
    }

    /// Sets CR4.
    ///
    /// # Errors
    ///
    /// #GP(0): a bit of a feature that the processor does not have.
    pub fn load_cr4(&mut self, value: u32) -> Result<(), Fault> {
        let [_, _, _, features] = self.host.cpuid(1, 0);
        let known = cr4::FEATURES
            .iter()
            .filter(|(_, feature)| features & 1 << feature != 0)
            .fold(cr4::PERFORMANCE_COUNTERS, |known, (bit, _)| known | 1 << bit);
        if value & !known != 0 {
            return Err(Fault::general_protection(0));
        }
        let changed = core::mem::replace(&mut self.vcpu.cr4, value) ^ value;
        if changed & cr4::TRANSLATION != 0 {
            self.flush_all();
        }
        Ok(())
    }

    /// CLTS.
    pub const fn clear_task_switched(&mut self) {
        self.vcpu.cr0 &= !cr0::TASK_SWITCHED;
    }

    /// LMSW: the lower four bits of CR0, of which the first cannot be cleared.
    pub(super) fn lmsw(&mut self, from: &Operand) -> Result<(), Fault> {
        const LOWER: u32 = 0xF;
        let word = u32::from(self.read_word(from)?);
        let protected_mode = self.vcpu.cr0 & cr0::PROTECTED_MODE;
        self.load_cr0(self.vcpu.cr0 & !LOWER | word & LOWER | protected_mode)
    }

    pub(super) fn write_control(&mut self, control: u8, register: u8) -> Result<(), Fault> {
        let value = self.vcpu.frame.register(register);
        match control {
            0 => self.load_cr0(value),
            2 => {
                self.vcpu.cr2 = value;
                Ok(())
            }
            3 => {
                self.load_cr3(value);
                Ok(())
            }
            4 => self.load_cr4(value),
            _ => Err(Fault::INVALID_OPCODE),
        }
    }

    pub(super) fn read_control(&mut self, control: u8, register: u8) -> Result<(), Fault> {
        let vcpu = &mut self.vcpu;
        let value = match control {
            0 => vcpu.cr0,
            2 => vcpu.cr2,
            3 => vcpu.cr3,
            4 => vcpu.cr4,
            _ => return Err(Fault::INVALID_OPCODE),
        };
        *vcpu.frame.register_mut(register) = value;
        Ok(())
    }

    /// The address counts, but is not accessed: limits do not hold.
    pub(super) fn invlpg(&mut self, page: &Memory) -> Result<(), Fault> {
        let base = self.descriptor(self.vcpu.frame.segment(page.segment)).map_or(0, |found| found.base());
        self.flush_page(base.wrapping_add(page.offset(&self.vcpu.frame)));
        Ok(())
    }

    /// The place of a debug register: 4 and 5 are other names of 6 and 7, unless CR4.DE is set.
    fn debug_index(&mut self, number: u8) -> Result<usize, Fault> {
        let index = match number {
            4 | 5 if self.vcpu.cr4 & cr4::DEBUG_EXTENSIONS != 0 => return Err(Fault::INVALID_OPCODE),
            4 | 5 => number + 2,
            0..8 => number,
            _ => return Err(Fault::INVALID_OPCODE),
        };
        if self.vcpu.debug[7] & GENERAL_DETECT != 0 {
            self.vcpu.debug[6] |= debug_status::ACCESS;
            self.vcpu.debug[7] &= !GENERAL_DETECT;
            return Err(Fault::DEBUG);
        }
        Ok(index.into())
    }

    /// Reads a debug register.
    ///
    /// # Errors
    ///
    /// #UD: there is no such register. #DB: DR7.GD protects it.
    pub fn debug_register(&mut self, number: u8) -> Result<u32, Fault> {
        Ok(self.vcpu.debug[self.debug_index(number)?])
    }

    /// Sets a debug register; bits that are fixed stay what they are.
    ///
    /// # Errors
    ///
    /// #UD: there is no such register. #DB: DR7.GD protects it.
    pub fn set_debug_register(&mut self, number: u8, value: u32) -> Result<(), Fault> {
        let index = self.debug_index(number)?;
        self.vcpu.debug[index] = match index {
            6 => value & 0xE00F | 0xFFFF_0FF0,
            7 => value & 0xFFFF_23FF | 0x400,
            _ => value,
        };
        Ok(())
    }
}
