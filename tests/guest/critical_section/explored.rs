//! What exploration sees of sections, whoever provides them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use paravirt_vmi::irq::without_interrupts;
use paravirt_vmi::mock::{Cpu, Explorer, Failure, FailureCause};
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering::Relaxed};

const VECTOR: u8 = 0x20;

/// Counts up in two operations: an interrupt between them whose handler counts up too is lost.
fn count_up(count: &AtomicU32) {
    count.store(count.load(Relaxed) + 1, Relaxed);
}

/// Explores a test that counts twice, by `count`, and a handler that counts too.
fn explore_counting(count: fn(&AtomicU32)) -> Result<(), Failure> {
    let test = move |cpu: Cpu| {
        let counter = Rc::new(AtomicU32::new(0));
        let ticks = Rc::new(Cell::new(0));
        let (of_handler, ticked) = (counter.clone(), ticks.clone());
        cpu.handle(VECTOR, move || {
            ticked.set(ticked.get() + 1);
            count(&of_handler);
        });
        cpu.source(VECTOR);
        count(&counter);
        count(&counter);
        without_interrupts(|| assert_eq!(counter.load(Relaxed), 2 + ticks.get(), "a count is lost"));
    };
    Explorer::new().try_explore(test).map(|_| ())
}

#[test]
fn a_count_without_sections_is_lost_and_found_out() {
    let cause = explore_counting(count_up).unwrap_err().cause;
    let FailureCause::Panic(message) = cause else { panic!("{cause}") };
    assert!(message.contains("a count is lost"), "{message}");
}

#[test]
fn no_count_in_sections_is_lost_wherever_interrupts_come() {
    explore_counting(|count| critical_section::with(|_| count_up(count))).unwrap();
}

#[test]
fn an_interrupt_between_an_operation_and_a_section_is_tried() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let all = seen.clone();
    Explorer::new().bound(1).explore(move |cpu| {
        let step = Rc::new(AtomicU32::new(1));
        let found = Rc::new(AtomicU32::new(0));
        let (of_test, of_handler) = (step.clone(), found.clone());
        cpu.handle(VECTOR, move || of_handler.store(step.load(Relaxed), Relaxed));
        cpu.source(VECTOR);
        of_test.store(2, Relaxed);
        let in_section = critical_section::with(|_| {
            of_test.store(3, Relaxed);
            found.load(Relaxed)
        });
        all.lock().unwrap().insert(in_section);
    });
    // Before the first step, between it and the section, and not before the section's end.
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from([0, 1, 2]));
}
