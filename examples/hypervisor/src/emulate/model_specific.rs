//! Model-specific registers, and the time-stamp counter.
//!
//! Source: Intel manual, volume 4, chapter 2.

use super::Next;
use super::control::cr4;
use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::paging::EFER_NXE;

/// Numbers of the registers that the guest has.
pub(crate) mod msr {
    pub const TIME_STAMP_COUNTER: u32 = 0x10;
    pub const APIC_BASE: u32 = 0x1B;
    pub const SYSENTER_CS: u32 = 0x174;
    pub const SYSENTER_ESP: u32 = 0x175;
    pub const SYSENTER_EIP: u32 = 0x176;
    pub const PAT: u32 = 0x277;
    pub const EFER: u32 = 0xC000_0080;
}

/// APIC_BASE: the APIC is on.
const APIC_ENABLED: u64 = 1 << 11;

/// CPUID leaf 8000_0001, EDX: page-table entries can forbid execution.
const CPUID_NX: u32 = 1 << 20;

impl<H: Host> Guest<H> {
    /// Reads a model-specific register.
    ///
    /// # Errors
    ///
    /// #GP(0): the guest does not have it.
    pub fn read_msr(&self, number: u32) -> Result<u64, Fault> {
        let registers = &self.vcpu.msr;
        Ok(match number {
            msr::TIME_STAMP_COUNTER => self.host.cycles(),
            msr::APIC_BASE => registers.apic_base,
            msr::SYSENTER_CS => registers.sysenter_cs,
            msr::SYSENTER_ESP => registers.sysenter_esp,
            msr::SYSENTER_EIP => registers.sysenter_eip,
            msr::PAT => registers.pat,
            msr::EFER => registers.efer,
            _ => return Err(Fault::general_protection(0)),
        })
    }

    /// Writes a model-specific register.
    ///
    /// # Errors
    ///
    /// #GP(0): the guest does not have it, or cannot have the value in it.
    pub fn write_msr(&mut self, number: u32, value: u64) -> Result<(), Fault> {
        let refused = Fault::general_protection(0);
        let registers = &mut self.vcpu.msr;
        match number {
            // The page of the APIC stays where it is.
            msr::APIC_BASE if (value ^ registers.apic_base) & !APIC_ENABLED == 0 => {
                registers.apic_base = value
            }
            msr::SYSENTER_CS => registers.sysenter_cs = value & 0xFFFF_FFFF,
            msr::SYSENTER_ESP => registers.sysenter_esp = value & 0xFFFF_FFFF,
            msr::SYSENTER_EIP => registers.sysenter_eip = value & 0xFFFF_FFFF,
            msr::PAT => {
                let is_memory_type = |byte: u8| matches!(byte, 0 | 1 | 4..=7);
                if !value.to_le_bytes().into_iter().all(is_memory_type) {
                    return Err(refused);
                }
                registers.pat = value;
            }
            msr::EFER => {
                let known = if self.has_no_execute() { EFER_NXE } else { 0 };
                if value & !known != 0 {
                    return Err(refused);
                }
                self.vcpu.msr.efer = value;
                self.flush_all();
            }
            _ => return Err(refused),
        }
        Ok(())
    }

    fn has_no_execute(&self) -> bool {
        const EXTENDED: u32 = 0x8000_0000;
        let [last, ..] = self.host.cpuid(EXTENDED, 0);
        last > EXTENDED && self.host.cpuid(EXTENDED + 1, 0)[3] & CPUID_NX != 0
    }

    pub(super) fn read_msr_instruction(&mut self) -> Result<(), Fault> {
        let value = self.read_msr(self.vcpu.frame.ecx)?;
        self.set_pair(value);
        Ok(())
    }

    pub(super) fn write_msr_instruction(&mut self) -> Result<(), Fault> {
        let frame = &self.vcpu.frame;
        let value = u64::from(frame.edx) << 32 | u64::from(frame.eax);
        self.write_msr(frame.ecx, value)
    }

    /// RDTSC: traps if CR4.TSD is set, which is for ring 3 alone.
    pub(super) fn read_cycles(&mut self) -> Result<Next, Fault> {
        if self.vcpu.frame.is_user() && self.vcpu.cr4 & cr4::TIME_STAMP_DISABLE != 0 {
            return Err(Fault::general_protection(0));
        }
        let cycles = self.host.cycles();
        self.set_pair(cycles);
        Ok(Next::Advance)
    }

    /// EDX:EAX.
    const fn set_pair(&mut self, value: u64) {
        self.vcpu.frame.eax = value as u32;
        self.vcpu.frame.edx = (value >> 32) as u32;
    }
}
