//! Patching, between the processor that patches and one that is started afterwards.

use std::sync::Mutex;

use models::patching::{Deviation, Fetched, run};

/// What the other processor fetched, over all interleavings.
fn explore(deviation: Option<Deviation>) -> Vec<Fetched> {
    let seen: &Mutex<Vec<_>> = Box::leak(Box::default());
    loom::model(move || {
        let fetched = run(deviation);
        seen.lock().unwrap().push(fetched);
    });
    let mut seen = seen.lock().unwrap().clone();
    println!("{} interleavings", seen.len());
    seen.sort();
    seen.dedup();
    seen
}

#[test]
fn a_processor_that_is_started_behind_the_commit_sees_every_site_patched() {
    assert_eq!(explore(None), [Fetched::Nothing, Fetched::Expected]);
}

#[test]
fn a_processor_that_is_started_behind_a_failed_commit_sees_every_site_native() {
    assert_eq!(explore(Some(Deviation::WriteRefused)), [Fetched::Nothing, Fetched::Expected]);
}

#[test]
fn a_processor_that_is_started_before_the_commit_sees_what_was_there_before() {
    assert!(explore(Some(Deviation::StartedBefore)).contains(&Fetched::Wrong));
}

#[test]
fn a_processor_whose_start_orders_nothing_may_see_what_was_there_before() {
    assert!(explore(Some(Deviation::StartedWithoutOrder)).contains(&Fetched::Wrong));
}
