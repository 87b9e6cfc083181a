//! The native forms: what they are, which processor they need, and how they are padded.

use iced_x86::{CpuidFeature, Decoder, DecoderOptions, Instruction, Mnemonic};
use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::patch::{Plan, Relocation, RelocationTable};
use paravirt_vmi::site::{BRANCH_LENGTH, MAX_SITE_LENGTH, NATIVE_FORMS, NativeCode, NativeForm, SiteKind};

use crate::support::kernel::{Kernel, STUBS};

/// The calls whose native form is more than one or two instructions.
const STUB_CALLS: [Call; 13] = [
    Call::SET_GDT,
    Call::SET_LDT,
    Call::WRITE_GDT_ENTRY,
    Call::WRITE_LDT_ENTRY,
    Call::WRITE_IDT_ENTRY,
    Call::SET_DR,
    Call::GET_DR,
    Call::REBOOT,
    Call::SHUTDOWN,
    Call::SET_PXE_LONG,
    Call::FLUSH_TLB,
    Call::SET_IOPL_MASK,
    Call::GET_CYCLE_COUNTER,
];

/// Inline forms that do what the call table says in other instructions, or in none.
const OTHER_WORDS: [(Call, &str); 3] = [
    // `popfd` would do nothing outside ring 0
    (Call::SET_INTERRUPT_MASK, "cli; test ah,2; je short 7; sti"),
    // EAX stays as it is
    (Call::MACHINE_TO_PHYSICAL, ""),
    (Call::PHYSICAL_TO_MACHINE, ""),
];

/// The calls whose native form is not for every 386, in order of number. CR4, which came with the Pentium,
/// is encoded like the control registers of the 386.
const LATER_PROCESSORS: [(Call, CpuidFeature); 8] = [
    (Call::CPUID, CpuidFeature::CPUID),
    (Call::WRMSR, CpuidFeature::MSR),
    (Call::RDMSR, CpuidFeature::MSR),
    (Call::WBINVD, CpuidFeature::INTEL486),
    (Call::RDPMC, CpuidFeature::RDPMC),
    (Call::RDTSC, CpuidFeature::TSC),
    (Call::SYSEXIT, CpuidFeature::SEP),
    (Call::INVAL_PAGE, CpuidFeature::INTEL486),
];

fn decode(bytes: &[u8]) -> Vec<Instruction> {
    Decoder::with_ip(32, bytes, 0, DecoderOptions::NONE).into_iter().collect()
}

/// Whether the instruction has no effect.
fn is_padding(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Nop | Mnemonic::Int3 => true,
        Mnemonic::Mov => instruction.to_string() == "mov esi,esi",
        Mnemonic::Lea => {
            instruction.op0_register() == instruction.memory_base()
                && instruction.memory_displacement32() == 0
                && instruction.memory_index() == iced_x86::Register::None
        }
        _ => false,
    }
}

#[test]
fn every_inline_form_is_what_the_call_table_says_and_padding() {
    for form in &NATIVE_FORMS {
        let NativeCode::Inline(bytes) = form.code else { continue };
        let other = OTHER_WORDS.iter().find(|(call, _)| *call == form.call);
        let expected = other.map_or(form.call.info().native, |(_, words)| words);
        let instructions = decode(bytes);
        let found: Vec<_> =
            instructions.iter().filter(|i| !is_padding(i)).map(|i| words(&i.to_string())).collect();
        assert_eq!(found.join("; "), words(expected), "{}", form.call);
        assert!(instructions.iter().all(|i| !i.is_invalid()), "{}", form.call);
    }
}

/// Assembly in one way of writing.
fn words(assembly: &str) -> String {
    let replacements =
        [(", ", ","), ("80h", "0x80"), ("fword ptr ", ""), ("dword ptr ", ""), ("byte ptr ", "")];
    replacements.iter().fold(assembly.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn the_call_table_has_no_second_form_for_a_call_in_other_words() {
    for (call, words) in OTHER_WORDS {
        assert_ne!(call.info().native, words, "{call}");
    }
}

#[test]
fn the_calls_with_a_stub_are_those_of_the_list_and_their_sites_call_it() {
    for form in &NATIVE_FORMS {
        let is_stub = form.code == NativeCode::Stub;
        assert_eq!(is_stub, STUB_CALLS.contains(&form.call), "{}", form.call);
        if is_stub {
            let kernel = Kernel::new([form]);
            let site = kernel.sites().iter().next().unwrap().unwrap();
            let call = Decoder::with_ip(32, site.native().as_slice(), site.address.into(), 0).decode();
            assert!(call.is_call_near());
            assert_eq!(call.near_branch32(), STUBS[form.call.number() as usize]);
        }
    }
}

#[test]
fn every_form_has_the_number_of_its_place_and_room_for_a_branch() {
    for (number, form) in (0..).zip(&NATIVE_FORMS) {
        assert_eq!(form.call.number(), number);
        assert!((BRANCH_LENGTH..=MAX_SITE_LENGTH).contains(&form.length()), "{}", form.call);
        let returns = form.kind == SiteKind::FallThrough;
        let power = [Call::REBOOT, Call::SHUTDOWN].contains(&form.call);
        assert_eq!(returns, form.call.info().returns || power, "{}", form.call);
    }
}

#[test]
fn every_inline_form_needs_the_processor_of_the_list_or_a_386() {
    let mut found = Vec::new();
    for form in &NATIVE_FORMS {
        let NativeCode::Inline(bytes) = form.code else { continue };
        for feature in decode(bytes).iter().flat_map(Instruction::cpuid_features) {
            if !is_on_a_386(*feature) {
                found.push((form.call, *feature));
            }
        }
    }
    assert_eq!(found, LATER_PROCESSORS);
}

fn is_on_a_386(feature: CpuidFeature) -> bool {
    use CpuidFeature::{INTEL186, INTEL286, INTEL386, INTEL8086};
    [INTEL8086, INTEL186, INTEL286, INTEL386].contains(&feature)
}

#[test]
fn a_branch_in_an_inline_form_ends_behind_the_form() {
    for form in &NATIVE_FORMS {
        let NativeCode::Inline(bytes) = form.code else { continue };
        for instruction in decode(bytes).iter().filter(|i| i.is_jcc_short_or_near()) {
            assert_eq!(instruction.near_branch32() as usize, bytes.len(), "{}", form.call);
        }
    }
}

#[test]
fn nothing_stands_between_sti_and_what_it_shadows() {
    for call in [Call::ENABLE_INTERRUPTS, Call::SYSEXIT, Call::HALT] {
        let NativeCode::Inline(bytes) = NativeForm::of(call).code else { panic!("{call} has a stub") };
        let instructions = decode(bytes);
        let sti = instructions.iter().position(|i| i.mnemonic() == Mnemonic::Sti).unwrap();
        let next = instructions.get(sti + 1).map(Instruction::mnemonic);
        assert!(matches!(next, None | Some(Mnemonic::Sysexit | Mnemonic::Hlt)), "{call}: {next:?}");
    }
}

#[test]
fn what_a_branch_leaves_of_a_site_is_one_instruction_without_effect() {
    let kernel = Kernel::new(&NATIVE_FORMS);
    let rom = 0xc00c_3000..0xc00c_4000;
    let relocation = Relocation { kind: RelocationKind::CALL_REL, target: rom.start };
    let table = RelocationTable::query(rom, |_| relocation).unwrap();
    let plan = Plan::new(kernel.sites(), table, &kernel.text).unwrap();
    for site in plan.sites(&kernel.text).map(Result::unwrap) {
        let instructions = decode(site.planned.as_slice());
        let [_, rest @ ..] = &*instructions else { panic!("{}: no call", site.call) };
        assert!(rest.iter().all(is_padding), "{}", site.call);
        assert!(rest.len() < 2 || !site.call.info().returns, "{}", site.call);
        let features = rest.iter().flat_map(Instruction::cpuid_features);
        assert!(features.copied().all(is_on_a_386), "{}", site.call);
    }
}
