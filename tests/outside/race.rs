//! A counter that a handler counts up too, with and without the section that it takes.

use std::cell::Cell;
use std::rc::Rc;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{self, Cpu, Explorer, FailureCause};
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering::Relaxed};

const TIMER: u8 = 0x20;

fn count_up(count: &AtomicU32) {
    count.store(count.load(Relaxed) + 1, Relaxed);
}

/// The main loop counts once, by `step`, and the timer's handler whenever it ticks.
fn count_both(cpu: Cpu, step: fn(&AtomicU32)) {
    let count = Rc::new(AtomicU32::new(0));
    let of_handler = count.clone();
    let ticks = Rc::new(Cell::new(0));
    let ticked = ticks.clone();
    cpu.handle(TIMER, move || {
        ticked.set(ticked.get() + 1);
        count_up(&of_handler);
    });
    cpu.source(TIMER);
    step(&count);
    irq::without_interrupts(|| assert_eq!(count.load(Relaxed), 1 + ticks.get(), "a count is lost"));
}

fn planted(cpu: Cpu) {
    count_both(cpu, count_up);
}

#[test]
fn a_plain_test_does_not_see_the_race() {
    for _ in 0..100 {
        mock::run(planted);
    }
}

#[test]
fn exploration_finds_the_race_and_its_seed_replays_it() {
    let failure = Explorer::new().try_explore(planted).unwrap_err();
    let seed = failure.run.as_ref().expect("the run that has failed").schedule().to_string();
    assert!(failure.to_string().contains(&seed), "{failure}");
    let again = Explorer::new().try_replay(&seed, planted).unwrap_err();
    let FailureCause::Panic(message) = again.cause else { panic!("{again}") };
    assert!(message.contains("a count is lost"), "{message}");
}

#[test]
fn exploration_finds_nothing_in_a_section() {
    let coverage = mock::explore(|cpu| {
        count_both(cpu, |count| irq::without_interrupts(|| count_up(count)));
    });
    assert!(coverage.runs() > 1, "{coverage}");
}
