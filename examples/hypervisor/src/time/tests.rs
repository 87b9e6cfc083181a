use proptest::prelude::*;

use super::*;

const ORIGIN: u64 = 1_000_000;
const REAL: AlarmFlags = AlarmFlags::ONE_SHOT;

fn available(flags: AlarmFlags) -> AlarmFlags {
    flags.with_counter(Counter::AVAILABLE)
}

/// What goes off by `now` after the start.
fn rung(time: &mut Time, now: u64) -> Vec<Wiring> {
    time.poll(ORIGIN + now).collect()
}

fn counts(time: &mut Time, now: u64) -> [u64; 3] {
    [Counter::REAL, Counter::AVAILABLE, Counter::STOLEN].map(|counter| time.read(counter, ORIGIN + now))
}

#[test]
fn real_time_begins_with_the_guest_and_nothing_is_stolen_then() {
    let mut time = Time::new(ORIGIN);
    assert_eq!(counts(&mut time, 0), [0, 0, 0]);
    assert_eq!(counts(&mut time, 500), [500, 500, 0]);
    assert_eq!(time.read(Counter(3), ORIGIN + 500), 0);
}

#[test]
fn stolen_time_is_not_available() {
    let mut time = Time::new(ORIGIN);
    assert_eq!(time.steal(300, ORIGIN + 1000), 300);
    assert_eq!(counts(&mut time, 1000), [1000, 700, 300]);
}

#[test]
fn what_was_seen_cannot_be_stolen_afterwards() {
    let mut time = Time::new(ORIGIN);
    assert_eq!(counts(&mut time, 900), [900, 900, 0]);
    assert_eq!(time.steal(500, ORIGIN + 1000), 100);
    assert_eq!(counts(&mut time, 1000), [1000, 900, 100]);
}

#[test]
fn a_one_shot_alarm_goes_off_once_at_its_expiry() {
    let mut time = Time::new(ORIGIN);
    time.set_alarm(REAL, 100, 7);
    assert_eq!(time.deadline(), Some(ORIGIN + 100));
    assert_eq!(rung(&mut time, 99), []);
    assert_eq!(rung(&mut time, 100), [Wiring::Irq0]);
    assert_eq!(rung(&mut time, 1000), []);
    assert!(!time.cancel_alarm(REAL));
    assert_eq!(time.deadline(), None);
}

#[test]
fn an_alarm_in_the_past_goes_off_at_once() {
    let mut time = Time::new(ORIGIN);
    time.set_alarm(REAL, 10, 0);
    assert_eq!(rung(&mut time, 5000), [Wiring::Irq0]);
}

#[test]
fn a_periodic_alarm_keeps_its_beat_and_missed_ones_are_one() {
    let mut time = Time::new(ORIGIN);
    time.set_alarm(AlarmFlags::PERIODIC, 100, 10);
    assert_eq!(rung(&mut time, 100), [Wiring::Irq0]);
    assert_eq!(rung(&mut time, 109), []);
    assert_eq!(rung(&mut time, 145), [Wiring::Irq0]);
    assert_eq!(rung(&mut time, 149), []);
    assert_eq!(rung(&mut time, 150), [Wiring::Irq0]);
    assert!(time.cancel_alarm(AlarmFlags::PERIODIC));
    assert!(!time.cancel_alarm(AlarmFlags::PERIODIC));
    assert_eq!(rung(&mut time, 1000), []);
}

#[test]
fn period_0_is_one_shot_whatever_the_flags_say() {
    let mut time = Time::new(ORIGIN);
    time.set_alarm(AlarmFlags::PERIODIC, 100, 0);
    assert_eq!(rung(&mut time, 100), [Wiring::Irq0]);
    assert_eq!(time.deadline(), None);
}

#[test]
fn a_period_without_the_flag_is_not_looked_at() {
    let mut time = Time::new(ORIGIN);
    time.set_alarm(REAL, 100, 10);
    rung(&mut time, 100);
    assert_eq!(time.deadline(), None);
}

#[test]
fn the_alarms_of_real_and_available_time_are_two() {
    let mut time = Time::new(ORIGIN);
    time.set_alarm(REAL, 100, 0);
    time.set_alarm(available(AlarmFlags::WIRED_LVTT), 100, 0);
    time.steal(30, ORIGIN + 50);
    assert_eq!(rung(&mut time, 100), [Wiring::Irq0]);
    assert_eq!(time.deadline(), Some(ORIGIN + 130));
    assert_eq!(rung(&mut time, 129), []);
    assert_eq!(rung(&mut time, 130), [Wiring::LocalApicTimer]);
}

#[test]
fn setting_an_alarm_cancels_what_was_set() {
    let mut time = Time::new(ORIGIN);
    time.set_alarm(AlarmFlags::PERIODIC, 100, 10);
    time.set_alarm(AlarmFlags::WIRED_LVTT, 200, 0);
    assert_eq!(rung(&mut time, 150), []);
    assert_eq!(rung(&mut time, 200), [Wiring::LocalApicTimer]);
    assert_eq!(time.deadline(), None);
}

#[test]
fn there_is_no_alarm_on_stolen_or_unknown_time() {
    let mut time = Time::new(ORIGIN);
    for number in [2, 3, 0xFF] {
        let flags = REAL.with_counter(Counter(number));
        time.set_alarm(flags, 0, 0);
        assert!(!time.cancel_alarm(flags));
    }
    assert_eq!((time.deadline(), rung(&mut time, 1000).len()), (None, 0));
}

#[test]
fn expiries_at_the_end_of_time_do_not_wrap() {
    let mut time = Time::new(ORIGIN);
    time.set_alarm(REAL, u64::MAX, 0);
    time.set_alarm(available(AlarmFlags::PERIODIC), 5, u64::MAX - 3);
    assert_eq!(rung(&mut time, 5), [Wiring::Irq0]);
    assert_eq!(time.deadline(), None);
    assert_eq!(rung(&mut time, 1 << 60), []);
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Steal(u64),
    Look,
    Poll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..2000).prop_map(Step::Pass),
        (0_u64..5000).prop_map(Step::Steal),
        Just(Step::Look),
        Just(Step::Poll),
    ]
}

proptest! {
    /// Whatever is stolen and whenever: the sum holds, no counter runs backwards, and no counter runs ahead of
    /// real time.
    #[test]
    fn real_is_available_and_stolen_at_all_times(steps in prop::collection::vec(step(), 1..100)) {
        let mut time = Time::new(ORIGIN);
        let (mut now, mut before) = (0, [0; 3]);
        for step in steps {
            match step {
                Step::Pass(cycles) => now += cycles,
                Step::Steal(cycles) => prop_assert!(time.steal(cycles, ORIGIN + now) <= cycles),
                Step::Poll => prop_assert_eq!(rung(&mut time, now).len(), 0),
                Step::Look => {
                    let [real, available, stolen] = counts(&mut time, now);
                    prop_assert_eq!(real, now);
                    prop_assert_eq!(real, available + stolen);
                    prop_assert!(before.iter().zip([real, available, stolen]).all(|(before, now)| *before <= now));
                    before = [real, available, stolen];
                }
            }
        }
    }

    /// However often it is looked at, a periodic alarm goes off on its beat, at most once a look, and the next
    /// time is behind the present.
    #[test]
    fn a_periodic_alarm_stays_on_its_beat(
        expiry in 0_u64..1000,
        period in 1_u64..500,
        looks in prop::collection::vec(0_u64..700, 1..50),
    ) {
        let mut time = Time::new(ORIGIN);
        time.set_alarm(AlarmFlags::PERIODIC, expiry, period);
        let (mut now, mut last) = (0, None);
        for look in looks {
            now += look;
            // The beat that has come last.
            let beat = now.checked_sub(expiry).map(|since| since / period);
            prop_assert_eq!(rung(&mut time, now).len(), usize::from(beat != last));
            last = beat;
            let deadline = time.deadline().unwrap() - ORIGIN;
            prop_assert!(deadline > now && (deadline - expiry).is_multiple_of(period) || now < expiry && deadline == expiry);
        }
    }
}
