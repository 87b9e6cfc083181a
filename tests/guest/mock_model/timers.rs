//! Alarms that go off as time passes.

use std::cell::RefCell;
use std::num::NonZero;
use std::rc::Rc;

use paravirt_vmi::apic::{LocalApic, Register};
use paravirt_vmi::mock::{self, Cpu};
use paravirt_vmi::time::{Alarm, AlarmCounter, Clock, Wiring};
use paravirt_vmi::{irq, port};

/// When which vector was delivered.
pub(super) type Log = Rc<RefCell<Vec<(u64, u8)>>>;

pub(super) const IRQ0: u8 = 0x20;
pub(super) const TIMER: u8 = 0x31;

/// A clock whose alarms, wired to either vector, are written down; operations take no time.
pub(super) fn clock(cpu: Cpu) -> (Clock, Log) {
    cpu.set_cycles_per_operation(0);
    cpu.set_clock_frequency(1_000_000);
    let log = Log::default();
    for vector in [IRQ0, TIMER] {
        let log = log.clone();
        cpu.handle(vector, move || log.borrow_mut().push((cpu.cycles(), vector)));
    }
    (Clock::find().unwrap(), log)
}

/// Sets what the timer of the local APIC does.
pub(super) fn set_timer(register: Register, value: u32) {
    // SAFETY: the mock's local APIC is at every address.
    let apic = unsafe { LocalApic::new(0xfee0_0000) };
    // SAFETY: the vectors here have handlers.
    unsafe { apic.write(register, value) };
}

/// An alarm that goes off once, and raises IRQ 0.
pub(super) const fn once(counter: AlarmCounter, expiry: u64) -> Alarm {
    Alarm { counter, expiry, period: None, wiring: Wiring::Irq0 }
}

pub(super) const fn every(period: u64, alarm: Alarm) -> Alarm {
    Alarm { period: NonZero::new(period), ..alarm }
}

/// Sleeps until an interrupt has been delivered.
pub(super) fn halt() {
    irq::disable();
    // SAFETY: nobody above relies on masked interrupts.
    unsafe { irq::enable_and_halt() };
}

#[test]
fn an_alarm_goes_off_when_its_count_is_reached_and_not_before() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        clock.set_alarm(once(AlarmCounter::Real, 100));
        cpu.advance(99);
        assert_eq!(*log.borrow(), []);
        cpu.advance(1);
        cpu.advance(1000);
        assert_eq!(*log.borrow(), [(100, IRQ0)]);
    });
}

#[test]
fn an_alarm_whose_count_has_passed_goes_off_at_once() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        cpu.advance(100);
        clock.set_alarm(once(AlarmCounter::Real, 50));
        assert_eq!(*log.borrow(), [(100, IRQ0)]);
    });
}

#[test]
fn an_alarm_goes_off_between_operations_that_take_time() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        cpu.set_cycles_per_operation(10);
        clock.set_alarm(once(AlarmCounter::Real, 35));
        port::io_delay();
        port::io_delay();
        assert_eq!(*log.borrow(), []);
        port::io_delay();
        assert_eq!(*log.borrow(), [(40, IRQ0)]);
    });
}

#[test]
fn a_periodic_alarm_goes_off_at_each_of_its_counts() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        clock.set_alarm(every(30, once(AlarmCounter::Real, 100)));
        cpu.advance(170);
        assert_eq!(*log.borrow(), [(100, IRQ0), (130, IRQ0), (160, IRQ0)]);
    });
}

#[test]
fn expiries_that_are_missed_count_as_one() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        clock.set_alarm(every(30, once(AlarmCounter::Real, 100)));
        irq::disable();
        cpu.advance(170);
        halt();
        cpu.advance(10);
        assert_eq!(*log.borrow(), [(170, IRQ0)]);
        cpu.advance(10);
        assert_eq!(*log.borrow(), [(170, IRQ0), (190, IRQ0)]);
    });
}

#[test]
fn expiries_that_are_missed_cost_no_time() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        clock.set_alarm(every(1, once(AlarmCounter::Real, 1)));
        irq::disable();
        cpu.advance(1 << 60);
        clock.cancel_alarm(AlarmCounter::Real);
        halt();
        assert_eq!(*log.borrow(), [(1 << 60, IRQ0)]);
    });
}

#[test]
fn a_second_alarm_of_a_counter_takes_the_place_of_the_first() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        clock.set_alarm(once(AlarmCounter::Real, 100));
        clock.set_alarm(once(AlarmCounter::Real, 200));
        cpu.advance(1000);
        assert_eq!(*log.borrow(), [(200, IRQ0)]);
    });
}

#[test]
fn stolen_cycles_put_off_an_alarm_of_the_available_counter_alone() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        cpu.set_irq0_vector(TIMER);
        clock.set_alarm(once(AlarmCounter::Real, 100));
        cpu.steal(60);
        cpu.advance(1000);
        cpu.set_irq0_vector(IRQ0);
        clock.set_alarm(once(AlarmCounter::Available, 1100));
        cpu.steal(7);
        cpu.advance(1000);
        assert_eq!(*log.borrow(), [(100, TIMER), (1167, IRQ0)]);
    });
}

#[test]
fn an_alarm_goes_off_only_while_the_processor_has_the_machine() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        clock.set_alarm(once(AlarmCounter::Real, 100));
        cpu.steal(500);
        assert_eq!(*log.borrow(), [(500, IRQ0)]);
    });
}

#[test]
fn an_alarm_can_be_wired_to_the_vector_of_the_apics_timer() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        set_timer(Register::LVT_TIMER, TIMER.into());
        let wired = Alarm { wiring: Wiring::LocalApicTimer, ..once(AlarmCounter::Real, 10) };
        clock.set_alarm(wired);
        cpu.advance(20);
        set_timer(Register::LVT_TIMER, 1 << 16 | u32::from(TIMER));
        clock.set_alarm(Alarm { expiry: 30, ..wired }); // masked there
        cpu.advance(20);
        assert_eq!(*log.borrow(), [(10, TIMER)]);
    });
}

#[test]
fn what_is_due_within_one_operation_comes_in_the_order_of_time() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        cpu.set_irq0_vector(IRQ0);
        set_timer(Register::LVT_TIMER, TIMER.into());
        set_timer(Register::TIMER_DIVIDE, 11);
        set_timer(Register::TIMER_INITIAL_COUNT, 50);
        clock.set_alarm(once(AlarmCounter::Real, 60));
        cpu.set_cycles_per_operation(100);
        port::io_delay();
        assert_eq!(*log.borrow(), [(100, TIMER), (100, IRQ0)]);
    });
}

#[test]
fn an_alarm_at_the_end_of_time_is_no_error() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        cpu.steal(5);
        clock.set_alarm(every(3, once(AlarmCounter::Available, u64::MAX - 1))); // never
        clock.set_alarm(every(7, once(AlarmCounter::Real, u64::MAX)));
        halt();
        cpu.advance(u64::MAX);
        assert_eq!(*log.borrow(), [(u64::MAX, IRQ0)]);
    });
}

#[test]
fn the_cycles_of_a_handler_are_among_those_that_pass() {
    mock::run(|cpu| {
        let (clock, _) = clock(cpu);
        let log = Log::default();
        let of_handler = log.clone();
        cpu.handle(IRQ0, move || {
            of_handler.borrow_mut().push((cpu.cycles(), IRQ0));
            cpu.advance(25);
        });
        clock.set_alarm(every(30, once(AlarmCounter::Real, 10)));
        cpu.advance(35);
        assert_eq!((cpu.cycles(), &*log.borrow()), (35, &vec![(10, IRQ0)]));
        cpu.advance(5);
        assert_eq!((cpu.cycles(), &*log.borrow()), (65, &vec![(10, IRQ0), (40, IRQ0)]));
    });
}
