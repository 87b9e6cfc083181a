//! A failure that was found is found again by its seed.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{env, str};

use paravirt_vmi::irq;
use paravirt_vmi::mock::{self, Cpu, ExplorationError, Explorer, FailureCause};

use super::{count_interrupts, exploration_error};

/// Fails if an interrupt comes between the marks and another one behind them.
fn fragile(cpu: Cpu) {
    let count = count_interrupts(cpu, 0x20);
    let other = count_interrupts(cpu, 0x21);
    cpu.point();
    let before = count.get();
    cpu.point();
    let between = count.get();
    cpu.point();
    assert!(!(between > before && other.get() > 0), "twice");
}

#[test]
fn a_replay_is_one_run_that_fails_in_the_same_way() {
    let found = Explorer::new().bound(3).try_explore(fragile).unwrap_err();
    let seed = found.run.as_ref().unwrap().schedule().to_string();
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = runs.clone();
    let again = Explorer::new()
        .try_replay(&seed, move |cpu| {
            counter.fetch_add(1, SeqCst);
            fragile(cpu);
        })
        .unwrap_err();
    assert_eq!(runs.load(SeqCst), 1);
    assert_eq!((&again.cause, &again.journal), (&found.cause, &found.journal));
    let (again, found) = (again.run.unwrap(), found.run.unwrap());
    assert_eq!((again.schedule(), again.number), (found.schedule(), 1));
    for (again, found) in again.interrupts.iter().zip(&found.interrupts) {
        assert_eq!(again.injection, found.injection);
        assert_eq!(again.point.to_string(), found.point.to_string());
    }
}

#[test]
#[should_panic(expected = "twice")]
fn replay_fails_the_test() {
    Explorer::new().replay("native:1=21,3=20", fragile);
}

#[test]
fn a_replay_that_does_not_fail_says_so() {
    let coverage = Explorer::new().replay("vmi:2=20", fragile);
    assert_eq!(coverage.replayed().unwrap().to_string(), "vmi:2=20");
    assert_eq!(coverage.to_string(), "replayed vmi:2=20: the test does not fail; nothing else was tried");
    assert_eq!(coverage.runs(), 0);
    assert!(coverage.flavours().is_empty());
}

#[test]
fn a_replay_runs_on_the_flavour_of_its_seed() {
    for (seed, expected) in [("native", mock::Flavour::Native), ("vmi", mock::Flavour::Vmi)] {
        Explorer::new().replay(seed, move |cpu| assert_eq!(cpu.flavour(), expected));
    }
}

#[test]
fn a_seed_that_does_not_fit_the_test_is_an_error() {
    let error = |seed| exploration_error(Explorer::new().try_replay(seed, fragile).unwrap_err());
    assert_eq!(
        error("native:7=20").to_string(),
        "the schedule does not fit the test: interrupt 0x20 is to arrive at point 7, and the run has 4"
    );
    let text = error("native:2=22").to_string();
    let expected =
        "the schedule does not fit the test: interrupt 0x22 cannot arrive at point 2, which is at the point";
    assert!(text.starts_with(expected) && text.ends_with(", for 0x20, 0x21"), "{text}");
    assert!(matches!(error("native:2"), ExplorationError::Schedule(_)));
}

#[test]
fn a_failure_before_the_interrupts_of_the_seed_is_reported_as_it_is() {
    let failure = Explorer::new().try_replay("native:1=20,9=20", |cpu| {
        count_interrupts(cpu, 0x20);
        cpu.point();
        panic!("early");
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.cause, FailureCause::Panic("early".to_owned()));
    assert_eq!(failure.run.unwrap().schedule().to_string(), "native:1=20");
}

#[test]
fn a_halt_can_be_replayed() {
    let test = |cpu: Cpu| {
        let (timer, other) = (count_interrupts(cpu, 0x20), count_interrupts(cpu, 0x21));
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable_and_halt() };
        assert!(timer.get() == 1 || other.get() != 1, "the other one");
    };
    // One interrupt in front of the halt would be a lost wake-up only if something had been checked.
    let failure = Explorer::new().try_explore(test).unwrap_err();
    let run = failure.run.as_ref().unwrap();
    let text = failure.to_string();
    assert!(text.contains(": 0x21 in Halt at "), "{text}");
    let again = Explorer::new().try_replay(&run.schedule().to_string(), test).unwrap_err();
    assert_eq!(again.cause, failure.cause);
}

/// Runs one test of this program again, with a schedule in the environment.
fn run_again(test: &str, seed: &str) -> Output {
    let program = env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args([test, "--exact", "--nocapture"]).env("PARAVIRT_VMI_SCHEDULE", seed);
    command.output().unwrap()
}

#[test]
fn a_seed_in_the_environment_is_replayed() {
    if env::var_os("PARAVIRT_VMI_SCHEDULE").is_some() {
        mock::explore(fragile);
        return;
    }
    let this = "explore::replay::a_seed_in_the_environment_is_replayed";
    let fails = run_again(this, "native:1=21,3=20");
    assert!(!fails.status.success());
    let text = String::from_utf8_lossy(&fails.stderr);
    assert!(text.contains("in run 1 on native, interrupted 2 times:\n  point 1: 0x21 "), "{text}");
    let seed = format!("PARAVIRT_VMI_SCHEDULE=native:1=21,3=20 cargo test {this}\n");
    assert!(text.contains(&seed), "{text}");

    let passes = run_again(this, "vmi");
    assert!(passes.status.success());
    let text = str::from_utf8(&passes.stderr).unwrap();
    assert!(text.contains("replayed vmi: the test does not fail; nothing else was tried"), "{text}");

    let wrong = run_again(this, "vmi:0");
    assert!(!wrong.status.success());
    let text = String::from_utf8_lossy(&wrong.stderr);
    assert!(text.contains("`0` is not point=vector"), "{text}");
}
