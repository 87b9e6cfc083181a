//! Alarms and the processor's sleep.

use std::num::NonZero;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, Explorer, Flavour, explore};
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering};
use paravirt_vmi::time::{Alarm, AlarmCounter, Clock, Wiring};

use super::{KEYBOARD, TIMER, enable, halt, traces};

/// Sets an alarm that goes off after so many cycles, at vector `TIMER`, and then every `period` cycles.
fn set_alarm(cpu: Cpu, after: u64, period: Option<NonZero<u64>>) {
    cpu.set_irq0_vector(TIMER);
    cpu.set_clock_frequency(1_000_000_000);
    let clock = Clock::find().expect("a clock");
    let counter = AlarmCounter::Real;
    let expiry = clock.counter(counter.counter()) + after;
    clock.set_alarm(Alarm { counter, expiry, period, wiring: Wiring::Irq0 });
}

/// What the handlers have done.
fn handlers(trace: &[String]) -> Vec<&str> {
    trace.iter().map(|line| line.trim_start()).filter(|line| line.contains("0x2")).collect()
}

#[test]
fn an_alarm_wakes_a_processor_that_is_halted() {
    for trace in traces(|cpu| {
        set_alarm(cpu, 1_000_000, None);
        irq::disable();
        halt();
        assert!(cpu.interrupt_flag());
    }) {
        assert_eq!(
            trace[trace.len() - 4..],
            ["Halt", "raise 0x20", "  enter 0x20", "leave 0x20"],
            "{trace:#?}"
        );
    }
}

#[test]
fn an_alarm_that_goes_off_while_interrupts_are_masked_is_delivered_in_the_halt() {
    for trace in traces(|cpu| {
        set_alarm(cpu, 3, None);
        irq::disable();
        while !cpu.is_pending(TIMER) {
            cpu.point();
        }
        halt();
    }) {
        assert_eq!(trace[trace.len() - 3..], ["Halt", "  enter 0x20", "leave 0x20"], "{trace:#?}");
    }
}

#[test]
fn an_alarm_that_goes_off_in_the_shadow_of_sti_waits_for_its_end() {
    let [native, vmi] = traces(|cpu| {
        set_alarm(cpu, 4, None);
        irq::disable();
        enable();
        irq::disable();
        enable();
    });
    assert_eq!(
        handlers(&native),
        ["raise 0x20"],
        "the alarm goes off in front of the second DisableInterrupts, in the shadow: {native:#?}"
    );
    assert_eq!(handlers(&vmi), ["raise 0x20", "enter 0x20", "leave 0x20"], "{vmi:#?}");
}

#[test]
fn a_periodic_alarm_wakes_it_every_time() {
    for trace in traces(|cpu| {
        set_alarm(cpu, 1_000, NonZero::new(1_000));
        for _ in 0..3 {
            halt();
        }
    }) {
        assert_eq!(handlers(&trace), ["raise 0x20", "enter 0x20", "leave 0x20"].repeat(3));
    }
}

#[test]
fn an_alarm_comes_before_a_source_in_a_run() {
    for trace in traces(|cpu| {
        cpu.source(KEYBOARD);
        set_alarm(cpu, 1_000, None);
        halt();
        halt();
    }) {
        assert_eq!(handlers(&trace), ["raise 0x20", "enter 0x20", "leave 0x20", "enter 0x21", "leave 0x21"]);
    }
}

#[test]
fn an_exploration_wakes_it_by_the_alarm_and_by_each_source_before_it() {
    static BY_ALARM: AtomicU32 = AtomicU32::new(0);
    static BY_SOURCE: AtomicU32 = AtomicU32::new(0);
    Explorer::new().bound(1).flavour(Flavour::Vmi).explore(|cpu| {
        cpu.handle(TIMER, || ());
        cpu.handle(KEYBOARD, || ());
        set_alarm(cpu, 1_000, None);
        cpu.source_limited(KEYBOARD, 1);
        irq::disable();
        let before = cpu.journal().len();
        halt();
        match handlers(&cpu.journal()[before..].iter().map(super::line).collect::<Vec<_>>())[..] {
            ["raise 0x20", "enter 0x20", "leave 0x20"] => &BY_ALARM,
            ["enter 0x21", "leave 0x21"] => &BY_SOURCE,
            ref other => panic!("{other:?}"),
        }
        .fetch_add(1, Ordering::Relaxed);
    });
    assert!(BY_ALARM.load(Ordering::Relaxed) > 0);
    assert_eq!(BY_SOURCE.load(Ordering::Relaxed), 1);
}

#[test]
fn a_correct_idle_loop_that_polls_under_a_tick_passes_an_exploration() {
    let coverage = explore(|cpu| {
        let work = std::rc::Rc::new(AtomicU32::new(0));
        let device = work.clone();
        cpu.handle(TIMER, || ());
        cpu.handle(KEYBOARD, move || _ = device.fetch_add(1, Ordering::Relaxed));
        cpu.source(KEYBOARD);
        set_alarm(cpu, 100, None);
        irq::disable();
        while work.load(Ordering::Relaxed) == 0 {
            halt();
            irq::disable();
        }
        enable();
    });
    assert!(coverage.runs() > 1);
}
