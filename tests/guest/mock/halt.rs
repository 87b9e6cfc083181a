//! Halting: what wakes the processor, and what must not be flagged.

use std::cell::Cell;
use std::rc::Rc;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, run};

use super::{KEYBOARD, TIMER, enable, failure, halt, marked, traces};

fn at(mark: &str) -> String {
    marked(file!(), include_str!("halt.rs"), mark)
}

#[test]
fn halt_unmasks_and_everything_that_is_pending_is_handled_before_it_returns() {
    for trace in traces(|cpu| {
        irq::disable();
        cpu.raise(KEYBOARD);
        cpu.raise(TIMER);
        halt();
        assert!(cpu.interrupt_flag());
        irq::disable();
        enable();
    }) {
        assert_eq!(
            trace,
            [
                "DisableInterrupts",
                "raise 0x21",
                "raise 0x20",
                "Halt",
                "  enter 0x21",
                "leave 0x21",
                "  enter 0x20",
                "leave 0x20",
                "DisableInterrupts",
                "EnableInterrupts",
            ]
        );
    }
}

#[test]
fn a_source_wakes_a_processor_that_is_halted_so_often_as_it_may() {
    for trace in traces(|cpu| {
        cpu.source_limited(TIMER, 1);
        cpu.source_limited(KEYBOARD, 1);
        halt();
        halt();
    }) {
        assert_eq!(trace, ["Halt", "  enter 0x20", "leave 0x20", "Halt", "  enter 0x21", "leave 0x21"]);
    }
}

#[test]
fn a_source_does_not_wake_a_processor_that_something_pending_wakes() {
    for trace in traces(|cpu| {
        cpu.source(KEYBOARD);
        irq::disable();
        cpu.raise(TIMER);
        halt();
    }) {
        assert_eq!(trace[2..], ["Halt", "  enter 0x20", "leave 0x20"]);
    }
}

#[test]
fn a_source_takes_the_place_of_another_one_with_its_vector() {
    let failure = failure(|cpu| {
        cpu.handle(TIMER, || ());
        cpu.source(TIMER);
        cpu.source_limited(TIMER, 1);
        halt();
        halt(); // nothing is left
    });
    let place = at("nothing is left");
    assert_eq!(
        failure.to_string(),
        format!("halted at {place} with nothing pending, and nothing is left that could wake the processor")
    );
}

#[test]
fn sti_in_front_of_halt_leaves_a_window_between_the_two_in_both_flavours() {
    for flavour in paravirt_vmi::mock::Flavour::ALL {
        let failure = failure(move |cpu| {
            cpu.set_flavour(flavour);
            cpu.handle(TIMER, || ());
            irq::disable();
            cpu.raise(TIMER);
            enable();
            halt(); // behind sti
        });
        let place = at("behind sti");
        assert_eq!(
            failure.to_string(),
            format!(
                "halted at {place} with nothing pending, and nothing is left that could wake the processor"
            )
        );
    }
}

#[test]
fn a_handler_may_halt_for_another_interrupt() {
    for trace in traces(|cpu| {
        cpu.source(KEYBOARD);
        cpu.handle(TIMER, || {
            halt();
            irq::disable();
        });
        cpu.raise(TIMER);
    }) {
        assert_eq!(
            trace,
            [
                "raise 0x20",
                "  enter 0x20",
                "  Halt",
                "    enter 0x21",
                "  leave 0x21",
                "  DisableInterrupts",
                "leave 0x20",
            ]
        );
    }
}

#[test]
fn a_halted_handler_is_not_woken_by_its_own_vector() {
    let failure = failure(|cpu: Cpu| {
        cpu.source(TIMER);
        cpu.handle(TIMER, || halt()); // in the handler
        cpu.raise(TIMER); // its interrupt
    });
    let (place, interrupted) = (at("in the handler"), at("its interrupt"));
    assert_eq!(
        failure.to_string(),
        format!(
            "halted at {place} with interrupts masked by the delivery of interrupt 0x20 at {interrupted}, and with \
             nothing pending: nothing wakes the processor"
        )
    );
}

#[test]
fn the_idle_loop_of_the_documentation_comes_to_its_end() {
    let ready = run(|cpu| {
        let ready = Rc::new(Cell::new(0));
        let handler = ready.clone();
        cpu.handle(TIMER, || ());
        cpu.handle(KEYBOARD, move || handler.set(handler.get() + 1));
        cpu.source_limited(TIMER, 3);
        cpu.source(KEYBOARD);
        irq::disable();
        while ready.get() == 0 {
            halt();
            irq::disable();
        }
        enable();
        ready.get()
    });
    assert_eq!(ready, 1);
}
