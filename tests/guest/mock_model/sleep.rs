//! Alarms and timers wake a processor that is halted.

use paravirt_vmi::apic::Register;
use paravirt_vmi::irq;
use paravirt_vmi::mock;
use paravirt_vmi::time::{Alarm, AlarmCounter, Wiring};

use super::failure;
use super::timers::{IRQ0, TIMER, clock, every, halt, once, set_timer};

#[test]
fn a_halted_processor_comes_to_the_next_alarm_at_once() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        clock.set_alarm(once(AlarmCounter::Available, 1_000_000_000_000));
        halt();
        assert_eq!(*log.borrow(), [(1_000_000_000_000, IRQ0)]);
    });
}

#[test]
fn a_halted_processor_comes_to_the_next_end_of_the_apics_timer() {
    mock::run(|cpu| {
        let (_, log) = clock(cpu);
        set_timer(Register::LVT_TIMER, 1 << 17 | u32::from(TIMER));
        set_timer(Register::TIMER_DIVIDE, 11);
        set_timer(Register::TIMER_INITIAL_COUNT, 1000);
        halt();
        halt();
        assert_eq!(*log.borrow(), [(1000, TIMER), (2000, TIMER)]);
    });
}

#[test]
fn what_interrupts_nobody_wakes_nobody() {
    let masked = failure(|cpu| {
        let (clock, _) = clock(cpu);
        let wiring = Wiring::LocalApicTimer;
        clock.set_alarm(every(1, Alarm { wiring, ..once(AlarmCounter::Real, 10) }));
        set_timer(Register::TIMER_INITIAL_COUNT, 1000); // masked as well
        halt();
    });
    assert!(masked.contains("nothing wakes the processor"), "{masked}");
    let held_back = failure(|cpu| {
        clock(cpu);
        set_timer(Register::TASK_PRIORITY, 0xff);
        set_timer(Register::LVT_TIMER, 1 << 17 | u32::from(TIMER));
        set_timer(Register::TIMER_INITIAL_COUNT, 1000);
        halt();
    });
    assert!(held_back.contains("nothing wakes the processor"), "{held_back}");
    let of_exception = failure(|cpu| {
        clock(cpu);
        set_timer(Register::LVT_TIMER, 1 << 17 | 15);
        set_timer(Register::TIMER_INITIAL_COUNT, 1000);
        cpu.advance(10_000);
        halt();
    });
    assert!(of_exception.contains("nothing wakes the processor"), "{of_exception}");
}

#[test]
fn the_handler_of_an_alarm_is_not_woken_by_its_own_vector_but_by_another() {
    mock::run(|cpu| {
        let (clock, log) = clock(cpu);
        set_timer(Register::LVT_TIMER, TIMER.into());
        clock.set_alarm(every(10, once(AlarmCounter::Real, 10)));
        let wiring = Wiring::LocalApicTimer;
        clock.set_alarm(Alarm { wiring, ..once(AlarmCounter::Available, 55) });
        let of_handler = log.clone();
        cpu.handle(IRQ0, move || {
            of_handler.borrow_mut().push((cpu.cycles(), IRQ0));
            if of_handler.borrow().len() == 1 {
                halt();
                irq::disable();
                clock.cancel_alarm(AlarmCounter::Real);
            }
        });
        halt();
        assert_eq!(*log.borrow(), [(10, IRQ0), (55, TIMER), (55, IRQ0)]);
    });
}

#[test]
fn what_the_task_priority_holds_back_leaves_the_wake_up_to_another_device() {
    mock::run(|cpu| {
        let (_, log) = clock(cpu);
        cpu.source(IRQ0);
        set_timer(Register::TASK_PRIORITY, 0xff);
        set_timer(Register::LVT_TIMER, TIMER.into());
        set_timer(Register::TIMER_INITIAL_COUNT, 1000);
        halt();
        assert_eq!(*log.borrow(), [(0, IRQ0)]);
    });
}
