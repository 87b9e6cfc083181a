//! What a run gives back, and what it leaves behind: nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::thread;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, Flavour, Limits, run, try_run};

use super::{TIMER, enable, failure, trace};

#[test]
fn a_run_gives_back_what_its_closure_does() {
    assert_eq!(run(|_| "value"), "value");
    assert_eq!(try_run(Limits::DEFAULT, |_| 7), Ok(7));
}

#[test]
fn a_run_begins_unmasked_natively_with_an_empty_journal_and_its_limits() {
    let limits = Limits::DEFAULT.with_operations(77);
    let result = try_run(limits, move |cpu| {
        assert!(cpu.interrupt_flag());
        assert_eq!(cpu.flavour(), Flavour::Native);
        assert!(cpu.journal().is_empty());
        assert_eq!(cpu.limits(), limits);
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn a_run_does_not_touch_the_processor_of_its_thread() {
    let cpu = Cpu::current();
    cpu.reset();
    irq::disable();
    run(|cpu| {
        cpu.handle(TIMER, || ());
        cpu.raise(TIMER);
    });
    assert!(!cpu.interrupt_flag());
    assert_eq!(trace(cpu), ["DisableInterrupts"]);
    cpu.reset();
}

#[test]
fn a_failure_has_the_journal() {
    let failure = failure(|cpu| {
        cpu.handle(TIMER, || ());
        cpu.raise(TIMER);
        irq::disable();
    });
    let journal: Vec<String> = failure.journal.iter().map(super::line).collect();
    assert_eq!(journal, ["raise 0x20", "  enter 0x20", "leave 0x20", "DisableInterrupts"]);
}

#[test]
fn a_run_has_the_name_of_its_test() {
    let outside = thread::current().name().map(str::to_string);
    assert_eq!(run(|_| thread::current().name().map(str::to_string)), outside);
}

#[test]
fn a_run_inside_a_run_has_a_processor_of_its_own() {
    run(|cpu| {
        irq::disable();
        run(|inner| {
            assert!(inner.interrupt_flag());
            inner.handle(TIMER, || ());
            inner.raise(TIMER);
        });
        assert!(!cpu.interrupt_flag());
        assert_eq!(trace(cpu), ["DisableInterrupts"]);
        enable();
    });
}

#[test]
fn runs_in_parallel_do_not_meet() {
    const RUNS: usize = 8;
    let barrier = std::sync::Arc::new(Barrier::new(RUNS));
    let threads: Vec<_> = (0..RUNS)
        .map(|number| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                run(move |cpu| {
                    let vector = 0x20 + number as u8;
                    cpu.handle(vector, || ());
                    barrier.wait();
                    for _ in 0..100 {
                        irq::without_interrupts(|| {
                            cpu.raise(vector);
                            barrier.wait();
                        });
                        cpu.point();
                    }
                    cpu.journal()
                })
            })
        })
        .collect();
    for (number, thread) in threads.into_iter().enumerate() {
        let journal = thread.join().unwrap();
        let vector = format!("{:#04x}", 0x20 + number);
        assert_eq!(journal.len(), 600);
        let others =
            journal.iter().map(super::line).filter(|line| line.contains("0x") && !line.ends_with(&vector));
        assert_eq!(others.count(), 0);
    }
}

#[test]
fn a_run_fails_in_the_thread_that_has_started_it() {
    let caught = catch_unwind(AssertUnwindSafe(|| run(|_| panic!("inside"))));
    assert_eq!(caught.unwrap_err().downcast_ref::<String>().map(String::as_str), Some("inside"));
}
