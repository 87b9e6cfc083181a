//! The kept inputs: no property fails, and of each becomes what is written down.

use std::collections::BTreeSet;
use std::fs;

use properties::corpus::{self, Form};

#[test]
fn of_every_kept_input_becomes_what_is_written_down() {
    let directory = corpus::directory();
    let inputs = corpus::kept(&directory).unwrap();
    let written = fs::read_to_string(directory.join("README.md")).unwrap_or_default();
    let rows = BTreeSet::from_iter(written.lines().filter(|line| line.starts_with("| `")).map(str::to_owned));
    let found =
        BTreeSet::from_iter(inputs.iter().map(|input| format!("| `{input}` | {} |", input.outcome())));
    let lost: Vec<_> = rows.difference(&found).collect();
    let new: Vec<_> = found.difference(&rows).collect();
    assert!(lost.is_empty() && new.is_empty(), "written down is {lost:#?}, found is {new:#?}");
    assert_eq!(written, corpus::table(&inputs), "fuzz/corpus/README.md is stale: run `cargo xtask bless`");
}

#[test]
fn the_inputs_that_can_be_made_are_kept_as_they_are_made() {
    let kept = corpus::kept(&corpus::directory()).unwrap();
    for made in corpus::made() {
        let found = kept.iter().find(|input| (input.form, &input.name) == (made.form, &made.name));
        let is_same = found.is_some_and(|found| found.bytes == made.bytes);
        assert!(is_same, "fuzz/corpus/{made} is stale: run `cargo xtask bless`");
    }
}

#[test]
fn inputs_of_every_form_are_kept_some_that_are_patched_and_some_that_are_refused() {
    let kept = corpus::kept(&corpus::directory()).unwrap();
    for form in Form::ALL {
        let outcomes = Vec::from_iter(kept.iter().filter(|input| input.form == form).map(|it| it.outcome()));
        let patched = outcomes.iter().filter(|outcome| outcome.starts_with("patched")).count();
        assert!(0 < patched && patched < outcomes.len(), "{form:?}");
    }
}
