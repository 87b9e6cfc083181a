//! Explored: the timer's interrupt at every place where it could arrive.
//!
//! With the feature `racy` the driver loses samples. The plain tests do not notice; what is explored here does.
//!
//! # Safety
//!
//! The timer is the test's; one block breaks a contract on purpose, where the mock sees it.

use paravirt_vmi::mock::{Coverage, Cpu, Explorer, Flavour};
use vmi_sampler::timer;

use crate::support::{Setup, TIMER, is_whole};

/// The interrupt of another device.
const OTHER: u8 = 0x21;

/// A main loop that takes samples while the timer ticks.
fn drains<const N: usize>(cpu: Cpu) -> u32 {
    let mut setup = Setup::<N>::new(cpu);
    cpu.source(TIMER);
    setup.drain();
    setup.drain();
    let (_, lost) = setup.finish();
    lost
}

/// The same; there is room for all samples.
fn drains_in_time(cpu: Cpu) {
    assert_eq!(drains::<4>(cpu), 0, "samples for which there was room");
}

/// A main loop that sleeps until there is a sample; another device wakes it as well.
fn sleeps(cpu: Cpu) {
    let setup = Setup::<4>::new(cpu);
    cpu.handle(OTHER, || ());
    cpu.source(OTHER);
    cpu.source(TIMER);
    for _ in 0..2 {
        // SAFETY: nothing in this test relies on masked interrupts.
        unsafe { setup.sampler.wait() };
        assert!(setup.sampler.take().is_some(), "it woke without a sample");
    }
}

/// A main loop that reads the count while handlers read it.
fn reads_the_count(cpu: Cpu, count: impl Fn(&Setup<4>) -> u16) {
    let mut setup = Setup::new(cpu);
    cpu.source(TIMER);
    for _ in 0..2 {
        let count = count(&setup);
        assert!(is_whole(count), "the main loop has read {count:#06x}");
    }
    setup.drain();
}

/// Shows what was covered: on both flavours, with as many interrupts as the bound allows.
fn show(coverage: &Coverage) {
    println!("{coverage}");
    assert_eq!(coverage.flavours().len(), Flavour::ALL.len());
    for covered in coverage.flavours() {
        assert!(covered.runs[coverage.bound()] > 0, "{covered:?}");
    }
}

#[test]
fn the_count_is_whole_wherever_the_timer_interrupts() {
    let program = |cpu| reads_the_count(cpu, |setup| setup.sampler.count());
    show(&Explorer::new().bound(3).explore(program));
}

#[test]
fn a_count_that_is_read_without_masking_is_found_to_be_torn() {
    // SAFETY: none: a handler that reads the count too comes in between.
    let program = |cpu| reads_the_count(cpu, |_| unsafe { timer::count() });
    let failure = Explorer::new().try_explore(program).expect_err("the count is torn");
    assert!(failure.cause.to_string().contains("has read"), "{failure}");
}

#[test]
fn a_sleep_ends_with_a_sample_wherever_the_timer_interrupts() {
    show(&Explorer::new().bound(3).explore(sleeps));
}

#[cfg(not(feature = "racy"))]
#[test]
fn every_tick_is_seen_once_wherever_the_timer_interrupts() {
    show(&Explorer::new().bound(3).explore(drains_in_time));
}

#[cfg(not(feature = "racy"))]
#[test]
fn what_does_not_fit_is_counted_as_lost_wherever_the_timer_interrupts() {
    show(&Explorer::new().bound(3).explore(|cpu| _ = drains::<1>(cpu)));
}

#[cfg(feature = "racy")]
mod racy {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_planted_race_is_found_and_its_schedule_replays_it() {
        for flavour in Flavour::ALL {
            let start = Instant::now();
            let explored = Explorer::new().flavour(flavour).try_explore(drains_in_time);
            let time = start.elapsed();
            let failure = explored.expect_err("a sample is lost");
            println!("{failure}\nfound in {time:?}");
            assert!(time < Duration::from_secs(10), "found after {time:?}");
            assert!(failure.cause.to_string().contains("were seen"), "{failure}");
            let run = failure.run.as_ref().expect("one run has failed");
            // One tick to be taken, and one between the load of the level and the section.
            assert_eq!(run.interrupts.len(), 2, "{failure}");

            let schedule = run.schedule().to_string();
            let replayed = Explorer::new().try_replay(&schedule, drains_in_time);
            let again = replayed.expect_err("it is lost again");
            assert_eq!((again.cause, again.journal), (failure.cause, failure.journal));
        }
    }
}
