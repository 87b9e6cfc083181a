//! What an exploration finds, and how it says so.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use paravirt_vmi::irq;
use paravirt_vmi::mock::{self, Cpu, ExplorationError, Explorer, FailureCause, Flavour, Misuse, Now};
use paravirt_vmi::sync::UnsafeCell;
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{count_interrupts, exploration_error};

/// The lines of `increment` that the messages name.
const LOAD: u32 = line!() + 5;
const STORE: u32 = LOAD + 1;

/// Loses what a handler does between its two accesses.
fn increment(counter: &AtomicU32) {
    let value = counter.load(Relaxed);
    counter.store(value + 1, Relaxed);
}

const HANDLER: u32 = line!() + 6;

/// The main loop and a handler count together.
fn race(cpu: Cpu) {
    let (counter, interrupts) = (Rc::new(AtomicU32::new(0)), Rc::new(Cell::new(0)));
    let (shared, seen) = (counter.clone(), interrupts.clone());
    cpu.handle(0x20, move || seen.set(seen.get() + u32::from(shared.fetch_add(1, Relaxed) < 100)));
    cpu.source(0x20);
    increment(&counter);
    assert!(counter.load(Relaxed) == 1 + interrupts.get(), "an increment is lost");
}

const LAST_LOAD: u32 = HANDLER + 3;

#[test]
fn a_race_that_a_plain_test_misses_is_found_with_one_interrupt() {
    for _ in 0..100 {
        mock::run(race);
    }
    let failure = Explorer::new().try_explore(race).unwrap_err();
    assert_eq!(failure.cause, FailureCause::Panic("an increment is lost".to_owned()));
    let run = failure.run.as_ref().unwrap();
    assert_eq!(run.schedule().to_string(), "native:2=20");
    let file = file!();
    let expected = format!(
        "an increment is lost

in run 3 on native, interrupted once:
  point 2: 0x20 in front of AtomicU32::store at {file}:{STORE}

IF  what happened
 1  AtomicU32::load                {file}:{LOAD}
 0    interrupt 0x20 is delivered  {file}:{STORE}
 0    AtomicU32::fetch_add         {file}:{HANDLER}
 1  the handler of 0x20 returns    {file}:{STORE}
 1  AtomicU32::store               {file}:{STORE}
 1  AtomicU32::load                {file}:{LAST_LOAD}

to see it again: PARAVIRT_VMI_SCHEDULE=native:2=20 cargo test \
         explore::failure::a_race_that_a_plain_test_misses_is_found_with_one_interrupt
or, in the test: Explorer::replay(\"native:2=20\", ..)"
    );
    assert_eq!(failure.to_string(), expected);
}

#[test]
#[should_panic(expected = "point 2: 0x20 in front of AtomicU32::store")]
fn explore_fails_the_test_with_the_schedule() {
    mock::explore(race);
}

#[test]
fn the_first_failure_has_as_few_interrupts_as_possible() {
    // Fails if the two vectors come in the wrong order, with nothing between the two marks.
    let failure = Explorer::new()
        .bound(4)
        .try_explore(|cpu| {
            let (a, b) = (count_interrupts(cpu, 0x20), count_interrupts(cpu, 0x21));
            cpu.point();
            let early = (a.get(), b.get());
            cpu.point();
            assert!(!(early == (0, 1) && a.get() == 1), "out of order");
        })
        .unwrap_err();
    let run = failure.run.unwrap();
    assert_eq!(run.schedule().to_string(), "native:1=21,3=20");
    assert_eq!(run.interrupts.len(), 2);
    // All runs with one interrupt at one of three points came first.
    assert!(run.number > 1 + 3 * 2, "{}", run.number);
}

#[test]
fn a_failure_on_the_other_flavour_only_names_it() {
    let failure = Explorer::new()
        .try_explore(|cpu| {
            let count = count_interrupts(cpu, 0x20);
            irq::disable();
            // SAFETY: nothing relies on masked interrupts.
            unsafe { irq::enable() };
            let before = count.get();
            cpu.point();
            assert_eq!(before, count.get(), "between sti and the next operation");
        })
        .unwrap_err();
    let run = failure.run.as_ref().unwrap();
    assert_eq!((run.flavour, run.schedule().to_string()), (Flavour::Vmi, "vmi:2=20".to_owned()));
    assert!(
        failure.to_string().contains("in run 3 on vmi, interrupted once:\n  point 2: 0x20 at the point ")
    );
}

#[test]
fn interrupts_in_handlers_are_told_with_the_handler() {
    let failure = Explorer::new()
        .flavour(Flavour::Vmi)
        .try_explore(|cpu| {
            let inner = count_interrupts(cpu, 0x21);
            cpu.handle(0x20, move || {
                // SAFETY: nothing relies on masked interrupts.
                unsafe { irq::enable() };
                let before = inner.get();
                cpu.point();
                irq::disable();
                assert_eq!(inner.get(), before);
            });
            cpu.source(0x20);
        })
        .unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("interrupted 2 times:\n  point 1: 0x20 at the end of the test that begins at "),
        "{text}"
    );
    assert!(text.contains("\n  point 2: 0x21 at the point marked at "), "{text}");
    assert!(text.contains(", in the handler of 0x20\n"), "{text}");
}

#[test]
fn an_interrupt_at_the_very_end_belongs_to_the_test() {
    let failure = Explorer::new()
        .try_explore(|cpu| {
            cpu.handle(0x20, || panic!("too late"));
            irq::disable();
            cpu.source(0x20);
            // SAFETY: nothing relies on masked interrupts.
            unsafe { irq::enable() };
        })
        .unwrap_err();
    assert_eq!(failure.cause, FailureCause::Panic("too late".to_owned()));
    assert_eq!(failure.run.unwrap().schedule().to_string(), "native:1=20");
}

#[test]
fn the_end_of_a_long_journal_is_shown() {
    let failure = Explorer::new()
        .try_explore(|cpu| {
            let early = AtomicU32::new(0);
            (0..13).for_each(|_| _ = early.load(Relaxed));
            (0..20).for_each(|_| _ = irq::is_enabled());
            panic!("at the end, on {:?}", cpu.flavour());
        })
        .unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("\n\nin run 1 on native, not interrupted\n"), "{text}");
    assert!(text.contains("\nIF  what happened, behind 13 other entries of the journal\n"), "{text}");
    assert_eq!(text.matches("GetInterruptMask").count(), 20, "{text}");
    assert!(!text.contains("AtomicU32"), "{text}");
    assert!(text.contains("PARAVIRT_VMI_SCHEDULE=native cargo test explore::failure::the_end_"), "{text}");
}

#[test]
fn a_data_race_is_found_without_any_wrong_result() {
    let test = |masked: bool, write: bool| {
        Explorer::new().try_explore(move |cpu| {
            let cell = Rc::new(UnsafeCell::new(0));
            let of_handler = cell.clone();
            cpu.handle(0x20, move || {
                // SAFETY: the race that is looked for is stopped before it.
                of_handler.with(|value| _ = unsafe { value.read() });
            });
            cpu.source(0x20);
            let access = || match write {
                // SAFETY: as above.
                true => cell.with_mut(|value| unsafe { value.write(1) }),
                // SAFETY: as above.
                false => cell.with(|value| _ = unsafe { value.read() }),
            };
            if masked { irq::without_interrupts(access) } else { access() }
        })
    };
    for (masked, write) in [(true, true), (true, false), (false, false)] {
        assert!(test(masked, write).is_ok(), "{masked} {write}");
    }
    let failure = test(false, true).unwrap_err();
    assert!(
        matches!(failure.cause, FailureCause::Misuse(Misuse::DataRace { name: "UnsafeCell::with", .. })),
        "{failure}"
    );
    let text = failure.to_string();
    assert!(text.contains("point 1: 0x20 in the middle of UnsafeCell::with_mut at "), "{text}");
}

/// Explores a test that gets the number of its run, from 0.
fn explore_numbered(test: impl Fn(Cpu, usize) + Send + 'static) -> ExplorationError {
    let runs = Arc::new(AtomicUsize::new(0));
    let result = Explorer::new().try_explore(move |cpu| {
        cpu.handle(0x20, || ());
        cpu.source(0x20);
        test(cpu, runs.fetch_add(1, SeqCst));
    });
    exploration_error(result.unwrap_err())
}

#[test]
fn a_test_that_does_something_else_when_it_is_run_again_is_refused() {
    // The second run has an interrupt at the first point, and the third run one at the second.
    let (before, now) = (line!() + 4, line!() + 6);
    let error = explore_numbered(|cpu, run| {
        cpu.point();
        if run < 2 {
            cpu.point();
        } else {
            irq::is_enabled();
        }
        cpu.point();
    });
    let file = file!();
    let expected = format!(
        "the test does not do the same when it is run again: point 2 was at the point marked at {file}:{before}, for \
         0x20; now it is in front of GetInterruptMask at {file}:{now}, for 0x20"
    );
    assert_eq!(error.to_string(), expected);

    let error = explore_numbered(|cpu, run| {
        cpu.point();
        if run < 2 {
            cpu.point();
            cpu.point();
        }
    });
    assert!(
        matches!(error, ExplorationError::NotDeterministic { number: 2, now: Now::At(_), .. }),
        "{error}"
    );
    assert!(error.to_string().contains("now it is at the end of the test"), "{error}");
}

#[test]
fn a_test_that_ends_or_fails_before_its_interrupt_is_refused() {
    // The sources are gone, so that there is no point.
    let error = explore_numbered(|cpu, run| {
        if run > 0 {
            cpu.source_limited(0x20, 0);
        }
    });
    assert!(
        matches!(error, ExplorationError::NotDeterministic { number: 1, now: Now::Ended, .. }),
        "{error}"
    );
    assert!(error.to_string().ends_with("for 0x20; now the test ends before it"), "{error}");

    let error = explore_numbered(|cpu, run| {
        cpu.point();
        assert_ne!(run, 2, "the third run");
    });
    assert!(
        matches!(error, ExplorationError::NotDeterministic { number: 2, now: Now::Failed(_), .. }),
        "{error}"
    );
    assert!(error.to_string().contains("now the test fails before it: assertion"), "{error}");
}

#[test]
fn other_sources_at_the_same_point_are_not_the_same() {
    let error = explore_numbered(|cpu, run| {
        if run == 1 {
            cpu.source(0x21);
        }
        cpu.point();
    });
    assert!(error.to_string().ends_with(", for 0x20, 0x21"), "{error}");
}
