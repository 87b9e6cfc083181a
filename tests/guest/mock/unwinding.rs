//! Tests that panic, and tests that catch a panic and go on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use paravirt_vmi::irq;
use paravirt_vmi::mock::{FailureCause, Flavour, Limits, try_run};

use super::{KEYBOARD, TIMER, enable, failure, guard, halt, marked, restore, trace};

fn at(mark: &str) -> String {
    marked(file!(), include_str!("unwinding.rs"), mark)
}

#[test]
fn a_panic_is_why_a_test_fails() {
    let failure = failure(|_| assert_eq!(1 + 1, 3, "sum of {}", "two"));
    let FailureCause::Panic(message) = &failure.cause else { panic!("{failure}") };
    assert!(message.contains("sum of two"), "{message}");
    assert_eq!(failure.to_string(), *message);
}

#[test]
fn a_panic_with_anything_is_a_failure_too() {
    let literal = failure(|_| panic!("literal"));
    assert_eq!(literal.to_string(), "literal");
    let number = failure(|_| std::panic::panic_any(7));
    assert_eq!(number.to_string(), "a panic without a message");
}

#[test]
fn a_handler_that_panics_fails_the_test_with_its_message() {
    let failure = failure(|cpu| {
        cpu.handle(TIMER, || panic!("in the handler"));
        cpu.raise(TIMER);
    });
    assert_eq!(failure.to_string(), "in the handler");
}

#[test]
fn code_whose_handler_has_panicked_goes_on_as_it_was() {
    for flavour in Flavour::ALL {
        let result = try_run(Limits::DEFAULT, move |cpu| {
            cpu.set_flavour(flavour);
            cpu.handle(TIMER, || {
                enable();
                let _section = guard();
                panic!("in the handler");
            });
            cpu.handle(KEYBOARD, || ());
            let state = irq::save();
            let caught = catch_unwind(AssertUnwindSafe(|| {
                irq::without_interrupts(|| cpu.raise(TIMER));
                cpu.point();
            }));
            assert!(caught.is_err());
            assert!(cpu.interrupt_flag());
            restore(state);
            let before = trace(cpu).len();
            cpu.raise(KEYBOARD);
            assert_eq!(trace(cpu)[before..], ["raise 0x21", "  enter 0x21", "leave 0x21"]);
            irq::disable();
            enable();
        });
        assert_eq!(result, Ok(()));
    }
}

#[test]
fn nothing_is_delivered_while_a_test_unwinds_so_that_a_second_panic_cannot_end_the_process() {
    for flavour in Flavour::ALL {
        let failure = failure(move |cpu| {
            cpu.set_flavour(flavour);
            cpu.handle(TIMER, || panic!("the second"));
            irq::without_interrupts(|| {
                cpu.raise(TIMER);
                panic!("the first");
            });
        });
        assert_eq!(failure.to_string(), "the first");
    }
}

/// Does what must not be done when it is dropped.
struct Halts;

impl Drop for Halts {
    fn drop(&mut self) {
        irq::disable();
        halt(); // while it unwinds
        enable();
    }
}

#[test]
fn misuse_while_a_test_unwinds_is_not_why_it_fails() {
    let failure = failure(|_| {
        let _halts = Halts;
        panic!("the reason");
    });
    assert_eq!(failure.to_string(), "the reason");
}

#[test]
fn misuse_while_code_unwinds_fails_a_test_that_catches_the_panic() {
    let failure = failure(|_| {
        let caught = catch_unwind(|| {
            let _halts = Halts;
            panic!("caught");
        });
        assert!(caught.is_err());
    });
    let place = at("while it unwinds");
    assert!(
        failure.to_string().starts_with(&format!("halted at {place} with interrupts masked")),
        "{failure}"
    );
}

#[test]
fn misuse_that_a_test_catches_fails_it_all_the_same() {
    let failure = failure(|cpu| {
        let caught = catch_unwind(|| halt()); // caught
        assert!(caught.is_err());
        cpu.reset();
        enable();
        panic!("the consequence");
    });
    let place = at("caught");
    assert_eq!(
        failure.to_string(),
        format!("halted at {place} with nothing pending, and nothing is left that could wake the processor")
    );
}

#[test]
fn two_misuses_at_once_end_with_the_first() {
    let failure = failure(|_| {
        let _halts = Halts;
        let outer = guard(); // the outer one
        let inner = guard(); // the inner one
        drop(outer);
        drop(inner);
    });
    let (outer, inner) = (at("the outer one"), at("the inner one"));
    assert_eq!(
        failure.to_string(),
        format!(
            "restore out of order: the guard created at {outer} is dropped before the one created at {inner}"
        )
    );
}

/// Panics when it is dropped.
struct Panics;

impl Panics {
    fn keep(&self) {}
}

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_handler_that_panics_when_it_is_dropped_fails_the_test() {
    let failure = failure(|cpu| {
        let panics = Panics;
        cpu.handle(TIMER, move || panics.keep());
    });
    assert_eq!(failure.to_string(), "dropped");
}

#[test]
#[should_panic = "the test ends with interrupts masked by DisableInterrupts at "]
fn run_panics_with_the_message() {
    paravirt_vmi::mock::run(|_| irq::disable());
}
