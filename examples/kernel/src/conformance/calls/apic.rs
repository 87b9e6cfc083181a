//! The local APIC.
//!
//! # Safety
//!
//! The registers are mapped at [`LOCAL_APIC`](crate::paging::LOCAL_APIC), in either set of page tables.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::apic::{LocalApic, Register};

use super::check;
use crate::paging::LOCAL_APIC;
use crate::report::{Check, Report};

pub fn run(report: &mut Report) {
    check(report, Call::APIC_WRITE, |check| {
        for value in [0x20, 0xF0, 0] {
            // SAFETY: interrupts are masked, and the priority is 0 again at the end.
            unsafe { apic().write(Register::TASK_PRIORITY, value) };
            check.equal("task priority", raw_read(Register::TASK_PRIORITY), value);
        }
        raw_write(Register::TASK_PRIORITY, 0);
    });
    check(report, Call::APIC_READ, read);
}

/// The local APIC of the processor that runs this.
pub fn apic() -> LocalApic {
    // SAFETY: see the module.
    unsafe { LocalApic::new(LOCAL_APIC) }
}

fn pointer(register: Register) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut((LOCAL_APIC + u32::from(register.offset())) as usize)
}

fn raw_read(register: Register) -> u32 {
    // SAFETY: the registers are mapped, and reading one changes nothing.
    unsafe { pointer(register).read_volatile() }
}

fn raw_write(register: Register, value: u32) {
    // SAFETY: the callers change the task priority alone, while interrupts are masked.
    unsafe { pointer(register).write_volatile(value) };
}

fn read(check: &mut Check) {
    for register in [Register::VERSION, Register::ID, Register::SPURIOUS, Register::LVT_TIMER] {
        check.equal("register", apic().read(register), raw_read(register));
    }
    let version = apic().read(Register::VERSION);
    check.equal("there is a version", matches!(version, 0 | u32::MAX), false);
    for priority in [0x30, 0] {
        raw_write(Register::TASK_PRIORITY, priority);
        check.equal("task priority", apic().read(Register::TASK_PRIORITY), priority);
    }
}
