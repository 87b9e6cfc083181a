//! Whatever does not come to an end by itself is given up, with a message that says where.

use std::cell::Cell;
use std::hint::spin_loop;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, FailureCause, Limits, run};

use super::{KEYBOARD, TIMER, enable, failure_within, halt, marked};

const SHORT: Duration = Duration::from_millis(300);

fn at(mark: &str) -> String {
    marked(file!(), include_str!("limits.rs"), mark)
}

#[test]
fn a_main_loop_without_an_end() {
    let failure = failure_within(Limits::DEFAULT.with_operations(1_000), |cpu| {
        loop {
            cpu.point(); // for ever
        }
        #[expect(unreachable_code)]
        ()
    });
    let place = at("for ever");
    assert_eq!(failure.to_string(), format!("no end after 1000 operations; the last one was at {place}"));
}

#[test]
fn an_idle_loop_whose_work_never_comes() {
    let failure = failure_within(Limits::DEFAULT.with_operations(1_001), |cpu| {
        cpu.source(TIMER);
        cpu.handle(TIMER, || ());
        irq::disable();
        let work = Cell::new(false);
        while !work.get() {
            halt(); // nothing to do
            irq::disable();
        }
    });
    let place = at("nothing to do");
    assert_eq!(failure.to_string(), format!("no end after 1001 operations; the last one was at {place}"));
}

#[test]
fn a_handler_that_does_not_return() {
    let failure = failure_within(Limits::DEFAULT.with_operations(1_000), |cpu| {
        cpu.handle(TIMER, move || {
            while cpu.interrupt_flag() == irq::is_enabled() {} // polls for ever
        });
        cpu.point();
        cpu.point();
        cpu.raise(TIMER); // interrupted for ever
    });
    let (place, interrupted) = (at("polls for ever"), at("interrupted for ever"));
    assert_eq!(
        failure.to_string(),
        format!(
            "no end after 1000 operations: the handler of interrupt 0x20, which has interrupted {interrupted}, has \
             begun 999 and has not returned; its last one was at {place}"
        )
    );
}

#[test]
fn as_many_operations_as_the_limit_are_none_too_many() {
    let points = |count| {
        move |cpu: Cpu| {
            for _ in 0..count {
                cpu.point();
            }
        }
    };
    let limits = Limits::DEFAULT.with_operations(10);
    assert!(paravirt_vmi::mock::try_run(limits, points(10)).is_ok());
    failure_within(limits, points(11));
}

#[test]
fn a_handler_that_does_not_return_and_does_nothing() {
    let started = Instant::now();
    let failure = failure_within(Limits::DEFAULT.with_time(SHORT), |cpu| {
        cpu.handle(TIMER, || {
            loop {
                spin_loop();
            }
        });
        irq::disable();
        cpu.raise(TIMER);
        enable();
        cpu.point(); // spins behind this
    });
    assert!(started.elapsed() < Duration::from_secs(5));
    let place = at("spins behind this");
    assert_eq!(
        failure.to_string(),
        format!(
            "no end after 300ms: the handler of interrupt 0x20, which has interrupted {place}, has not returned; the \
             last operation was at {place}"
        )
    );
    assert!(failure.journal.is_empty());
}

#[test]
fn a_test_that_does_not_return_after_its_handler_has() {
    let failure = failure_within(Limits::DEFAULT.with_time(SHORT), |cpu| {
        cpu.handle(TIMER, || irq::disable());
        cpu.raise(TIMER); // returned from
        loop {
            spin_loop();
        }
        #[expect(unreachable_code)]
        ()
    });
    let place = at("returned from");
    assert_eq!(
        failure.to_string(),
        format!("no end after 300ms: the test has not returned; the last operation was at {place}")
    );
}

#[test]
fn a_test_that_does_not_return_and_has_done_nothing() {
    let failure = failure_within(Limits::DEFAULT.with_time(SHORT), |_| {
        loop {
            spin_loop();
        }
        #[expect(unreachable_code)]
        ()
    });
    assert_eq!(failure.to_string(), "no end after 300ms: the test has not returned; there was no operation");
    assert!(matches!(failure.cause, FailureCause::TimeLimit { limit: SHORT, place: None, handler: None }));
}

/// Whether a run that has been given up ends when it does `next`.
fn ends_when_given_up(next: fn(Cpu)) -> bool {
    let (sender, receiver) = channel::<()>();
    failure_within(Limits::DEFAULT.with_time(SHORT), move |cpu| {
        let _ends = sender;
        cpu.handle(TIMER, || ());
        std::thread::sleep(3 * SHORT);
        next(cpu);
        loop {
            spin_loop();
        }
        #[expect(unreachable_code)]
        ()
    });
    // The sender is dropped when the run unwinds.
    receiver.recv_timeout(Duration::from_secs(10)) == Err(RecvTimeoutError::Disconnected)
}

#[test]
fn a_run_that_is_given_up_ends_at_its_next_operation_and_at_its_next_interrupt() {
    assert!(ends_when_given_up(|cpu| cpu.point()));
    assert!(ends_when_given_up(|cpu| cpu.raise(TIMER)));
}

#[test]
fn handlers_that_nest_without_an_end() {
    let failure = failure_within(Limits::DEFAULT.with_nesting(5), |cpu| {
        cpu.handle_reentrant(TIMER, move || {
            enable();
            cpu.point();
            cpu.raise(TIMER); // once more
            irq::disable();
        });
        cpu.raise(TIMER);
    });
    let place = at("once more");
    assert_eq!(
        failure.to_string(),
        format!("interrupt 0x20 at {place} would be handler number 6 under way; the limit is 5")
    );
    assert_eq!(failure.journal.iter().map(|entry| entry.depth).max(), Some(5));
}

#[test]
fn as_many_handlers_as_the_limit_are_none_too_many() {
    let deepest = run(|cpu| {
        let left = Cell::new(Limits::DEFAULT.nesting);
        cpu.handle_reentrant(TIMER, move || {
            left.set(left.get() - 1);
            if left.get() > 0 {
                enable();
                cpu.point();
                cpu.raise(TIMER);
                irq::disable();
            }
        });
        cpu.raise(TIMER);
        cpu.journal().iter().map(|entry| entry.depth).max()
    });
    assert_eq!(deepest, Some(32));
}

#[test]
fn a_storm_of_interrupts_without_a_single_operation() {
    let failure = failure_within(Limits::DEFAULT.with_operations(100), |cpu| {
        cpu.handle(TIMER, move || cpu.raise(TIMER));
        cpu.handle(KEYBOARD, || ());
        cpu.raise(TIMER); // the first of many
    });
    let place = at("the first of many");
    assert_eq!(
        failure.to_string(),
        format!("no end after 100 interrupts; the last one was 0x20, at {place}")
    );
}

#[test]
fn the_limits_hold_outside_a_run_too() {
    let cpu = Cpu::current();
    cpu.reset();
    assert_eq!(cpu.limits(), Limits::default());
    let looping = std::panic::catch_unwind(|| {
        loop {
            Cpu::current().point(); // without a run
        }
    });
    let place = at("without a run");
    assert_eq!(
        looping.unwrap_err().downcast_ref::<String>(),
        Some(&format!("no end after 1000000 operations; the last one was at {place}"))
    );
    cpu.reset();
}

#[test]
fn limits_can_be_changed_one_by_one() {
    let limits = Limits::DEFAULT.with_operations(3).with_nesting(4).with_time(SHORT);
    assert_eq!((limits.operations, limits.nesting, limits.time), (3, 4, SHORT));
    let limits = Limits::default();
    assert_eq!((limits.operations, limits.nesting, limits.time), (1_000_000, 32, Duration::from_secs(10)));
}
