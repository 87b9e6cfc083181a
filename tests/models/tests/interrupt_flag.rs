//! The virtual interrupt flag, between the kernel, the ROM and the hypervisor.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use models::kernel::{Code, nested_sections, run, section, wait};
use models::machine::Breakage;

/// How often something happened, over all interleavings.
#[derive(Debug, Default)]
struct Coverage {
    runs: AtomicU32,
    at_once: AtomicU32,
    by_hypercall: AtomicU32,
    rolled_back: AtomicU32,
    /// Runs in which an interrupt was lost.
    lost: AtomicU32,
    /// Runs in which an interrupt was delivered while masked.
    masked: AtomicU32,
    /// Runs in which the kernel did not wake up.
    asleep: AtomicU32,
}

/// Every interleaving of `code` with a device that raises so many vectors.
fn explore(code: Code, vectors: u32, breakage: Option<Breakage>) -> &'static Coverage {
    let coverage: &Coverage = Box::leak(Box::default());
    let mut model = loom::model::Builder::new();
    // To where an interrupt comes up, and back, each time: with that, every order of instructions and interrupts
    // is possible. More would only take the processor from who waits for it.
    model.preemption_bound = Some(2 * vectors as usize);
    model.check(move || {
        let seen = run(code, vectors, breakage);
        for (counter, count) in [
            (&coverage.runs, 1),
            (&coverage.at_once, seen.at_once),
            (&coverage.by_hypercall, seen.by_hypercall),
            (&coverage.rolled_back, seen.rolled_back),
            (&coverage.lost, seen.is_lost.into()),
            (&coverage.masked, seen.was_masked.into()),
            (&coverage.asleep, seen.is_asleep.into()),
        ] {
            counter.fetch_add(count, Relaxed);
        }
    });
    println!("{vectors} interrupts: {coverage:?}");
    coverage
}

/// What must not happen, as counted: interrupts lost, delivered while masked, wake-ups missed.
fn violations(coverage: &Coverage) -> [bool; 3] {
    [&coverage.lost, &coverage.masked, &coverage.asleep].map(|count| count.load(Relaxed) > 0)
}

/// Correct code, in which everything must have happened that can.
fn holds(code: Code, vectors: u32) {
    let coverage = explore(code, vectors, None);
    assert_eq!(violations(coverage), [false; 3], "{coverage:?}");
    for (what, count) in [
        ("interrupts delivered as they came", &coverage.at_once),
        ("interrupts delivered because the ROM had found one", &coverage.by_hypercall),
    ] {
        assert!(count.load(Relaxed) > 0, "no {what} in {coverage:?}");
    }
    // Only a second interrupt can come while a handler returns.
    let has_rolled_back = coverage.rolled_back.load(Relaxed) > 0;
    assert_eq!(has_rolled_back, vectors > 1, "{coverage:?}");
}

const LOST: [bool; 3] = [true, false, false];
const MASKED: [bool; 3] = [false, true, false];

/// Code that is broken in one rule: the model notices, in just this way.
fn fails(code: Code, vectors: u32, breakage: Breakage, expected: [bool; 3]) {
    let coverage = explore(code, vectors, Some(breakage));
    assert_eq!(violations(coverage), expected, "{coverage:?}");
}

#[test]
fn no_interrupt_is_lost_by_a_section_and_none_comes_in_it() {
    holds(section, 1);
    holds(section, 2);
    holds(section, 3);
}

#[test]
fn no_interrupt_is_lost_by_nested_sections_and_none_comes_in_them() {
    holds(nested_sections, 1);
    holds(nested_sections, 2);
}

#[test]
fn a_kernel_that_waits_for_an_interrupt_wakes_up() {
    holds(wait, 1);
    holds(wait, 2);
}

#[test]
fn unmasking_without_asking_whether_one_waits_loses_it() {
    fails(section, 1, Breakage::EnableDoesNotAsk, LOST);
    fails(nested_sections, 1, Breakage::EnableDoesNotAsk, LOST);
}

#[test]
fn asking_before_unmasking_loses_one_that_comes_between() {
    fails(section, 1, Breakage::EnableAsksFirst, LOST);
}

#[test]
fn a_flag_that_is_cleared_late_lets_one_in() {
    fails(section, 1, Breakage::MaskedLate, MASKED);
}

#[test]
fn an_interrupt_that_is_announced_late_is_lost() {
    fails(section, 1, Breakage::PendingWrittenLate, LOST);
}

#[test]
fn a_return_that_goes_on_behind_its_look_loses_one_or_is_interrupted_before_it_is_done() {
    fails(section, 2, Breakage::ReturnGoesOn, [true, true, false]);
}

#[test]
fn a_return_begun_anew_with_its_flag_set_is_interrupted_before_it_is_done() {
    fails(section, 2, Breakage::ReturnKeepsTheFlag, MASKED);
}

#[test]
fn unmasking_before_halting_sleeps_through_the_wake_up() {
    fails(wait, 1, Breakage::HaltUnmasksBefore, [false, false, true]);
}
