//! What must hold of every row of the call table.

use paravirt_vmi_abi::{
    Argument, CALLS, Call, CallInfo, Clobbers, Location, RelocationKinds, Segments,
    legacy::{LEGACY_CALLS, SLOTS_13_0, SLOTS_13_3},
};
use std::collections::BTreeSet;

/// The order in which a call takes its arguments.
const ORDER: [Location; 5] =
    [Location::Eax, Location::Edx, Location::Ecx, Location::Stack(1), Location::Stack(2)];

/// What an ordinary call may change; some may change memory, too.
const STANDARD: Clobbers = Clobbers::EAX.union(Clobbers::ECX).union(Clobbers::EDX).union(Clobbers::FLAGS);

/// Calls that take their arguments where the instruction does that they replace.
const INSTRUCTION_SHAPED: [Call; 18] = [
    Call::CPUID,
    Call::WRMSR,
    Call::RDMSR,
    Call::RDPMC,
    Call::IRET,
    Call::SYSEXIT,
    Call::INL,
    Call::INB,
    Call::INW,
    Call::INSL,
    Call::INSB,
    Call::INSW,
    Call::OUTL,
    Call::OUTB,
    Call::OUTW,
    Call::OUTSL,
    Call::OUTSB,
    Call::OUTSW,
];

fn locations(list: &[Argument]) -> Vec<Location> {
    list.iter().map(|argument| argument.location).collect()
}

fn is_instruction_shaped(info: &CallInfo) -> bool {
    INSTRUCTION_SHAPED.contains(&info.call)
}

fn touches_the_interrupt_flag(info: &CallInfo) -> bool {
    (29..=34).contains(&info.call.number())
}

#[test]
fn the_numbers_are_consecutive_from_0_to_73() {
    let numbers: Vec<u32> = CALLS.iter().map(|info| info.call.number()).collect();
    assert_eq!(numbers, (0..=73).collect::<Vec<_>>());
    assert!(Call::all().map(Call::number).eq(0..=73));
}

#[test]
fn a_number_outside_the_table_is_refused() {
    assert_eq!(Call::from_number(73), Some(Call::SET_LAZY_MODE));
    for number in [74, 255, 256, u32::MAX] {
        assert_eq!(Call::from_number(number), None, "{number}");
    }
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<_> =
        CALLS.iter().map(|info| info.name).chain(LEGACY_CALLS.iter().map(|call| call.name)).collect();
    assert_eq!(names.len(), CALLS.len() + LEGACY_CALLS.len());
}

#[test]
fn arguments_travel_in_eax_edx_ecx_and_then_on_the_stack() {
    for info in CALLS.iter().filter(|info| !is_instruction_shaped(info)) {
        let lists = [info.slot_13_0, info.slot_13_3].map(|slot| slot.map(|slot| slot.arguments));
        for list in lists.into_iter().flatten().chain([info.arguments]) {
            assert_eq!(locations(list), ORDER[..list.len()], "{}", info.name);
        }
    }
}

#[test]
fn results_come_back_in_eax_or_in_edx_and_eax() {
    for info in CALLS.iter().filter(|info| !is_instruction_shaped(info)) {
        let expected = [Location::Eax, Location::Edx];
        assert_eq!(locations(info.results), expected[..info.results.len()], "{}", info.name);
    }
}

#[test]
fn no_argument_and_no_result_has_the_place_or_name_of_another() {
    for info in &CALLS {
        for list in [info.arguments, info.results] {
            let names: BTreeSet<_> = list.iter().map(|argument| argument.name).collect();
            let places: BTreeSet<_> = locations(list).iter().map(Location::to_string).collect();
            assert_eq!((names.len(), places.len()), (list.len(), list.len()), "{}", info.name);
        }
    }
}

#[test]
fn every_result_is_among_the_clobbers() {
    for info in &CALLS {
        for result in info.results {
            let register = result.location.register().expect("results travel in registers");
            assert!(info.clobbers.contains(register), "{}", info.name);
        }
    }
}

#[test]
fn a_call_that_does_not_return_has_no_results() {
    let endless: Vec<_> = CALLS.iter().filter(|info| !info.returns).collect();
    assert!(endless.iter().all(|info| info.results.is_empty()));
    let endless: Vec<_> = endless.iter().map(|info| info.call).collect();
    assert_eq!(endless, [Call::IRET, Call::SYSEXIT, Call::REBOOT, Call::SHUTDOWN]);
}

#[test]
fn ordinary_calls_change_eax_ecx_edx_and_the_flags() {
    for info in &CALLS {
        let is_special = touches_the_interrupt_flag(info)
            || matches!(info.call, Call::CPUID)
            || (49..=60).contains(&info.call.number());
        if !is_special {
            assert_eq!(info.clobbers.difference(Clobbers::MEMORY), STANDARD, "{}", info.name);
        }
    }
}

#[test]
fn calls_on_the_interrupt_flag_change_flags_only_and_one_returns_in_eax() {
    for call in [Call::ENABLE_INTERRUPTS, Call::DISABLE_INTERRUPTS, Call::SET_INTERRUPT_MASK] {
        assert_eq!(call.info().clobbers, Clobbers::FLAGS, "{call}");
    }
    let mask = Call::GET_INTERRUPT_MASK.info().clobbers;
    assert_eq!(mask, Clobbers::EAX.union(Clobbers::FLAGS));
    assert!(Call::IRET.info().clobbers.is_empty());
    assert!(Call::SYSEXIT.info().clobbers.is_empty());
}

#[test]
fn port_calls_change_what_the_instruction_changes_and_no_flags() {
    for info in &CALLS[49..=60] {
        let expected = match info.call.number() {
            49..=51 => Clobbers::EAX.union(Clobbers::MEMORY),
            52..=54 => Clobbers::EDI.union(Clobbers::ECX).union(Clobbers::MEMORY),
            55..=57 => Clobbers::empty(),
            _ => Clobbers::ESI.union(Clobbers::ECX),
        };
        assert_eq!(info.clobbers, expected, "{}", info.name);
    }
}

#[test]
fn only_calls_on_the_interrupt_flag_do_without_flat_data_segments() {
    for info in &CALLS {
        let free = info.segments == Segments::CodeAndStack;
        assert_eq!(free, touches_the_interrupt_flag(info), "{}", info.name);
    }
}

#[test]
fn iret_and_sysexit_refuse_none_and_nop() {
    let expected = RelocationKinds::CALL_REL.union(RelocationKinds::JUMP_REL);
    assert_eq!(Call::IRET.info().relocations, expected);
    assert_eq!(Call::SYSEXIT.info().relocations, expected);
}

#[test]
fn every_other_call_may_be_absent_or_called_but_not_jumped_to() {
    let both = RelocationKinds::NONE.union(RelocationKinds::CALL_REL);
    for info in CALLS.iter().filter(|info| !matches!(info.call, Call::IRET | Call::SYSEXIT)) {
        assert!(info.relocations.contains(both), "{}", info.name);
        assert!(!info.relocations.contains(RelocationKinds::JUMP_REL), "{}", info.name);
    }
}

#[test]
fn a_call_with_results_cannot_be_erased() {
    for info in CALLS.iter().filter(|info| info.relocations.contains(RelocationKinds::NOP)) {
        assert!(info.returns && info.results.is_empty(), "{}", info.name);
    }
}

/// SetAlarm is the exception: without NONE the guest would count on an alarm that never fires.
#[test]
fn a_call_that_replaces_nothing_can_be_erased_unless_it_sets_an_alarm() {
    for info in CALLS.iter().filter(|info| info.native.is_empty()) {
        let erasable = info.relocations.contains(RelocationKinds::NOP);
        assert_eq!(erasable, info.call != Call::SET_ALARM, "{}", info.name);
    }
}

#[test]
fn every_slot_of_13_0_has_one_call() {
    let mut slots: Vec<u8> = CALLS.iter().filter_map(|info| Some(info.slot_13_0?.number)).collect();
    slots.extend(LEGACY_CALLS.iter().filter(|call| call.since_minor == 0).map(|call| call.slot));
    slots.sort_unstable();
    assert_eq!(slots, (4..SLOTS_13_0).collect::<Vec<_>>());
}

#[test]
fn every_slot_of_13_3_has_one_call_but_the_two_that_are_superseded() {
    let mut slots: Vec<u8> = CALLS.iter().filter_map(|info| Some(info.slot_13_3?.number)).collect();
    slots.extend(LEGACY_CALLS.iter().map(|call| call.slot));
    slots.sort_unstable();
    let expected = (4..SLOTS_13_3).filter(|slot| ![45, 48].contains(slot));
    assert_eq!(slots, expected.collect::<Vec<_>>());
}
