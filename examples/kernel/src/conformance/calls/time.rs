//! The hypervisor's clock: all of it, or nothing.
//!
//! Where there is none its calls are made all the same, by their sites: they answer as the machine does, and
//! no alarm goes off.
//!
//! # Safety
//!
//! What the calls are given is what the interface wants: a counter, and an alarm.
#![allow(unsafe_code)]

use core::num::NonZero;

use paravirt_vmi::abi::flags::Counter;
use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::irq;
use paravirt_vmi::time::{Alarm, AlarmCounter, Clock, Wiring};

use super::super::registers::{self, Registers};
use super::super::{enable, spin};
use super::check;
use crate::activation::Activation;
use crate::report::{Check, Report};
use crate::{raw, ticks};

/// The calls behind GetCycleFrequency.
const OTHERS: [Call; 5] = [
    Call::GET_CYCLE_COUNTER,
    Call::SET_ALARM,
    Call::CANCEL_ALARM,
    Call::GET_WALLCLOCK_TIME,
    Call::WALLCLOCK_UPDATED,
];

pub fn run(report: &mut Report, activation: &Activation) {
    let clock = Clock::find();
    check(report, Call::GET_CYCLE_FREQUENCY, |check| {
        let kind = activation.relocation_kind(Call::GET_CYCLE_FREQUENCY);
        check.equal("answered with NOP", kind == RelocationKind::NOP, false);
        if kind == RelocationKind::NONE {
            check.equal("there is no clock", clock, None);
        }
        if clock.is_some() {
            for other in OTHERS {
                let provided = activation.relocation_kind(other) == RelocationKind::CALL_REL;
                check.equal(other.name(), provided, true);
            }
        }
    });
    check(report, Call::GET_CYCLE_COUNTER, |check| counters(check, clock));
    check(report, Call::SET_ALARM, |check| alarm(check, clock));
    check(report, Call::CANCEL_ALARM, |check| cancelled(check, clock));
    check(report, Call::GET_WALLCLOCK_TIME, |check| wall_clock(check, clock));
    check(report, Call::WALLCLOCK_UPDATED, |check| {
        let jumped = match clock {
            Some(clock) => {
                clock.wall_clock_jumped();
                clock.wall_clock_jumped()
            }
            None => ask(Call::WALLCLOCK_UPDATED, &Registers::ZERO).eax != 0,
        };
        check.equal("the wall clock jumped twice", jumped, false);
    });
}

/// Makes one of the calls by its site.
fn ask(call: Call, registers: &Registers) -> Registers {
    // SAFETY: see the module; interrupts are masked.
    unsafe { registers::call(call, registers) }
}

/// One reading of a counter by its site.
fn reading(counter: Counter) -> u64 {
    let after = ask(Call::GET_CYCLE_COUNTER, &Registers { eax: counter.0, ..Registers::ZERO });
    u64::from(after.edx) << 32 | u64::from(after.eax)
}

/// Real time is what was stolen and what was not; without a clock it is the time-stamp counter, or stands.
fn counters(check: &mut Check, clock: Option<Clock>) {
    if clock.is_some() {
        for counter in [Counter::REAL, Counter::AVAILABLE] {
            let before = reading(counter);
            spin(1000);
            check.equal("counter runs", reading(counter) > before, true);
        }
        let sum = |at: u64| at + reading(Counter::STOLEN);
        let (before, middle) = (reading(Counter::REAL), sum(reading(Counter::AVAILABLE)));
        let after = reading(Counter::REAL);
        check.equal("real = available + stolen", before <= middle && middle <= after, true);
    } else {
        for counter in [Counter::REAL, Counter::AVAILABLE] {
            let before = raw::rdtsc();
            let found = reading(counter);
            let in_between = before <= found && found <= raw::rdtsc();
            check.equal("counter is that of the machine, or 0", found == 0 || in_between, true);
        }
    }
    check.equal("a counter that does not exist", reading(Counter(3)), 0);
}

/// How many cycles a hundredth of a second has.
fn hundredth(clock: Clock) -> u64 {
    clock.frequency().get() / 100
}

/// An alarm that goes off once, or never where there is no clock.
fn alarm(check: &mut Check, clock: Option<Clock>) {
    let before = ticks::count();
    match clock {
        Some(clock) => {
            let expiry = clock.counter(Counter::REAL) + hundredth(clock);
            let (counter, wiring) = (AlarmCounter::Real, Wiring::Irq0);
            clock.set_alarm(Alarm { counter, expiry, period: None, wiring });
        }
        None => {
            ask(Call::SET_ALARM, &Registers { ecx: 0, edx: 1, ..Registers::ZERO });
        }
    }
    enable();
    if clock.is_some() {
        ticks::wait_for(before + 1);
    } else {
        spin(100_000);
    }
    irq::disable();
    check.equal("interrupts", ticks::count() - before, clock.is_some().into());
}

fn cancelled(check: &mut Check, clock: Option<Clock>) {
    let Some(clock) = clock else {
        let after = ask(Call::CANCEL_ALARM, &Registers::ZERO);
        check.equal("was armed", after.eax, 0);
        return;
    };
    let before = ticks::count();
    let (counter, wiring) = (AlarmCounter::Real, Wiring::Irq0);
    let expiry = clock.counter(Counter::REAL) + hundredth(clock);
    let period = NonZero::new(hundredth(clock));
    clock.set_alarm(Alarm { counter, expiry, period, wiring });
    check.equal("was armed", clock.cancel_alarm(counter), true);
    check.equal("was armed twice", clock.cancel_alarm(counter), false);
    enable();
    while clock.counter(Counter::REAL) < expiry + hundredth(clock) {}
    irq::disable();
    check.equal("interrupts", ticks::count() - before, 0);
}

fn wall_clock(check: &mut Check, clock: Option<Clock>) {
    let Some(clock) = clock else {
        let after = ask(Call::GET_WALLCLOCK_TIME, &Registers::ZERO);
        check.equal("time of a clock that is not there", (after.eax, after.edx), (0, 0));
        return;
    };
    let (before, after) = (clock.wall_clock(), clock.wall_clock());
    check.equal("time is known and does not run backwards", before.is_some() && before <= after, true);
}
