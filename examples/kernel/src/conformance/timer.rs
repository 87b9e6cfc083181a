//! Ticks arrive when interrupts are unmasked, and never while they are masked.
//!
//! # Safety
//!
//! The guard is dropped in the function that creates it.
#![allow(unsafe_code)]

use paravirt_vmi::irq;

use super::{check, enable, restore, spin};
use crate::report::{Check, Report, figure};
use crate::{pic, pit, ticks};

/// How many ticks the masking check takes at least.
const TICKS_WANTED: u32 = 2_000;
/// How many masked sections it makes for each tick at the most.
const PATIENCE: u32 = 10;
/// The longest stretch in instructions: with one a nanosecond, in ring 0 a bit more than a fast tick.
const LONGEST: u32 = 1 << 16;

pub fn run(report: &mut Report) {
    arrive(report);
    check(report, "ticks.masked", no_tick_while_masked);
    check(report, "ticks.nested", handlers_nest);
}

/// That the timer ticks at all.
pub fn arrive(report: &mut Report) {
    check(report, "ticks.arrive", ticks_arrive);
}

fn ticks_arrive(check: &mut Check) {
    let before = ticks::count();
    pit::periodic(pit::fast());
    enable();
    check.equal("20 ticks arrive", ticks::wait_for(before + 20), true);
}

/// A xorshift generator: the stretches are the same in every run.
pub struct Random(u32);

impl Random {
    /// A generator that starts at `seed`, which is not 0.
    pub const fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// The next number, below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % limit
    }
}

fn no_tick_while_masked(check: &mut Check) {
    let stretches = mask_and_unmask(check, TICKS_WANTED);
    figure("masking.ticks", stretches.ticks);
    figure("masking.ticks_while_masked", stretches.ticks_while_masked);
    figure("masking.sections", stretches.sections);
    figure("masking.sections_with_pending_tick", stretches.with_pending_tick);
}

/// What happened in the masked and unmasked stretches.
#[derive(Default)]
pub struct Stretches {
    ticks: u32,
    ticks_while_masked: u32,
    sections: u32,
    with_pending_tick: u32,
}

/// Masked and unmasked stretches of pseudo-random length and kind, until `ticks` have been delivered;
/// not one of them may come while masked. Interrupts are masked before and after.
pub fn mask_and_unmask(check: &mut Check, ticks: u32) -> Stretches {
    let start = ticks::counts();
    let mut random = Random::new(0x1357_9BDF);
    let mut stretches = Stretches::default();
    pit::periodic(pit::fast());
    enable();
    while ticks::count() - start.delivered < ticks && stretches.sections < PATIENCE * ticks {
        let length = random.below(LONGEST);
        let mut body = || {
            ticks::believe_masked(true);
            spin(length);
            stretches.with_pending_tick += u32::from(pic::is_pending(ticks::LINE));
            check.equal("enabled in a masked section", irq::is_enabled(), false);
            ticks::believe_masked(false);
        };
        match random.below(4) {
            0 => mask_by_flag(&mut body),
            1 => mask_by_state(&mut body),
            2 => irq::without_interrupts(&mut body),
            _ => mask_by_guard(&mut body),
        }
        check.equal("enabled after a masked section", irq::is_enabled(), true);
        stretches.sections += 1;
        spin(random.below(LONGEST));
    }
    irq::disable();
    let end = ticks::counts();
    stretches.ticks = end.delivered - start.delivered;
    stretches.ticks_while_masked = end.while_masked - start.while_masked;
    check.at_least("ticks", stretches.ticks, ticks);
    check.equal("ticks while masked", stretches.ticks_while_masked, 0);
    check.at_least("sections that held a tick back", stretches.with_pending_tick, ticks / 50);
    stretches
}

fn mask_by_flag(body: impl FnOnce()) {
    irq::disable();
    body();
    enable();
}

fn mask_by_state(body: impl FnOnce()) {
    let state = irq::save();
    irq::disable();
    body();
    restore(state);
}

fn mask_by_guard(body: impl FnOnce()) {
    // SAFETY: dropped at the end of this function, after all that `body` creates.
    let _guard = unsafe { irq::Guard::new() };
    body();
}

/// A handler that unmasks interrupts is interrupted, and each returns to the one before.
fn handlers_nest(check: &mut Check) {
    const DEPTH: u32 = 3;
    let before = ticks::count();
    ticks::set_depth_limit(DEPTH);
    pit::periodic(pit::fast());
    enable();
    let arrived = ticks::wait_for(before + 20);
    let enabled = irq::is_enabled();
    irq::disable();
    let (now, deepest) = ticks::depths();
    ticks::set_depth_limit(1);
    check.equal("20 ticks arrive", arrived, true);
    check.equal("handlers at once", deepest, DEPTH);
    check.equal("handlers left over", now, 0);
    check.equal("enabled after the outermost handler", enabled, true);
}

/// What has to hold of every tick of the whole run, and how many there were.
pub fn check_all_ticks(report: &mut Report) {
    check(report, "ticks.entry", |check| {
        let counts = ticks::counts();
        check.equal("ticks while masked", counts.while_masked, 0);
        check.equal("ticks whose frame has IF clear", counts.from_masked_frame, 0);
        check.equal("handlers entered with interrupts enabled", counts.entered_enabled, 0);
        check.equal("handlers entered with the direction flag set", counts.entered_backward, 0);
    });
    let counts = ticks::counts();
    figure("ticks.delivered", counts.delivered);
    figure("ticks.while_masked", counts.while_masked);
    figure("ticks.from_user", counts.from_user);
}
