//! The machine's time, and the hypervisor's clock.

use std::num::NonZero;
use std::time::Duration;

use paravirt_vmi::abi::flags::Counter;
use paravirt_vmi::mock::{self, Cpu};
use paravirt_vmi::time::{Alarm, AlarmCounter, Clock, Wiring};
use paravirt_vmi::{cpu, port};

/// The clock of a processor whose operations take no time.
fn clock(cpu: Cpu) -> Clock {
    cpu.set_cycles_per_operation(0);
    cpu.set_clock_frequency(1_000_000);
    Clock::find().unwrap()
}

fn counters(clock: Clock) -> [u64; 3] {
    [Counter::REAL, Counter::AVAILABLE, Counter::STOLEN].map(|counter| clock.counter(counter))
}

#[test]
fn each_operation_takes_a_cycle_and_the_time_stamp_counts_them() {
    mock::run(|cpu| {
        let first = cpu::rdtsc();
        port::io_delay();
        assert_eq!(cpu::rdtsc(), first + 2);
        cpu.set_cycles_per_operation(50);
        assert_eq!(cpu::rdtsc(), first + 52);
        cpu.advance(1000);
        assert_eq!((cpu::rdtsc(), cpu.cycles()), (first + 1102, 1103));
    });
}

#[test]
fn the_time_stamp_counter_is_a_register_that_can_be_written() {
    mock::run(|cpu| {
        cpu.set_cycles_per_operation(0);
        cpu.advance(10);
        // SAFETY: nothing relies on the counter.
        unsafe { cpu::wrmsr(0x10, 0x1_0000_0000) };
        cpu.advance(5);
        // SAFETY: reads only.
        assert_eq!((cpu::rdtsc(), unsafe { cpu::rdmsr(0x10) }), (0x1_0000_0005, 0x1_0000_0005));
        assert_eq!((cpu.cycles(), cpu.msr(0x10)), (15, Some(0x1_0000_0005)));
        cpu.set_msr(0x10, 7);
        assert_eq!(cpu::rdtsc(), 7);
    });
}

#[test]
fn there_is_no_clock_until_it_has_a_frequency() {
    mock::run(|cpu| {
        assert_eq!(Clock::find(), None);
        cpu.set_clock_frequency(0x1_2345_6789);
        assert_eq!(Clock::find().unwrap().frequency().get(), 0x1_2345_6789);
    });
}

#[test]
fn the_real_counter_is_the_sum_of_the_available_and_the_stolen() {
    mock::run(|cpu| {
        let clock = clock(cpu);
        assert_eq!(counters(clock), [0, 0, 0]);
        cpu.advance(100);
        cpu.steal(30);
        cpu.advance(5);
        assert_eq!(counters(clock), [135, 105, 30]);
        assert_eq!(clock.counter(Counter(7)), 0);
    });
}

#[test]
fn cancelling_says_whether_the_alarm_was_still_to_go_off() {
    mock::run(|cpu| {
        cpu.handle(0x20, || ());
        let clock = clock(cpu);
        let counter = AlarmCounter::Real;
        assert!(!clock.cancel_alarm(counter));
        let once = Alarm { counter, expiry: 10, period: None, wiring: Wiring::Irq0 };
        clock.set_alarm(once);
        assert!(!clock.cancel_alarm(AlarmCounter::Available));
        assert!(clock.cancel_alarm(counter));
        assert!(!clock.cancel_alarm(counter));
        clock.set_alarm(once);
        cpu.advance(10);
        assert!(!clock.cancel_alarm(counter)); // it has gone off
        clock.set_alarm(Alarm { expiry: 20, period: NonZero::new(10), ..once });
        cpu.advance(10);
        assert!(clock.cancel_alarm(counter)); // it goes off again
        let before = cpu.journal().len();
        cpu.advance(100);
        assert_eq!(cpu.journal().len(), before);
    });
}

#[test]
fn the_wall_clock_runs_with_the_real_counter_from_when_it_was_set() {
    mock::run(|cpu| {
        let clock = clock(cpu);
        assert_eq!(clock.wall_clock(), None);
        cpu.advance(77);
        let start = Duration::new(1_142_467_200, 5);
        cpu.set_wall_clock(start);
        assert_eq!(clock.wall_clock(), Some(start));
        cpu.advance(2_000_000);
        cpu.steal(1_000_001);
        assert_eq!(clock.wall_clock(), Some(start + Duration::from_micros(3_000_001)));
        cpu.set_clock_frequency(1_000);
        cpu.advance(1_000);
        assert_eq!(clock.wall_clock(), Some(start + Duration::from_micros(4_000_001)));
    });
}

#[test]
fn a_jump_of_the_wall_clock_is_told_once() {
    mock::run(|cpu| {
        let clock = clock(cpu);
        cpu.set_wall_clock(Duration::from_secs(1_000_000_000));
        assert!(!clock.wall_clock_jumped()); // it has been so all the time
        cpu.set_wall_clock(Duration::from_secs(1_000_000_500));
        cpu.set_wall_clock(Duration::from_secs(1_000_001_000));
        assert!(clock.wall_clock_jumped());
        assert!(!clock.wall_clock_jumped());
        assert_eq!(clock.wall_clock(), Some(Duration::from_secs(1_000_001_000)));
    });
}

#[test]
fn a_reset_takes_time_and_alarms_back() {
    let cpu = Cpu::current();
    cpu.reset();
    let clock = clock(cpu);
    cpu.advance(5);
    clock.set_alarm(Alarm { counter: AlarmCounter::Real, expiry: 10, period: None, wiring: Wiring::Irq0 });
    cpu.reset();
    assert_eq!((cpu.cycles(), Clock::find()), (0, None));
    assert!(!clock.cancel_alarm(AlarmCounter::Real));
}
