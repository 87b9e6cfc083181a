//! The local APIC's registers.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`LocalApic::write`] | `mov [eax], edx` | APICWrite (63) |
//! | [`LocalApic::read`] | `mov eax, [eax]` | APICRead (64) |
//!
//! EAX is the linear address of the register. A ROM looks at bits 11 to 0 only, since some guests pass no
//! more. Source: facts sheet, section 4.1 and trap 4.
//!
//! # Safety
//!
//! The blocks below make the calls of the table, on registers that the maker of a [`LocalApic`] vouched for.
#![allow(unsafe_code)]

use crate::arch;

/// A register of the local APIC, by its offset from the base.
///
/// ```
/// use paravirt_vmi::apic::Register;
///
/// assert_eq!(Register::new(0x320), Some(Register::LVT_TIMER));
/// assert_eq!(Register::new(0x324), None); // registers lie 16 bytes apart
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(u16);

impl Register {
    /// Identification: the APIC's number in bits 31 to 24.
    pub const ID: Self = Self(0x20);
    /// Version.
    pub const VERSION: Self = Self(0x30);
    /// Task priority.
    pub const TASK_PRIORITY: Self = Self(0x80);
    /// End of interrupt: any write ends the one in service.
    pub const END_OF_INTERRUPT: Self = Self(0xb0);
    /// Logical destination.
    pub const LOGICAL_DESTINATION: Self = Self(0xd0);
    /// Destination format.
    pub const DESTINATION_FORMAT: Self = Self(0xe0);
    /// Spurious-interrupt vector, and the switch that turns the APIC on (bit 8).
    pub const SPURIOUS: Self = Self(0xf0);
    /// Error status; written before it is read.
    pub const ERROR_STATUS: Self = Self(0x280);
    /// Interrupt command, bits 31 to 0: a write sends.
    pub const INTERRUPT_COMMAND_LOW: Self = Self(0x300);
    /// Interrupt command, bits 63 to 32: the destination.
    pub const INTERRUPT_COMMAND_HIGH: Self = Self(0x310);
    /// Local vector of the timer.
    pub const LVT_TIMER: Self = Self(0x320);
    /// Local vector of the performance counters.
    pub const LVT_PERFORMANCE: Self = Self(0x340);
    /// Local vector of the pin LINT0.
    pub const LVT_LINT0: Self = Self(0x350);
    /// Local vector of the pin LINT1.
    pub const LVT_LINT1: Self = Self(0x360);
    /// Local vector of errors.
    pub const LVT_ERROR: Self = Self(0x370);
    /// What the timer counts down from; a write starts it.
    pub const TIMER_INITIAL_COUNT: Self = Self(0x380);
    /// Where the timer is.
    pub const TIMER_CURRENT_COUNT: Self = Self(0x390);
    /// By what the timer's clock is divided.
    pub const TIMER_DIVIDE: Self = Self(0x3e0);

    /// The register at `offset`, or `None` if none can lie there: registers are 16 bytes apart, in the first
    /// 0x400 bytes.
    pub const fn new(offset: u16) -> Option<Self> {
        if offset < 0x400 && offset % 16 == 0 { Some(Self(offset)) } else { None }
    }

    /// The offset from the APIC's base.
    pub const fn offset(self) -> u16 {
        self.0
    }
}

/// The local APIC of the processor that uses this, at the address where the kernel has mapped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalApic {
    base: u32,
}

impl LocalApic {
    /// The local APIC whose registers are mapped at linear address `base`.
    ///
    /// # Safety
    ///
    /// `base` begins a page, and for as long as the value is used the page maps the APIC's registers,
    /// uncached, readable and writable, on each processor that uses it.
    pub const unsafe fn new(base: u32) -> Self {
        Self { base }
    }

    /// The linear address of the first register.
    pub const fn base(&self) -> u32 {
        self.base
    }

    /// The value of a register.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn read(&self, register: Register) -> u32 {
        // SAFETY: the registers are mapped, and reading one changes no memory.
        unsafe { arch::call::apic_read(self.address(register)) }
    }

    /// Sets a register.
    ///
    /// # Safety
    ///
    /// What the register does then is sound: interrupts that it sends or lets through have handlers, and a
    /// processor that it resets or starts is not running the kernel.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub unsafe fn write(&self, register: Register, value: u32) {
        // SAFETY: the registers are mapped; the rest is the caller's.
        unsafe { arch::call::apic_write(self.address(register), value) };
    }

    /// The linear address of a register.
    const fn address(&self, register: Register) -> u32 {
        self.base.wrapping_add(register.0 as u32)
    }
}
