use proptest::prelude::*;

use super::*;

/// A timer whose cycles are the time: `FREQUENCY` cycles a second.
fn pit() -> Pit {
    Pit::new(0, FREQUENCY)
}

fn load(pit: &mut Pit, channel: u16, control: u8, count: u16, now: u64) {
    let [low, high] = count.to_le_bytes();
    pit.write(0x43, (channel as u8) << 6 | 0x30 | control, now);
    pit.write(0x40 + channel, low, now);
    pit.write(0x40 + channel, high, now);
}

fn count(pit: &mut Pit, channel: u16, now: u64) -> u16 {
    pit.write(0x43, (channel as u8) << 6, now);
    u16::from_le_bytes([pit.read(0x40 + channel, now), pit.read(0x40 + channel, now)])
}

/// The times up to `end` at which channel 0 raises its interrupt.
fn rises(pit: &mut Pit, end: u64) -> Vec<u64> {
    std::iter::from_fn(|| {
        let next = pit.deadline().filter(|time| *time <= end)?;
        assert!(pit.poll(next), "the deadline is that of an interrupt");
        Some(next)
    })
    .collect()
}

fn output(pit: &mut Pit, now: u64) -> bool {
    pit.read(0x61, now) & 0x20 != 0
}

#[test]
fn mode_0_interrupts_once() {
    let mut pit = pit();
    load(&mut pit, 0, 0, 60, 100);
    assert_eq!(count(&mut pit, 0, 130), 30);
    assert!(!pit.poll(159));
    assert!(pit.poll(160));
    assert!(!pit.poll(1_000_000));
    assert_eq!(pit.deadline(), None);
    assert_eq!(count(&mut pit, 0, 161), 0xFFFF, "it goes on counting");
}

#[test]
fn mode_2_interrupts_once_in_each_period() {
    let mut pit = pit();
    load(&mut pit, 0, 4, 60, 100);
    assert_eq!(rises(&mut pit, 300), [160, 220, 280]);
    assert_eq!([280, 281, 339, 340].map(|now| count(&mut pit, 0, now)), [60, 59, 1, 60]);
}

#[test]
fn mode_3_interrupts_once_in_each_period_and_counts_by_two() {
    let mut pit = pit();
    load(&mut pit, 0, 6, 8, 0);
    assert_eq!(rises(&mut pit, 20), [8, 16]);
    let counts: Vec<_> = (16..25).map(|now| count(&mut pit, 0, now)).collect();
    assert_eq!(counts, [8, 6, 4, 2, 8, 6, 4, 2, 8]);
}

#[test]
fn mode_4_interrupts_after_a_strobe() {
    let mut pit = pit();
    load(&mut pit, 0, 8, 10, 0);
    assert_eq!(rises(&mut pit, 1000), [11]);
}

#[test]
fn modes_1_and_5_wait_for_the_gate_which_channel_0_does_not_have() {
    for control in [2, 10] {
        let mut pit = pit();
        load(&mut pit, 0, control, 10, 0);
        assert_eq!(pit.deadline(), None);
    }
}

#[test]
fn missed_interrupts_are_one() {
    let mut pit = pit();
    load(&mut pit, 0, 4, 60, 0);
    assert!(pit.poll(1000));
    assert!(!pit.poll(1000));
    assert_eq!(pit.deadline(), Some(1020));
}

#[test]
fn the_count_0_is_the_longest() {
    let mut pit = pit();
    load(&mut pit, 0, 0, 0, 0);
    assert_eq!(pit.deadline(), Some(0x1_0000));
    assert_eq!(count(&mut pit, 0, 1), 0xFFFF);
    load(&mut pit, 0, 1, 0, 0);
    assert_eq!(pit.deadline(), Some(10_000));
    assert_eq!(count(&mut pit, 0, 1), 0x9999);
}

#[test]
fn decimal_counts_are_read_as_they_were_written() {
    let mut pit = pit();
    load(&mut pit, 0, 5, 0x1234, 0);
    assert_eq!(pit.deadline(), Some(1234));
    assert_eq!(count(&mut pit, 0, 35), 0x1199);
}

#[test]
fn a_control_word_stops_the_channel_until_there_is_a_count() {
    let mut pit = pit();
    load(&mut pit, 0, 4, 60, 0);
    pit.write(0x43, 0x34, 10);
    assert_eq!(pit.deadline(), None);
    pit.write(0x40, 5, 20);
    assert_eq!(pit.deadline(), None);
    pit.write(0x40, 0, 21);
    assert_eq!(rises(&mut pit, 40), [26, 31, 36]);
}

#[test]
fn the_first_byte_of_a_new_count_stops_mode_0() {
    let mut pit = pit();
    load(&mut pit, 0, 0, 60, 0);
    pit.write(0x40, 10, 50);
    assert_eq!(pit.deadline(), None);
    pit.write(0x40, 0, 100);
    assert_eq!(pit.deadline(), Some(110));
}

#[test]
fn a_new_count_waits_for_the_end_of_the_period() {
    let mut pit = pit();
    load(&mut pit, 0, 4, 60, 0);
    pit.write(0x40, 10, 70);
    pit.write(0x40, 0, 70);
    assert_eq!(count(&mut pit, 0, 100), 20);
    assert!(pit.poll(70), "the interrupt of 60 was not forgotten");
    assert_eq!(rises(&mut pit, 145), [120, 130, 140]);
}

#[test]
fn one_byte_counts_leave_the_other_byte_zero() {
    let mut pit = pit();
    pit.write(0x43, 0x10, 0);
    pit.write(0x40, 7, 0);
    assert_eq!(pit.deadline(), Some(7));
    pit.write(0x43, 0x20, 0);
    pit.write(0x40, 1, 0);
    assert_eq!(pit.deadline(), Some(0x100));
    assert_eq!((pit.read(0x40, 0), pit.read(0x40, 1)), (1, 0));
}

#[test]
fn a_latched_count_stays_until_both_bytes_are_read() {
    let mut pit = pit();
    load(&mut pit, 0, 0, 0x1234, 0);
    pit.write(0x43, 0, 0x34);
    pit.write(0x43, 0, 0x100);
    assert_eq!((pit.read(0x40, 0x200), pit.read(0x40, 0x201)), (0x00, 0x12));
    assert_eq!((pit.read(0x40, 0x234), pit.read(0x40, 0x234)), (0x00, 0x10));
}

#[test]
fn read_back_latches_status_and_count() {
    let mut pit = pit();
    load(&mut pit, 0, 4, 60, 0);
    // status and count of channel 0
    pit.write(0x43, 0xC2, 10);
    assert_eq!([(); 3].map(|()| pit.read(0x40, 30)), [0xB4, 50, 0]);
    pit.write(0x43, 0x30, 40);
    // status of channel 0: no count yet, output low
    pit.write(0x43, 0xE2, 50);
    assert_eq!(pit.read(0x40, 60), 0x70);
}

#[test]
fn channel_2_measures_behind_its_gate() {
    let mut pit = pit();
    pit.write(0x61, 1, 0);
    load(&mut pit, 2, 0, 100, 0);
    assert!(!output(&mut pit, 99));
    assert!(output(&mut pit, 100));
    load(&mut pit, 2, 0, 100, 1000);
    pit.write(0x61, 0, 1050);
    assert!(!output(&mut pit, 5000));
    assert_eq!(count(&mut pit, 2, 5000), 50);
    pit.write(0x61, 1, 6000);
    assert!(!output(&mut pit, 6049));
    assert!(output(&mut pit, 6050));
}

#[test]
fn the_gate_restarts_a_square_wave() {
    let mut pit = pit();
    load(&mut pit, 2, 6, 100, 0);
    assert!(output(&mut pit, 60), "the gate is closed");
    pit.write(0x61, 1, 1010);
    assert!(output(&mut pit, 1059));
    assert!(!output(&mut pit, 1060));
    assert!(output(&mut pit, 1110));
}

#[test]
fn the_gate_triggers_modes_1_and_5() {
    let mut pit = pit();
    load(&mut pit, 2, 2, 10, 0);
    assert!(output(&mut pit, 100));
    pit.write(0x61, 1, 100);
    assert_eq!([100, 109, 110].map(|now| output(&mut pit, now)), [false, false, true]);
    pit.write(0x61, 0, 120);
    load(&mut pit, 2, 10, 10, 120);
    pit.write(0x61, 1, 130);
    assert_eq!([139, 140, 141].map(|now| output(&mut pit, now)), [true, false, true]);
}

#[test]
fn port_61_keeps_its_switches_and_shows_the_refresh() {
    let mut pit = pit();
    pit.write(0x61, 0xFF, 0);
    assert_eq!(pit.read(0x61, 0) & 0xF, 0xF);
    let refresh: Vec<_> = (0..54).map(|now| pit.read(0x61, now) & 0x10 != 0).collect();
    assert_eq!(refresh, [[false; 18], [true; 18], [false; 18]].concat());
}

proptest! {
    /// The deadline is the first time at which the interrupt is there, at any frequency.
    #[test]
    fn the_deadline_is_neither_early_nor_late(
        frequency in 1_000_000_u64..6_000_000_000,
        origin in 0_u64..1 << 60,
        count_down in 1_u16..,
        mode in prop::sample::select(vec![0_u8, 4, 6, 8]),
        after in 0_u64..1 << 40,
    ) {
        let mut pit = Pit::new(origin, frequency);
        load(&mut pit, 0, mode, count_down, origin + after);
        // what the firmware's count has raised
        pit.poll(origin + after);
        let deadline = pit.deadline().unwrap();
        prop_assert!(deadline > origin + after);
        let mut early = pit.clone();
        prop_assert!(!early.poll(deadline - 1));
        prop_assert!(pit.poll(deadline));
    }

    /// However often it is looked at, the number of interrupts is that of the periods.
    #[test]
    fn looking_often_loses_no_interrupt(steps in prop::collection::vec(0_u64..50, 1..200)) {
        let mut pit = pit();
        load(&mut pit, 0, 4, 60, 0);
        let (mut now, mut raised) = (0, 0);
        for step in steps {
            now += step;
            raised += u64::from(pit.poll(now));
        }
        prop_assert_eq!(raised, now / 60);
    }
}
