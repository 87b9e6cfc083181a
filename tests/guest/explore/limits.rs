//! Explorations that would not end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, ExplorationError, Explorer, Failure, FailureCause, Flavour, Misuse};

use super::exploration_error;

/// Explores a test of `points` points with two vectors; the error, and how many runs there were before it.
fn refused(explorer: &Explorer, points: usize, source: fn(Cpu, u8)) -> (ExplorationError, usize) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = runs.clone();
    let result = explorer.try_explore(move |cpu| {
        counter.fetch_add(1, SeqCst);
        for vector in [0x20, 0x21] {
            cpu.handle(vector, || ());
            source(cpu, vector);
        }
        (1..points).for_each(|_| cpu.point());
    });
    (exploration_error(result.unwrap_err()), runs.load(SeqCst))
}

#[test]
fn a_bound_that_is_too_large_is_refused_after_one_run_with_the_number_of_runs() {
    let (error, runs) = refused(&Explorer::new().bound(4), 100, Cpu::source);
    assert_eq!(runs, 1);
    // The sum of C(99 + j, j) * 2^j for j from 0 to 4.
    let expected = 1 + 100 * 2 + 5_050 * 4 + 171_700 * 8 + 4_421_275 * 16;
    assert_eq!(
        error.to_string(),
        format!(
            "a bound of 4 is too large: with 100 points and 2 vectors there are at least {expected} runs, and the limit \
             is 1000000; set Explorer::bound to 2, or raise Explorer::max_runs (native)"
        )
    );
    for bound in [1000, usize::MAX] {
        let (error, runs) = refused(&Explorer::new().bound(bound).flavour(Flavour::Vmi), 3, Cpu::source);
        assert_eq!(runs, 1);
        assert!(matches!(error, ExplorationError::BoundTooLarge { fits: 12, .. }), "{error:?}");
    }
}

#[test]
fn the_limit_itself_is_allowed() {
    let explorer = Explorer::new().bound(2).max_runs(1 + 10 * 2 + 55 * 4);
    let test = |cpu: Cpu| {
        for vector in [0x20, 0x21] {
            cpu.handle(vector, || ());
            cpu.source(vector);
        }
        (1..10).for_each(|_| cpu.point());
    };
    assert_eq!(explorer.explore(test).runs(), 2 * 241);
    let error = exploration_error(explorer.max_runs(240).try_explore(test).unwrap_err());
    assert!(
        matches!(error, ExplorationError::BoundTooLarge { runs: 241, max_runs: 240, fits: 1, .. }),
        "{error:?}"
    );
}

#[test]
fn runs_that_could_not_be_foreseen_are_refused_before_they_begin() {
    // Sources with a limit are not counted in advance.
    let (error, runs) = refused(&Explorer::new().bound(3).max_runs(1000), 20, |cpu, vector| {
        cpu.source_limited(vector, 3);
    });
    assert_eq!(runs, 1 + 20 * 2 + 210 * 4);
    assert!(matches!(error, ExplorationError::BoundTooLarge { runs: 13_201, fits: 2, .. }), "{error:?}");
}

fn misuse(failure: Failure) -> Misuse {
    match failure.cause {
        FailureCause::Misuse(misuse) => misuse,
        other => panic!("{other}"),
    }
}

#[test]
fn a_handler_that_never_returns_comes_to_the_limit_of_operations() {
    let failure = Explorer::new()
        .operations(500)
        .try_explore(|cpu| {
            cpu.handle(0x20, || while !irq::is_enabled() {});
            cpu.source(0x20);
            cpu.point();
        })
        .unwrap_err();
    assert_eq!(failure.run.as_ref().unwrap().schedule().to_string(), "native:1=20");
    let misuse = misuse(failure);
    assert!(
        matches!(misuse, Misuse::TooManyOperations { limit: 500, handler: Some((0x20, _)), .. }),
        "{misuse:?}"
    );
}

#[test]
fn a_handler_that_never_returns_without_any_operation_comes_to_the_limit_of_time() {
    let limit = Duration::from_secs(1);
    let start = Instant::now();
    let failure = Explorer::new()
        .time_limit(limit)
        .try_explore(|cpu| {
            cpu.handle(0x20, || {
                loop {
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
            cpu.point();
            cpu.source(0x20);
            cpu.point();
        })
        .unwrap_err();
    assert!(start.elapsed() >= limit && start.elapsed() < 10 * limit, "{:?}", start.elapsed());
    assert!(matches!(failure.cause, FailureCause::TimeLimit { handler: Some((0x20, _)), .. }), "{failure}");
    let run = failure.run.unwrap();
    assert_eq!((run.number, run.schedule().to_string()), (2, "native:1=20".to_owned()));
}

#[test]
fn many_short_runs_may_take_longer_than_the_limit_of_one() {
    let coverage = Explorer::new().time_limit(Duration::from_secs(1)).bound(1).explore(|cpu| {
        cpu.handle(0x20, || ());
        cpu.source(0x20);
        (0..20).for_each(|_| cpu.point());
        std::thread::sleep(Duration::from_millis(30));
    });
    assert_eq!(coverage.runs(), 44);
}

#[test]
fn handlers_that_nest_too_deep_are_found() {
    let failure = Explorer::new()
        .bound(5)
        .nesting(3)
        .try_explore(|cpu| {
            cpu.handle_reentrant(0x20, || {
                // SAFETY: nothing relies on masked interrupts.
                unsafe { irq::enable() };
                irq::disable();
                irq::is_enabled();
                // SAFETY: as above.
                unsafe { irq::enable() };
                irq::is_enabled();
                irq::disable();
            });
            cpu.source(0x20);
        })
        .unwrap_err();
    assert_eq!(failure.run.as_ref().unwrap().interrupts.len(), 4);
    assert!(matches!(misuse(failure), Misuse::NestedTooDeep { vector: 0x20, limit: 3, .. }));
}

#[test]
fn a_source_without_a_handler_is_found() {
    let failure = Explorer::new().try_explore(|cpu| cpu.source(0x33)).unwrap_err();
    assert!(matches!(misuse(failure), Misuse::NoHandler { vector: 0x33, .. }));
}
