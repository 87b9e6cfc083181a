//! Halt: a tick wakes the processor, whenever it becomes pending.
//!
//! The timer repeats here, slowly: where a halt slept through its tick the next one ends it, and the
//! count is one too high.
//!
//! # Safety
//!
//! The suite is the kernel's idle loop: nothing above it relies on masked interrupts.
#![allow(unsafe_code)]

use paravirt_vmi::irq;

use super::pending::around_edge;
use super::{check, settle, spin, when_ticking};
use crate::report::{Check, Report, figure};
use crate::{pit, ticks};

/// How many halts the loop makes.
const HALTS: u32 = 100;

pub fn run(report: &mut Report) {
    check(report, "halt.pending", when_ticking(pending_tick_wakes));
    check(report, "halt.each_tick", when_ticking(each_tick_wakes_once));
    check(report, "halt.race", when_ticking(no_wake_is_lost_at_the_edge));
}

/// Unmasks and halts; returns the number of ticks that came, masked again.
fn halt(check: &mut Check) -> u32 {
    let before = ticks::count();
    // SAFETY: see the module.
    unsafe { irq::enable_and_halt() };
    let enabled = irq::is_enabled();
    irq::disable();
    check.equal("enabled after halt", enabled, true);
    ticks::count() - before
}

fn pending_tick_wakes(check: &mut Check) {
    for _ in 0..10 {
        settle();
        pit::periodic(pit::SLOW);
        check.equal("tick pending while masked", ticks::wait_until_pending(), true);
        let ticks = halt(check);
        check.equal("ticks that ended the halt", ticks, 1);
    }
}

fn each_tick_wakes_once(check: &mut Check) {
    pit::periodic(pit::SLOW);
    let mut woken = 0;
    for _ in 0..HALTS {
        woken += halt(check);
    }
    check.equal("ticks in as many halts", woken, HALTS);
    figure("halt.ticks", woken);
}

/// Halting just before, at and just after the moment at which the tick becomes pending.
fn no_wake_is_lost_at_the_edge(check: &mut Check) {
    let start_timer = || pit::periodic(pit::SLOW);
    for instructions in around_edge(start_timer) {
        // An emulator that the host holds up may deliver a second tick; not three times in a row.
        let woken = (0..3).any(|_| {
            settle();
            start_timer();
            spin(instructions);
            halt(check) == 1
        });
        check.equal("woken by the first tick", woken, true);
    }
}
