//! The conformance suite: what the guest crate promises, checked from the kernel's side.
//!
//! The same checks run natively and patched. What decides is seen from outside the crate under test:
//! ticks that arrive or stay in the interrupt controller, frames that the processor pushes, and bytes
//! read back from the text.
//!
//! # Safety
//!
//! The suite unmasks interrupts. It runs after the descriptor tables are set up, and nothing in this
//! kernel relies on masked interrupts but the checks themselves.
#![allow(unsafe_code)]

mod bench;
mod calls;
mod clobbers;
mod critical_section;
mod exits;
mod flag;
mod halt;
mod hole;
mod iopl;
mod nesting;
mod outside;
mod patching;
mod pending;
mod pointer;
mod programs;
mod registers;
mod sampler;
mod storm;
mod survival;
mod timer;
mod unpatched;
mod user;

use core::arch::asm;

use paravirt_vmi::irq;

use crate::activation::Activation;
use crate::command_line::Checks;
use crate::report::{Check, Id, Report};
use crate::{pit, ticks};

/// Runs the checks that were asked for. Interrupts are masked before and after.
pub fn run(report: &mut Report, checks: Checks, activation: &Activation, sysexit: bool) {
    match checks {
        Checks::All => all(report, activation, sysexit),
        Checks::Calls => calls::run(report, activation, sysexit),
        Checks::Clobbers => clobbers::run(report),
        Checks::Unpatched => unpatched::run(report, activation, sysexit),
        Checks::Storm => storm::run(report),
        Checks::Bench => bench::run(report, activation),
    }
}

/// Runs every check.
fn all(report: &mut Report, activation: &Activation, sysexit: bool) {
    report.check("irq.boot", |check| flag::expect(check, "after activation", false));
    flag::run(report);
    nesting::run(report);
    survival::run(report);
    timer::run(report);
    pending::run(report);
    halt::run(report);
    sampler::run(report);
    critical_section::run(report);
    user::run(report, activation, sysexit);
    programs::run(report);
    iopl::run(report, activation, sysexit);
    hole::run(report, activation);
    exits::run(report, activation);
    clobbers::run(report);
    calls::run(report, activation, sysexit);
    pointer::run(report);
    patching::run(report, activation);
    timer::check_all_ticks(report);
}

/// Runs one check with the timer stopped and interrupts masked.
fn check(report: &mut Report, id: impl Into<Id>, body: impl FnOnce(&mut Check)) {
    settle();
    report.check(id, body);
    settle();
}

/// Stops the timer, takes a tick that is pending, and leaves interrupts masked.
#[inline(never)]
fn settle() {
    ticks::believe_masked(false);
    pit::quiet();
    enable();
    spin(16);
    irq::disable();
}

/// A check that halts: without a timer that ticks again and again the halt would last for ever.
fn when_ticking(body: impl FnOnce(&mut Check)) -> impl FnOnce(&mut Check) {
    |check| {
        let before = ticks::count();
        pit::periodic(pit::SLOW);
        enable();
        let ticking = ticks::wait_for(before + 2);
        settle();
        if check.equal("timer ticks", ticking, true) {
            body(check);
        }
    }
}

/// Unmasks interrupts.
fn enable() {
    // SAFETY: the suite's contract, stated above.
    unsafe { irq::enable() }
}

/// Makes interrupts as they were at `state`.
fn restore(state: irq::State) {
    // SAFETY: the suite's contract, stated above.
    unsafe { irq::restore(state) }
}

/// Passes time: `instructions` of them, give or take a constant.
fn spin(instructions: u32) {
    // SAFETY: changes one register.
    unsafe {
        asm!(
            "shr {count}",
            "jnc 2f",
            "nop",
            "2: dec {count}",
            "jnz 2b",
            count = inout(reg) instructions.max(2) => _,
            options(nomem, nostack),
        );
    }
}
