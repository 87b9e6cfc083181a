//! Handlers: how they are entered, how they nest, how they are replaced.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, Flavour, run};

use super::{KEYBOARD, TIMER, enable, trace, traces};

#[test]
fn a_handler_runs_masked_and_its_return_unmasks() {
    for flavour in Flavour::ALL {
        run(move |cpu| {
            cpu.set_flavour(flavour);
            let runs = Rc::new(Cell::new(0));
            let count = runs.clone();
            cpu.handle(TIMER, move || {
                assert!(!cpu.interrupt_flag() && !irq::is_enabled());
                count.set(count.get() + 1);
            });
            cpu.raise(TIMER);
            assert!(cpu.interrupt_flag());
            assert_eq!(runs.get(), 1);
        });
    }
}

#[test]
fn an_interrupt_that_comes_while_a_handler_runs_waits_until_it_returns() {
    for trace in traces(|cpu| {
        cpu.handle(TIMER, move || {
            cpu.raise(KEYBOARD);
            cpu.point();
        });
        cpu.raise(TIMER);
    }) {
        assert_eq!(
            trace,
            ["raise 0x20", "  enter 0x20", "  raise 0x21", "leave 0x20", "  enter 0x21", "leave 0x21"]
        );
    }
}

#[test]
fn a_handler_that_unmasks_is_interrupted_by_others() {
    let [native, vmi] = traces(|cpu| {
        cpu.handle(TIMER, move || {
            cpu.raise(KEYBOARD);
            enable();
            cpu.point();
            irq::disable();
        });
        cpu.raise(TIMER);
        assert!(cpu.interrupt_flag());
    });
    let nested = [
        "raise 0x20",
        "  enter 0x20",
        "  raise 0x21",
        "  EnableInterrupts",
        "    enter 0x21",
        "  leave 0x21",
        "  DisableInterrupts",
        "leave 0x20",
    ];
    assert_eq!(native, nested);
    assert_eq!(vmi, nested);
}

#[test]
fn a_handler_is_not_interrupted_by_its_own_vector_but_comes_again() {
    for trace in traces(|cpu| {
        let first = Cell::new(true);
        cpu.handle(TIMER, move || {
            if first.replace(false) {
                cpu.raise(TIMER);
                enable();
                cpu.point();
                assert!(cpu.is_pending(TIMER));
                irq::disable();
            }
        });
        cpu.raise(TIMER);
        assert!(!cpu.is_pending(TIMER));
    }) {
        assert_eq!(
            trace,
            [
                "raise 0x20",
                "  enter 0x20",
                "  raise 0x20",
                "  EnableInterrupts",
                "  DisableInterrupts",
                "leave 0x20",
                "  enter 0x20",
                "leave 0x20",
            ]
        );
    }
}

#[test]
fn a_vector_that_waits_for_its_own_handler_does_not_hold_up_others() {
    for trace in traces(|cpu| {
        let first = Cell::new(true);
        cpu.handle(TIMER, move || {
            if first.replace(false) {
                cpu.raise(TIMER);
                cpu.raise(KEYBOARD);
                enable();
                cpu.point();
                irq::disable();
            }
        });
        cpu.raise(TIMER);
    }) {
        let handlers: Vec<&str> =
            trace.iter().map(String::as_str).filter(|line| line.contains("0x2")).collect();
        assert_eq!(
            handlers[3..],
            ["  raise 0x21", "    enter 0x21", "  leave 0x21", "leave 0x20", "  enter 0x20", "leave 0x20"]
        );
    }
}

#[test]
fn a_reentrant_handler_is_interrupted_by_its_own_vector_once_it_has_unmasked() {
    for trace in traces(|cpu| {
        let left = Cell::new(2);
        cpu.handle_reentrant(TIMER, move || {
            if left.replace(left.get() - 1) > 0 {
                cpu.raise(TIMER);
                enable();
                cpu.point();
                irq::disable();
            }
        });
        cpu.raise(TIMER);
    }) {
        let depths: Vec<usize> = trace
            .iter()
            .filter(|line| line.contains("enter"))
            .map(|line| line.chars().take_while(|character| *character == ' ').count())
            .collect();
        assert_eq!(depths, [2, 4, 6]);
    }
}

#[test]
fn a_handler_has_sections_of_its_own() {
    for trace in traces(|cpu| {
        cpu.handle(TIMER, || {
            irq::without_interrupts(|| ());
            let state = irq::save();
            irq::disable();
            // SAFETY: the state says masked.
            unsafe { irq::restore(state) };
        });
        let state = irq::save();
        cpu.raise(TIMER);
        irq::disable();
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::restore(state) };
    }) {
        assert_eq!(trace.last().unwrap(), "SetInterruptMask");
    }
}

#[test]
fn a_handler_can_replace_itself_while_it_runs() {
    run(|cpu| {
        let order = Rc::new(RefCell::new(Vec::new()));
        let (first, second) = (order.clone(), order.clone());
        let second = Cell::new(Some(second));
        cpu.handle(TIMER, move || {
            let second = second.take().expect("it runs once");
            cpu.handle(TIMER, move || second.borrow_mut().push("second"));
            first.borrow_mut().push("first");
        });
        cpu.raise(TIMER);
        cpu.raise(TIMER);
        assert_eq!(*order.borrow(), ["first", "second"]);
    });
}

/// Uses the processor when it is dropped.
struct Masks;

impl Masks {
    fn keep(&self) {}
}

impl Drop for Masks {
    fn drop(&mut self) {
        irq::without_interrupts(|| ());
    }
}

#[test]
fn what_a_handler_owns_may_use_the_processor_when_it_is_dropped() {
    let install = |cpu: Cpu| {
        let owned = Masks;
        cpu.handle(TIMER, move || owned.keep());
    };
    run(move |cpu| {
        install(cpu);
        install(cpu); // the first one is dropped here
        assert_eq!(trace(cpu), ["GetInterruptMask", "DisableInterrupts", "EnableInterrupts"]);
    });
    std::thread::spawn(move || {
        install(Cpu::current());
        Cpu::current().reset();
        install(Cpu::current()); // this one is dropped with the thread
    })
    .join()
    .unwrap();
}

#[test]
fn a_handler_that_resets_the_processor_returns_to_masked_code() {
    run(|cpu| {
        cpu.handle(TIMER, move || cpu.reset());
        cpu.raise(TIMER);
        assert!(!cpu.interrupt_flag());
        assert_eq!(trace(cpu), ["leave 0x20"]);
        enable();
        cpu.point();
    });
}
