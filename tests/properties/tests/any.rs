//! The properties, for inputs that are arbitrary, and for sound ones that have been changed.

use paravirt_vmi::abi::Call;
use paravirt_vmi::rom::Generation;
use paravirt_vmi_rom_image::{Image, Provision, Style};
use properties::plan::{Case, Change, Part};
use properties::{Fault, boot, plan, probe, records};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// The image of a sound ROM.
fn any_image() -> impl Strategy<Value = Vec<u8>> {
    let generation = select(&Generation::ALL[..]);
    let style = select(&[Style::Full, Style::Minimal][..]);
    (generation, style).prop_map(|(generation, style)| match generation {
        Generation::V13_0 => Image::new(generation).into_bytes(),
        _ => Image::providing(Provision::new(generation, style)).into_bytes(),
    })
}

/// A window with one or two ROMs in which a few bytes have been changed, half of the time those that are looked at.
fn any_window() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>(), any::<bool>()), 0..6);
    let rom = (any_image(), changes, any::<bool>()).prop_map(|(mut image, changes, resum)| {
        for (index, value, in_front) in changes {
            let end = if in_front { 0x20 } else { image.len() };
            image[index.index(end)] = value;
        }
        if resum { probe::resum(&image) } else { image }
    });
    (vec(rom, 1..3), any::<Index>(), any::<bool>()).prop_map(|(roms, end, is_cut)| {
        let mut window = Vec::new();
        for rom in roms {
            window.resize(window.len().next_multiple_of(0x800), 0xff);
            window.extend(rom);
        }
        if is_cut {
            window.truncate(end.index(window.len()));
        }
        window
    })
}

/// What a ROM answers: calls, but for a few answers of any kind.
fn any_answers() -> impl Strategy<Value = [(u8, u32); Call::COUNT]> {
    let kind = prop_oneof![4 => 0..4u8, 1 => any::<u8>()];
    let target = prop_oneof![4 => 0..0x400u32, 1 => any::<u32>()];
    let others = vec((0..Call::COUNT, (kind, target)), 0..4);
    (vec(0..0x400u32, Call::COUNT), others).prop_map(|(targets, others)| {
        let mut answers = std::array::from_fn(|number| (1, targets[number]));
        for (number, answer) in others {
            answers[number] = answer;
        }
        answers
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    let part = select(&[Part::Text, Part::Records, Part::Stubs][..]);
    (part, any::<u16>(), any::<u8>()).prop_map(|(part, offset, bits)| Change { part, offset, bits })
}

fn any_fault() -> impl Strategy<Value = Option<(u8, Fault)>> {
    prop::option::of((0..60u8, select(&[Fault::Refuse, Fault::Lose][..])))
}

/// A kernel and a ROM, with a few things wrong or nothing.
fn any_case() -> impl Strategy<Value = Case> {
    let address = || prop_oneof![4 => any::<u32>(), 1 => 0xffff_ff00..=u32::MAX, 1 => 0..0x100u32];
    let rom = (address(), prop_oneof![0x400..0x2000u16, any::<u16>()]);
    let kernel = (address(), vec(any::<u8>(), 0..40), vec(any_change(), 0..3));
    let run = (any::<bool>(), any_fault());
    (rom, any_answers(), kernel, run).prop_map(
        |((rom, rom_length), answers, (text, sites, changes), (is_patched, fault))| Case {
            rom,
            rom_length,
            answers,
            text,
            sites,
            changes,
            is_patched,
            fault,
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_give_a_rom_inside_the_window_or_a_true_error(bytes in vec(any::<u8>(), 0..0x1800)) {
        _ = probe::check(&bytes);
        _ = probe::check(&probe::resum(&bytes));
    }

    #[test]
    fn any_change_to_a_sound_rom_gives_a_patched_kernel_or_a_whole_one(window in any_window()) {
        boot::check(&window);
    }

    #[test]
    fn any_answers_sites_and_changes_give_a_plan_that_can_be_taken_back_or_a_true_error(case in any_case()) {
        _ = plan::check(&case);
    }

    #[test]
    fn any_bytes_are_a_case_that_gives_a_plan_or_a_true_error(bytes in vec(any::<u8>(), 0..600)) {
        _ = plan::check(&Case::decode(&bytes));
    }

    #[test]
    fn a_case_is_read_as_it_was_written(case in any_case()) {
        prop_assert_eq!(Case::decode(&case.encode()), case);
    }

    #[test]
    fn any_bytes_are_site_records_or_a_true_error(bytes in vec(any::<u8>(), 0..128)) {
        _ = records::check(&bytes);
    }

    #[test]
    fn any_change_to_site_records_gives_a_plan_or_a_true_error(
        changes in vec((any::<Index>(), any::<u8>()), 0..3),
        order in vec(any::<Index>(), 0..30),
        is_moved in any::<bool>(),
    ) {
        let mut table = records::sound();
        if is_moved {
            let rows = Vec::from_iter(table.chunks(8).map(<[u8]>::to_vec));
            table = order.iter().flat_map(|index| index.get(&rows).clone()).collect();
        }
        for (index, value) in changes {
            let length = table.len().max(1);
            if let Some(byte) = table.get_mut(index.index(length)) {
                *byte ^= value;
            }
        }
        _ = records::check(&table);
    }
}

/// How many of 300 inputs are patched.
fn patched<T>(inputs: impl Strategy<Value = T>, is_patched: impl Fn(&T) -> bool) -> usize {
    let mut runner = TestRunner::deterministic();
    let mut next = || inputs.new_tree(&mut runner).expect("nothing is filtered out").current();
    (0..300).filter(|_| is_patched(&next())).count()
}

/// The properties would say little if none got through.
#[test]
fn some_of_the_inputs_are_patched_and_some_are_not() {
    let plans = patched(any_case(), |case| plan::check(case).is_ok_and(|sites| sites > 0));
    let boots = patched(any_window(), |window| matches!(boot::check(window), boot::Ending::Patched(_)));
    for patched in [plans, boots] {
        assert!((30..270).contains(&patched), "{plans} plans and {boots} boots");
    }
}
