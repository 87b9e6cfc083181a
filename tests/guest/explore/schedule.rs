//! Schedules as text.

use paravirt_vmi::mock::{Flavour, Injection, Schedule, ScheduleError};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Schedule, ScheduleError> {
    text.parse()
}

#[test]
fn a_seed_names_the_flavour_and_every_interrupt() {
    let injections = vec![Injection { point: 3, vector: 0x20 }, Injection { point: 17, vector: 0x05 }];
    let schedule = Schedule::new(Flavour::Vmi, injections.clone()).unwrap();
    assert_eq!(schedule.to_string(), "vmi:3=20,17=05");
    assert_eq!(schedule.injections(), injections);
    let nothing = Schedule::new(Flavour::Native, Vec::new()).unwrap();
    assert_eq!(nothing.to_string(), "native");
    assert_eq!(parse("native"), Ok(nothing));
    assert_eq!(parse("vmi:3=20,17=5"), Ok(schedule));
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    for (text, message) in [
        ("", "a schedule begins with `native` or `vmi`, not with ``"),
        ("3=20", "a schedule begins with `native` or `vmi`, not with `3=20`"),
        ("xen:3=20", "a schedule begins with `native` or `vmi`, not with `xen`"),
        ("vmi:", "`` is not point=vector, as in `vmi:3=20,7=21`"),
        ("vmi:3=20,", "`` is not point=vector, as in `vmi:3=20,7=21`"),
        ("vmi:3", "`3` is not point=vector, as in `vmi:3=20,7=21`"),
        ("vmi:+3=20", "`+3=20` is not point=vector, as in `vmi:3=20,7=21`"),
        ("vmi:3=20 ", "`3=20 ` is not point=vector, as in `vmi:3=20,7=21`"),
        ("vmi:3=20=21", "`3=20=21` is not point=vector, as in `vmi:3=20,7=21`"),
        ("vmi:a=20", "`a=20`: invalid digit found in string"),
        ("vmi:=20", "`=20`: cannot parse integer from empty string"),
        ("vmi:3=", "`3=`: cannot parse integer from empty string"),
        ("vmi:3=100", "`3=100`: number too large to fit in target type"),
        ("vmi:4294967296=20", "`4294967296=20`: number too large to fit in target type"),
        ("vmi:0=20", "point 0 behind point 0: points ascend, and the first one is 1"),
        ("vmi:3=20,3=21", "point 3 behind point 3: points ascend, and the first one is 1"),
        ("vmi:3=20,2=21", "point 2 behind point 3: points ascend, and the first one is 1"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
    }
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let flavour = prop_oneof![Just(Flavour::Native), Just(Flavour::Vmi)];
    let injections = proptest::collection::btree_map(1..=u32::MAX, any::<u8>(), 0..6);
    (flavour, injections).prop_map(|(flavour, injections)| {
        let injections = injections.into_iter().map(|(point, vector)| Injection { point, vector });
        Schedule::new(flavour, injections.collect()).unwrap()
    })
}

proptest! {
    #[test]
    fn every_schedule_can_be_read_again(schedule in schedules()) {
        prop_assert_eq!(parse(&schedule.to_string()), Ok(schedule));
    }

    #[test]
    fn arbitrary_text_is_refused_or_means_what_it_says(text in "\\PC*") {
        if let Ok(schedule) = parse(&text) {
            prop_assert_eq!(parse(&schedule.to_string()), Ok(schedule));
        }
    }

    #[test]
    fn text_that_looks_like_a_schedule_is_refused_or_means_what_it_says(
        text in "(vmi|native)?:?([0-9a-f+]{0,11}[=,]?){0,4}"
    ) {
        if let Ok(schedule) = parse(&text) {
            prop_assert_eq!(parse(&schedule.to_string()), Ok(schedule));
        }
    }
}
