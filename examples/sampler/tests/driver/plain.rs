//! Plain tests: interrupts arrive where the test raises them. They pass with the feature `racy` too.

use paravirt_vmi::mock::{self, Cpu};

use crate::support::{PERIOD, Setup, TIMER, is_whole};

/// A xorshift generator.
struct Random(u32);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % limit
    }
}

/// A main loop between whose turns the timer ticks, now and then.
fn drains(cpu: Cpu, seed: u32) {
    let mut random = Random(seed);
    let mut setup = Setup::<4>::new(cpu);
    for _ in 0..4 {
        for _ in 0..random.below(3) {
            cpu.raise(TIMER);
        }
        setup.drain();
    }
    let (_, lost) = setup.finish();
    assert_eq!(lost, 0, "samples for which there was room");
}

#[test]
fn every_tick_is_seen_once_in_ten_thousand_runs() {
    for seed in 1..=10_000 {
        mock::run(move |cpu| drains(cpu, seed));
    }
}

#[test]
fn the_timer_is_given_its_period() {
    mock::run(|cpu| {
        let setup = Setup::<4>::new(cpu);
        assert_eq!(setup.timer.borrow().period(), Some(PERIOD.counts()));
    });
}

#[test]
fn a_sample_says_where_the_timer_stood() {
    mock::run(|cpu| {
        let setup = Setup::<4>::new(cpu);
        cpu.raise(TIMER);
        cpu.raise(TIMER);
        let samples = [setup.sampler.take(), setup.sampler.take()].map(Option::unwrap);
        assert_eq!(samples.map(|sample| sample.tick), [0, 1]);
        assert_eq!(samples.map(|sample| sample.count), [0xFFFF, 0xFFFF - 2 * 0x0101]);
        assert_eq!(setup.sampler.take(), None);
        assert!(is_whole(setup.sampler.count()));
    });
}

#[test]
fn what_does_not_fit_is_lost_and_counted() {
    mock::run(|cpu| {
        let mut setup = Setup::<4>::new(cpu);
        for _ in 0..7 {
            cpu.raise(TIMER);
        }
        assert_eq!(setup.sampler.lost(), 3);
        setup.drain();
        cpu.raise(TIMER);
        assert_eq!(setup.finish(), (5, 3));
    });
}
