//! What is made of the samples.

use vmi_sampler::{Lateness, Period};

#[test]
fn a_period_of_less_than_two_counts_is_refused() {
    assert_eq!(Period::new(0), None);
    assert_eq!(Period::new(1), None);
    assert_eq!(Period::new(2).map(Period::counts), Some(2));
    assert_eq!(Period::new(u16::MAX).map(Period::counts), Some(u16::MAX));
}

#[test]
fn the_timer_counts_down_from_its_period_to_one() {
    let period = Period::new(60).unwrap();
    assert_eq!(period.elapsed(60), Some(0));
    assert_eq!(period.elapsed(1), Some(59));
    assert_eq!(period.elapsed(0), None);
    assert_eq!(period.elapsed(61), None);
}

#[test]
fn least_greatest_and_mean_are_those_of_the_samples() {
    let mut lateness = Lateness::new();
    assert_eq!((lateness.samples(), lateness.range(), lateness.mean()), (0, None, None));
    for counts in [7, 3, 12] {
        lateness.add(counts);
    }
    assert_eq!((lateness.samples(), lateness.range(), lateness.mean()), (3, Some((3, 12)), Some(7)));
}

#[test]
fn the_longest_lateness_does_not_overflow_the_mean() {
    let mut lateness = Lateness::default();
    for _ in 0..100_000 {
        lateness.add(u16::MAX);
    }
    assert_eq!(lateness.mean(), Some(u16::MAX));
}
