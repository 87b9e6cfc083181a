//! The calls that the rest of the suite is about, each by itself once.
//!
//! # Safety
//!
//! The suite unmasks interrupts; see the module above.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::irq;

use super::super::{enable, restore, when_ticking};
use super::check;
use crate::report::{Check, Report};
use crate::serial::line;
use crate::traps::{INTERRUPT_FLAG, flags_in_frame};
use crate::user::{self, Entry};
use crate::{pit, ticks};

pub fn run(report: &mut Report, sysexit: bool) {
    check(report, Call::ENABLE_INTERRUPTS, |check| {
        enable();
        check.equal("IF", is_enabled(), true);
    });
    check(report, Call::DISABLE_INTERRUPTS, |check| {
        enable();
        irq::disable();
        check.equal("IF", is_enabled(), false);
    });
    check(report, Call::GET_INTERRUPT_MASK, |check| {
        check.equal("mask", irq::is_enabled(), is_enabled());
        enable();
        check.equal("mask", irq::is_enabled(), is_enabled());
    });
    check(report, Call::SET_INTERRUPT_MASK, |check| {
        let masked = irq::save();
        enable();
        let unmasked = irq::save();
        restore(masked);
        check.equal("IF", is_enabled(), false);
        restore(unmasked);
        check.equal("IF", is_enabled(), true);
    });
    check(report, Call::IRET, |check| carries_registers(check, Entry::Iret));
    if sysexit {
        check(report, Call::SYSEXIT, |check| carries_registers(check, Entry::Sysexit));
    } else {
        line!("call 34 cannot be checked: CPUID has no SEP on this processor");
    }
    check(report, Call::HALT, when_ticking(halt));
}

/// EFLAGS.IF, as an interrupt finds it.
fn is_enabled() -> bool {
    flags_in_frame() & INTERRUPT_FLAG != 0
}

/// Ring 3 begins with the registers that the kernel has loaded.
fn carries_registers(check: &mut Check, entry: Entry) {
    let (shown, expected) = user::registers(entry);
    check.equal("registers in ring 3", shown, expected);
}

/// A tick ends it, and interrupts are enabled then.
fn halt(check: &mut Check) {
    let before = ticks::count();
    pit::periodic(pit::SLOW);
    // SAFETY: see the module.
    unsafe { irq::enable_and_halt() };
    check.equal("IF", is_enabled(), true);
    irq::disable();
    check.equal("ticks", ticks::count() - before, 1);
}
