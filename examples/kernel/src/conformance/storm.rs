//! Many interrupts and masked sections without order: every alarm arrives, once, and none while masked.
//!
//! The source is the hypervisor's clock, an alarm that goes off once; on a machine without such a clock it is
//! the interval timer.
//!
//! # Safety
//!
//! Guards are dropped in the function that creates them, and sections that save and restore nest. Nothing
//! above the one that halts relies on masked interrupts.
#![allow(unsafe_code)]

use paravirt_vmi::abi::flags::Counter;
use paravirt_vmi::irq;
use paravirt_vmi::time::{Alarm, AlarmCounter, Clock, Wiring};

use super::pending::return_with_flags;
use super::timer::Random;
use super::{check, enable, restore, spin};
use crate::report::{Check, Report, figure};
use crate::serial::line;
use crate::traps::INTERRUPT_FLAG;
use crate::{pic, pit, ticks};

/// How many alarms are set where there is a clock.
const ALARMS: u32 = 100_000;
/// How many where there is none.
const TIMER_ALARMS: u32 = 2_000;
/// The most masked sections inside each other.
const DEPTH: u32 = 5;
/// The longest stretch in a section, in instructions.
const LONGEST: u32 = 1 << 10;
/// The longest time until an alarm goes off, in nanoseconds.
const LATEST: u32 = 1 << 14;

/// What raises interrupts.
enum Source {
    /// The hypervisor's clock.
    Clock(Clock),
    /// The interval timer.
    Timer,
}

impl Source {
    /// Raises one interrupt, some time from now on.
    fn arm(&self, random: &mut Random) {
        let nanoseconds = random.below(LATEST);
        match self {
            Self::Clock(clock) => {
                let cycles = u64::from(nanoseconds) * clock.frequency().get() / 1_000_000_000;
                let expiry = clock.counter(Counter::REAL) + cycles;
                let (counter, wiring) = (AlarmCounter::Real, Wiring::Irq0);
                clock.set_alarm(Alarm { counter, expiry, period: None, wiring });
            }
            // 838 nanoseconds a cycle
            Self::Timer => pit::one_shot((nanoseconds / 838) as u16 + 1),
        }
    }
}

pub fn run(report: &mut Report) {
    let (source, alarms) = match Clock::find() {
        Some(clock) => (Source::Clock(clock), ALARMS),
        None => {
            line!("storm: there is no hypervisor's clock; the interval timer raises fewer interrupts");
            (Source::Timer, TIMER_ALARMS)
        }
    };
    check(report, "storm", |check| storm(check, &source, alarms));
}

/// What was counted.
#[derive(Default)]
struct Figures {
    raised: u32,
    lost: u32,
    twice: u32,
    sections: u32,
    pending_behind: u32,
    /// The count of ticks when the interrupt that was raised last has come.
    awaited: u32,
}

fn storm(check: &mut Check, source: &Source, alarms: u32) {
    // The interval timer ticks once more, and then no longer.
    let before = ticks::count();
    pit::one_shot(1);
    enable();
    check.equal("timer ticks", ticks::wait_for(before + 1), true);
    let start = ticks::counts();
    let mut random = Random::new(0x2545_F491);
    let mut figures = Figures::default();
    for _ in 0..alarms {
        let before = ticks::count();
        spin(random.below(LONGEST));
        figures.raised += 1;
        figures.awaited = before + 1;
        if random.below(2) == 0 {
            source.arm(&mut random);
        } else {
            let mut arm = Some(source);
            let depth = 1 + random.below(DEPTH);
            section(check, &mut random, &mut figures, &mut arm, depth);
        }
        while random.below(4) != 0 {
            let depth = 1 + random.below(DEPTH);
            section(check, &mut random, &mut figures, &mut None, depth);
            check.equal("enabled behind the outermost section", irq::is_enabled(), true);
            spin(random.below(LONGEST));
        }
        if random.below(2) == 0 {
            halt_until(figures.awaited);
        } else if !ticks::wait_for(figures.awaited) {
            figures.lost += 1;
        }
        figures.twice += (ticks::count() - before).saturating_sub(1);
    }
    spin(LATEST * 4);
    irq::disable();
    let end = ticks::counts();
    let delivered = end.delivered - start.delivered;
    let while_masked = end.while_masked - start.while_masked;
    let from_masked = end.from_masked_frame - start.from_masked_frame;
    figure("storm.raised", figures.raised);
    figure("storm.delivered", delivered);
    figure("storm.lost", figures.lost);
    figure("storm.twice", figures.twice);
    figure("storm.while_masked", while_masked);
    figure("storm.sections", figures.sections);
    figure("storm.sections_with_pending_interrupt", figures.pending_behind);
    check.equal("raised", figures.raised, alarms);
    check.equal("delivered", delivered, figures.raised);
    check.equal("lost", figures.lost, 0);
    check.equal("delivered twice", figures.twice, 0);
    check.equal("delivered while masked", while_masked, 0);
    check.equal("delivered to a masked frame", from_masked, 0);
    check.at_least("sections that held an interrupt back", figures.pending_behind, alarms / 20);
}

/// Sleeps until as many interrupts have come; one that is lost is slept for until the run is ended.
fn halt_until(count: u32) {
    loop {
        irq::disable();
        if ticks::count() >= count {
            return enable();
        }
        // SAFETY: see the module.
        unsafe { irq::enable_and_halt() };
    }
}

/// A masked section of random kind, with others inside it. The alarm of `arm` is set in the innermost.
fn section(
    check: &mut Check,
    random: &mut Random,
    figures: &mut Figures,
    arm: &mut Option<&Source>,
    depth: u32,
) {
    figures.sections += 1;
    let mut body = |random: &mut Random| {
        let was_believed = ticks::believe_masked(true);
        spin(random.below(LONGEST));
        if depth > 1 {
            section(check, random, figures, arm, depth - 1);
            spin(random.below(LONGEST));
        } else if let Some(source) = arm.take() {
            source.arm(random);
            spin(random.below(LONGEST));
        }
        check.equal("enabled in a masked section", irq::is_enabled(), false);
        // Looking is slow, and for nothing when the interrupt has come.
        if !was_believed && ticks::count() < figures.awaited {
            figures.pending_behind += u32::from(pic::is_pending(ticks::LINE));
        }
        ticks::believe_masked(was_believed);
    };
    match random.below(4) {
        0 => irq::without_interrupts(|| body(random)),
        1 => {
            // SAFETY: dropped at the end of the arm, after all that the body creates.
            let _guard = unsafe { irq::Guard::new() };
            body(random);
        }
        2 => {
            let state = irq::save();
            irq::disable();
            body(random);
            restore(state);
        }
        _ => {
            let flag = if irq::is_enabled() { INTERRUPT_FLAG } else { 0 };
            irq::disable();
            body(random);
            return_with_flags(flag);
        }
    }
}
