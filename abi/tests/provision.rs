//! What a ROM for bare hardware provides, against the call table and against a second copy of the short
//! lists, written by hand.

use paravirt_vmi_abi::legacy::{LEGACY_CALLS, SLOTS_13_3};
use paravirt_vmi_abi::{Call, Generation, Provision, RelocationKind, Style};

const LEAVES: [RelocationKind; 2] = [RelocationKind::CALL_REL, RelocationKind::JUMP_REL];

fn provision(generation: Generation, style: Style, leave: RelocationKind) -> Provision {
    Provision { leave, ..Provision::new(generation, style) }
}

/// The names of the calls of 3.0 with the given answer, in order of number.
fn answered(style: Style, kind: RelocationKind) -> Vec<&'static str> {
    let provision = Provision::new(Generation::V3_0, style);
    Call::all().filter(|call| provision.answer(call.number()) == kind).map(Call::name).collect()
}

#[test]
fn every_answer_is_one_that_a_guest_can_act_on() {
    for style in Style::ALL {
        for leave in LEAVES {
            let provision = provision(Generation::V3_0, style, leave);
            for call in Call::all() {
                let kind = provision.answer(call.number()).to_kinds().unwrap();
                assert!(call.info().relocations.contains(kind), "{call}: {kind:?}");
            }
            let provision = self::provision(Generation::V13_3, style, leave);
            for slot in 0..SLOTS_13_3.into() {
                let kind = provision.answer(slot).to_kinds().unwrap();
                assert!(Generation::V13_3.relocation_kinds().contains(kind), "slot {slot}: {kind:?}");
            }
        }
    }
}

#[test]
fn the_full_style_provides_all_but_the_time_calls_and_the_unknown_one() {
    assert_eq!(
        answered(Style::Full, RelocationKind::NONE),
        [
            "GetCycleFrequency",
            "GetCycleCounter",
            "SetAlarm",
            "CancelAlarm",
            "GetWallclockTime",
            "WallclockUpdated",
            "SetCallbacks"
        ]
    );
    assert_eq!(answered(Style::Full, RelocationKind::CALL_REL).len(), 74 - 7);
}

#[test]
fn the_minimal_style_provides_what_no_native_code_can_do_as_well() {
    assert_eq!(
        answered(Style::Minimal, RelocationKind::CALL_REL),
        [
            "EnableInterrupts",
            "DisableInterrupts",
            "GetInterruptMask",
            "SetInterruptMask",
            "IRET",
            "SYSEXIT",
            "Halt",
            "Reboot",
            "Shutdown"
        ]
    );
    assert_eq!(
        answered(Style::Minimal, RelocationKind::NOP),
        [
            "UpdateKernelStack",
            "UpdatePxE",
            "UpdatePxELong",
            "AllocatePage",
            "ReleasePage",
            "SetLinearMapping",
            "SetLazyMode"
        ]
    );
}

#[test]
fn only_iret_and_sysexit_are_reached_in_the_way_of_those_that_leave() {
    for generation in [Generation::V3_0, Generation::V13_3] {
        for style in Style::ALL {
            let of = |leave| provision(generation, style, leave);
            let [called, jumped] = LEAVES.map(of);
            let differing = (0..generation.relocations())
                .filter(|&number| called.answer(number) != jumped.answer(number))
                .collect::<Vec<_>>();
            let leaving = [Call::IRET, Call::SYSEXIT].map(|call| generation.relocation_number(call).unwrap());
            assert_eq!(differing, leaving);
            assert_eq!(jumped.answer(leaving[0]), RelocationKind::JUMP_REL);
        }
    }
}

#[test]
fn in_13_3_the_full_style_provides_every_slot_and_the_minimal_one_eleven() {
    let slots = |style| {
        let provision = Provision::new(Generation::V13_3, style);
        (0..u32::from(SLOTS_13_3))
            .filter(|&slot| provision.answer(slot) != RelocationKind::NONE)
            .collect::<Vec<_>>()
    };
    assert_eq!(slots(Style::Full), (4..88).collect::<Vec<_>>());
    // Init, the interrupt flag, IRET, SYSEXIT, Halt, Reboot, Shutdown, GetRelocationInfo.
    assert_eq!(slots(Style::Minimal), [4, 35, 36, 37, 38, 39, 40, 42, 43, 44, 85]);
}

#[test]
fn what_cannot_be_asked_for_is_not_provided() {
    for generation in Generation::ALL {
        let provision = Provision::new(generation, Style::Full);
        for number in [generation.relocations(), 255, u32::MAX] {
            assert_eq!(provision.answer(number), RelocationKind::NONE, "{generation}: {number}");
        }
    }
    assert_eq!(Generation::V13_0.relocations(), 0);
}

#[test]
fn each_generation_is_that_of_its_own_version() {
    for generation in Generation::ALL {
        let (major, minor) = generation.version();
        assert_eq!(Generation::of_version(major, minor), Some(generation));
        assert_eq!(generation.name(), format!("{major}.{minor}"));
        assert_eq!(Generation::from_name(generation.name()), Some(generation));
    }
    assert_eq!(Generation::of_version(13, 2), Some(Generation::V13_0));
    assert_eq!(Generation::of_version(13, 9), Some(Generation::V13_3));
    assert_eq!(Generation::of_version(12, 0), None);
    assert_eq!(Generation::from_name("13.1"), None);
    for style in Style::ALL {
        assert_eq!(Style::from_name(style.name()), Some(style));
    }
}

#[test]
fn the_entry_point_of_13_3_lies_in_the_slot_that_is_named_so() {
    let slot = LEGACY_CALLS.iter().find(|call| call.name == "GetRelocationInfo").unwrap();
    assert_eq!(Generation::V13_3.get_relocation_offset(), Some(32 * u32::from(slot.slot)));
    assert_eq!(Generation::V3_0.get_relocation_offset(), Some(0x88));
    assert_eq!(Generation::V13_0.get_relocation_offset(), None);
}

#[test]
fn a_call_is_asked_for_by_its_own_number_or_by_that_of_its_slot() {
    assert_eq!(Generation::V3_0.relocation_number(Call::SET_PXE), Some(38));
    assert_eq!(Generation::V13_0.relocation_number(Call::SET_PXE), None);
    assert_eq!(Generation::V13_3.relocation_number(Call::SET_PXE), Some(86));
    assert_eq!(Generation::V13_3.relocation_number(Call::SET_LAZY_MODE), None);
}
