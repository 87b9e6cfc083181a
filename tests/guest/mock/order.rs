//! States and guards that do not nest are noticed, and the message says what and where.

use paravirt_vmi::irq;
use paravirt_vmi::mock::{FailureCause, Misuse};

use super::{TIMER, failure, guard, marked, restore};

fn at(mark: &str) -> String {
    marked(file!(), include_str!("order.rs"), mark)
}

#[test]
fn a_state_that_is_restored_after_an_earlier_one() {
    let failure = failure(|_| {
        let outer = irq::save();
        irq::disable();
        let inner = irq::save(); // saved inside
        restore(outer); // the outer one is restored
        restore(inner); // too late
    });
    let (late, saved, ended) = (at("too late"), at("saved inside"), at("the outer one is restored"));
    assert_eq!(
        failure.to_string(),
        format!(
            "restore out of order at {late}: the state was saved at {saved}, inside a section that has ended at \
             {ended}"
        )
    );
    assert!(matches!(failure.cause, FailureCause::Misuse(Misuse::RestoreOutOfOrder { ended: Some(_), .. })));
}

#[test]
fn a_state_that_was_saved_in_a_section_and_is_restored_behind_it() {
    let failure = failure(|_| {
        let section = guard(); // the section
        let inner = irq::save(); // saved in the section
        drop(section);
        restore(inner); // behind the section
    });
    let (late, saved, ended) = (at("behind the section"), at("saved in the section"), at("the section"));
    assert_eq!(
        failure.to_string(),
        format!(
            "restore out of order at {late}: the state was saved at {saved}, inside a section that has ended at \
             {ended}"
        )
    );
}

#[test]
fn a_state_that_is_known_again_after_thousands_of_others() {
    let failure = failure(|_| {
        let outer = irq::save();
        for _ in 0..3_000 {
            assert!(irq::is_enabled()); // polled
        }
        let inner = irq::save(); // the last of many
        irq::disable();
        restore(outer);
        restore(inner); // after the first of many
    });
    let (late, saved) = (at("after the first of many"), at("the last of many"));
    assert!(
        failure.to_string().starts_with(&format!(
            "restore out of order at {late}: the state was saved at {saved}, inside a section"
        )),
        "{failure}"
    );
}

#[test]
fn a_state_of_the_interrupted_code_that_is_restored_by_a_handler() {
    let failure = failure(|cpu| {
        let state = irq::save(); // saved by the main loop
        cpu.handle(TIMER, move || restore(state)); // restored by the handler
        cpu.raise(TIMER);
    });
    let (late, saved) = (at("restored by the handler"), at("saved by the main loop"));
    assert_eq!(
        failure.to_string(),
        format!(
            "restore out of order at {late}: the state was saved at {saved}, by the code that this handler has \
             interrupted"
        )
    );
}

#[test]
fn a_guard_that_is_dropped_before_a_later_one() {
    let failure = failure(|_| {
        let outer = guard(); // outer guard
        let inner = guard(); // inner guard
        drop(outer);
        drop(inner);
    });
    let (outer, inner) = (at("outer guard"), at("inner guard"));
    assert_eq!(
        failure.to_string(),
        format!(
            "restore out of order: the guard created at {outer} is dropped before the one created at {inner}"
        )
    );
}
