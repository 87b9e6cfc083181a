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
    by_store: AtomicU32,
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
            (&coverage.by_store, seen.by_store),
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

/// Correct code, in which everything must have happened that can; `unmasked_by` counts the interrupts that its way of
/// unmasking has let in.
fn holds(code: Code, vectors: u32, unmasked_by: fn(&Coverage) -> &AtomicU32) {
    let coverage = explore(code, vectors, None);
    assert_eq!(violations(coverage), [false; 3], "{coverage:?}");
    assert!(coverage.at_once.load(Relaxed) > 0, "none was delivered as it came: {coverage:?}");
    let by = unmasked_by(coverage);
    assert!(by.load(Relaxed) > 0, "none was delivered as it was unmasked: {coverage:?}");
    // Only a second interrupt can come while a handler returns.
    let has_rolled_back = coverage.rolled_back.load(Relaxed) > 0;
    let has_returned_slowly = coverage.by_hypercall.load(Relaxed) > 0;
    assert!(vectors == 1 || has_returned_slowly, "{coverage:?}");
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
    holds(section, 1, |coverage| &coverage.by_store);
    holds(section, 2, |coverage| &coverage.by_store);
    holds(section, 3, |coverage| &coverage.by_store);
}

#[test]
fn no_interrupt_is_lost_by_nested_sections_and_none_comes_in_them() {
    holds(nested_sections, 1, |coverage| &coverage.by_store);
    holds(nested_sections, 2, |coverage| &coverage.by_store);
}

#[test]
fn a_kernel_that_waits_for_an_interrupt_wakes_up() {
    holds(wait, 1, |coverage| &coverage.by_hypercall);
    holds(wait, 2, |coverage| &coverage.by_hypercall);
}

#[test]
fn an_unmasking_store_that_does_not_trap_loses_what_waits() {
    fails(section, 1, Breakage::StoreDoesNotTrap, LOST);
    fails(nested_sections, 1, Breakage::StoreDoesNotTrap, LOST);
}

#[test]
fn a_trapped_store_that_delivers_nothing_loses_what_waits() {
    fails(section, 1, Breakage::StoreDeliversNothing, LOST);
}

#[test]
fn a_flag_that_becomes_read_only_late_loses_what_waits() {
    fails(section, 1, Breakage::GuardedLate, LOST);
}

#[test]
fn a_flag_that_is_cleared_late_lets_one_in() {
    fails(section, 1, Breakage::MaskedLate, MASKED);
}

#[test]
fn a_return_that_learns_late_of_an_interrupt_is_interrupted_before_it_is_done() {
    fails(section, 2, Breakage::PendingWrittenLate, MASKED);
}

#[test]
fn a_return_that_goes_on_behind_its_look_is_interrupted_before_it_is_done() {
    fails(section, 2, Breakage::ReturnGoesOn, MASKED);
}

#[test]
fn a_return_begun_anew_with_its_flag_set_is_interrupted_before_it_is_done() {
    fails(section, 2, Breakage::ReturnKeepsTheFlag, MASKED);
}

#[test]
fn unmasking_before_halting_sleeps_through_the_wake_up() {
    fails(wait, 1, Breakage::HaltUnmasksBefore, [false, false, true]);
}
