//! A tick that becomes pending while interrupts are masked arrives when they are unmasked, once.
//!
//! The timer ticks a single time here, so a second tick would be one too many.
//!
//! # Safety
//!
//! The frame that is built leads to the next instruction; the guards nest.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::ops::Range;

use paravirt_vmi::irq;

use super::{check, enable, restore, settle, spin};
use crate::report::{Check, Report};
use crate::traps::INTERRUPT_FLAG;
use crate::{pic, pit, ticks};

/// The tick arrives after `enable`.
pub fn after_enable(report: &mut Report) {
    check(report, "pending.enable", |check| {
        arrives_once(check, |body| {
            body();
            enable();
        });
    });
}

pub fn run(report: &mut Report) {
    after_enable(report);
    check(report, "pending.restore", |check| {
        arrives_once(check, |body| {
            enable();
            let state = irq::save();
            irq::disable();
            body();
            restore(state);
        });
    });
    check(report, "pending.without_interrupts", |check| {
        arrives_once(check, |body| {
            enable();
            irq::without_interrupts(|| irq::without_interrupts(body));
        });
    });
    check(report, "pending.guard", |check| {
        arrives_once(check, |body| {
            enable();
            // SAFETY: dropped at the end of this closure, after all that `body` creates.
            let _guard = unsafe { irq::Guard::new() };
            body();
        });
    });
    check(report, "pending.iret", |check| {
        arrives_once(check, |body| {
            body();
            return_with_flags(INTERRUPT_FLAG);
        });
    });
    check(report, "pending.held", held_until_enabled);
    check(report, "pending.race", no_tick_is_lost_at_the_edge);
}

unsafe extern "C" {
    /// Returns through the IRET site to its caller, with EFLAGS = `flags`.
    fn return_by_iret(flags: u32);
}

global_asm!(
    r#"
    .text
    .globl return_by_iret
return_by_iret:
    push [esp + 4]
    mov eax, cs
    push eax
    mov eax, offset .Lreturned
    push eax
"#,
    paravirt_vmi::iret_site!(),
    r#"
.Lreturned:
    ret
"#
);

/// Sets EFLAGS as an IRET within the kernel does.
pub fn return_with_flags(flags: u32) {
    // Bit 1 is always set; the others are what Rust code expects.
    // SAFETY: unmasking is allowed in this suite.
    unsafe { return_by_iret(flags | 1 << 1) };
}

/// Lets a tick become pending.
pub fn hold_back_a_tick(check: &mut Check) {
    let before = ticks::count();
    ticks::believe_masked(true);
    pit::one_shot(pit::fast());
    check.equal("tick pending while masked", ticks::wait_until_pending(), true);
    check.equal("ticks while masked", ticks::count() - before, 0);
    ticks::believe_masked(false);
}

/// Expects `section`, which is entered masked and calls its argument masked, to end unmasked with the
/// tick that its argument held back.
pub fn arrives_once(check: &mut Check, section: impl FnOnce(&mut dyn FnMut())) {
    let before = ticks::count();
    section(&mut || hold_back_a_tick(check));
    let arrived = ticks::wait_for(before + 1);
    spin(100_000);
    let enabled = irq::is_enabled();
    irq::disable();
    check.equal("tick arrives", arrived, true);
    check.equal("ticks after unmasking", ticks::count() - before, 1);
    check.equal("enabled after unmasking", enabled, true);
}

/// Nothing that leaves interrupts masked lets the tick in.
fn held_until_enabled(check: &mut Check) {
    let before = ticks::count();
    let state = irq::save();
    hold_back_a_tick(check);
    ticks::believe_masked(true);
    irq::disable();
    spin(1000);
    check.equal("ticks after disable", ticks::count() - before, 0);
    restore(state);
    spin(1000);
    check.equal("ticks after restore of masked", ticks::count() - before, 0);
    irq::without_interrupts(|| spin(1000));
    spin(1000);
    check.equal("ticks after a section", ticks::count() - before, 0);
    return_with_flags(0);
    spin(1000);
    check.equal("ticks after IRET with IF = 0", ticks::count() - before, 0);
    check.equal("enabled after all that", irq::is_enabled(), false);
    ticks::believe_masked(false);
    enable();
    check.equal("tick arrives", ticks::wait_for(before + 1), true);
}

/// How long to [`spin`] after `start_timer` so that its first tick becomes pending just then, in steps
/// of one instruction around the edge.
pub fn around_edge(start_timer: impl Fn()) -> Range<u32> {
    let (mut too_few, mut enough) = (0_u32, 1 << 23);
    while enough - too_few > 1 {
        let instructions = too_few.midpoint(enough);
        settle();
        start_timer();
        spin(instructions);
        if pic::is_pending(ticks::LINE) {
            enough = instructions;
        } else {
            too_few = instructions;
        }
    }
    enough.saturating_sub(40)..enough.saturating_add(40)
}

/// Unmasking just before, at and just after the moment at which the tick becomes pending.
fn no_tick_is_lost_at_the_edge(check: &mut Check) {
    let start_timer = || pit::one_shot(pit::fast());
    for instructions in around_edge(start_timer) {
        settle();
        let before = ticks::count();
        start_timer();
        spin(instructions);
        enable();
        let arrived = ticks::wait_for(before + 1);
        spin(1000);
        irq::disable();
        if !check.equal("tick arrives", arrived, true) {
            break;
        }
        check.equal("ticks after unmasking", ticks::count() - before, 1);
    }
}
