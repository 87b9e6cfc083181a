//! The ROM's own code at the sites of the interrupt flag: what may stand there, and what stays a call.

use iced_x86::{Decoder, DecoderOptions, Instruction};
use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::boot::Backend;
use paravirt_vmi::patch::{Plan, Relocation, RelocationTable};
use paravirt_vmi::site::NATIVE_FORMS;
use paravirt_vmi_rom_image::{Generation, Image};
use proptest::prelude::*;

use crate::support::kernel::Kernel;
use crate::support::machine::{OFFSET, ROM, boot, machine_with};

const BASE: u32 = 0xc00c_3000;
/// Where the code of a call under test lies in the ROM.
const PLACE: u32 = 0x100;

/// The calls whose code may stand at their sites.
const CALLS: [Call; 4] =
    [Call::ENABLE_INTERRUPTS, Call::DISABLE_INTERRUPTS, Call::GET_INTERRUPT_MASK, Call::SET_INTERRUPT_MASK];

/// The table of a ROM of 0x400 bytes that has `code` for `call`, reached by `kind`, and `int3` elsewhere.
fn table(call: Call, kind: RelocationKind, code: &[u8]) -> RelocationTable {
    let mut image = vec![0xcc; 0x400];
    image[PLACE as usize..][..code.len()].copy_from_slice(code);
    let answer = |asked| {
        let kind = if asked == call { kind } else { RelocationKind::CALL_REL };
        Relocation { kind, target: BASE + if asked == call { PLACE } else { 0x80 } }
    };
    RelocationTable::query(BASE..BASE + 0x400, answer).unwrap().with_inline_code(BASE, &image)
}

/// What the sites of `call` hold in place of a call to a ROM that has `code` for it.
fn inline(call: Call, code: &[u8]) -> Option<Vec<u8>> {
    table(call, RelocationKind::CALL_REL, code).inline_code(call).map(|code| code.as_slice().to_vec())
}

fn decode(bytes: &[u8]) -> Vec<Instruction> {
    Decoder::with_ip(32, bytes, 0, DecoderOptions::NONE).into_iter().collect()
}

/// Every instruction that may be copied, with an operand of 0xFFC00000 and each prefix that it may have, and the
/// calls at whose sites there is room for it.
fn instructions() -> Vec<(Vec<u8>, &'static [Call])> {
    const FLAG: [Call; 2] = [Call::ENABLE_INTERRUPTS, Call::DISABLE_INTERRUPTS];
    const GET: [Call; 1] = [Call::GET_INTERRUPT_MASK];
    const SET: [Call; 1] = [Call::SET_INTERRUPT_MASK];
    let of = |opcode: &[u8], immediate: &[u8]| [opcode, &[0, 0, 0xc0, 0xff], immediate].concat();
    let bare: [(_, &'static [Call]); 10] = [
        (of(&[0xc6, 0x05], &[2]), &FLAG),
        (of(&[0x80, 0x25], &[0xfd]), &FLAG),
        (of(&[0x80, 0x0d], &[2]), &FLAG),
        (of(&[0x0f, 0xba, 0x2d], &[9]), &FLAG),
        (of(&[0x0f, 0xba, 0x35], &[9]), &FLAG),
        (of(&[0xa1], &[]), &GET),
        (of(&[0x8b, 0x05], &[]), &GET),
        (of(&[0x8a, 0x25], &[]), &GET),
        (of(&[0xa3], &[]), &SET),
        (of(&[0x89, 0x05], &[]), &SET),
    ];
    let prefixed = bare.iter().map(|(code, calls)| ([&[0x36], &**code].concat(), *calls));
    // `ss bts` is too long for a site.
    let prefixed = prefixed.filter(|(code, _)| code.len() <= 8);
    bare.iter().cloned().chain(prefixed).collect()
}

#[test]
fn one_instruction_of_the_list_and_a_return_stand_at_the_site_padded_by_prefixes() {
    for (code, calls) in instructions() {
        let expected = decode(&code);
        for call in calls {
            let bytes = inline(*call, &[&*code, &[0xc3]].concat()).unwrap_or_else(|| panic!("{code:02x?}"));
            let [found] = decode(&bytes)[..] else { panic!("{bytes:02x?} is not one instruction") };
            assert!(bytes.ends_with(&code), "{bytes:02x?}");
            let padding = &bytes[..bytes.len() - code.len()];
            let prefix = if code[0] == 0x36 { 0x36 } else { 0x3e };
            assert!(padding.iter().all(|byte| *byte == prefix), "{bytes:02x?}");
            assert_eq!(found.code(), expected[0].code());
            assert_eq!(found.memory_segment(), expected[0].memory_segment(), "{bytes:02x?}");
            assert_eq!(found.memory_displacement32(), 0xffc0_0000);
        }
    }
}

#[test]
fn an_instruction_of_the_list_stands_at_sites_of_its_calls_alone() {
    for (code, calls) in instructions() {
        for call in CALLS.iter().filter(|call| !calls.contains(call)) {
            assert_eq!(inline(*call, &[&*code, &[0xc3]].concat()), None, "{call}: {code:02x?}");
        }
        for call in Call::all().filter(|call| !CALLS.contains(call)) {
            let table = table(call, RelocationKind::CALL_REL, &[&*code, &[0xc3]].concat());
            assert_eq!(table.inline_code(call), None, "{call}: {code:02x?}");
        }
    }
}

#[test]
fn code_without_a_return_behind_the_first_instruction_stays_a_call() {
    for (code, calls) in instructions() {
        for behind in [&[][..], &[0x90, 0xc3], &[0xc2, 0, 0], &[0xcb], &[0xcf], &[0xf3, 0xc3]] {
            assert_eq!(inline(calls[0], &[&*code, behind].concat()), None, "{code:02x?} {behind:02x?}");
        }
    }
}

#[test]
fn other_code_stays_a_call() {
    let other: [&[u8]; 14] = [
        &[0xc3],                                              // ret
        &[0xfa, 0xc3],                                        // cli
        &[0xfb, 0xc3],                                        // sti
        &[0xc6, 0x00, 2, 0xc3],                               // mov byte [eax], 2
        &[0xc6, 0x45, 0, 2, 0xc3],                            // mov byte [ebp], 2
        &[0xc6, 0x04, 0x25, 0, 0, 0xc0, 0xff, 2, 0xc3],       // with a SIB byte
        &[0xc6, 0x0d, 0, 0, 0xc0, 0xff, 2, 0xc3],             // no instruction
        &[0x65, 0xc6, 0x05, 0, 0, 0xc0, 0xff, 2, 0xc3],       // gs
        &[0x2e, 0xc6, 0x05, 0, 0, 0xc0, 0xff, 2, 0xc3],       // cs
        &[0x67, 0xc6, 0x06, 0, 0, 2, 0xc3],                   // a 16-bit address
        &[0x36, 0x36, 0x80, 0x0d, 0, 0, 0xc0, 0xff, 2, 0xc3], // two prefixes
        &[0x80, 0x3d, 0, 0, 0xc0, 0xff, 2, 0xc3],             // cmp
        &[0x36, 0x0f, 0xba, 0x2d, 0, 0, 0xc0, 0xff, 9, 0xc3], // longer than the site
        &[0xe9, 0, 0, 0, 0],                                  // jmp
    ];
    for (call, code) in CALLS.iter().flat_map(|call| other.map(|code| (*call, code))) {
        assert_eq!(inline(call, code), None, "{call}: {code:02x?}");
    }
}

#[test]
fn code_that_is_cut_off_by_the_end_of_the_rom_stays_a_call() {
    let code = [0xc6, 0x05, 0, 0, 0xc0, 0xff, 2, 0xc3];
    let call = Call::ENABLE_INTERRUPTS;
    for kept in 0..=code.len() {
        let image = [&[0xcc; 0x20][..], &code[..kept]].concat();
        let target = Relocation { kind: RelocationKind::CALL_REL, target: BASE + 0x20 };
        let table = RelocationTable::query(BASE..BASE + 0x400, |_| target).unwrap();
        let found = table.with_inline_code(BASE, &image).inline_code(call);
        assert_eq!(found.is_some(), kept == code.len(), "{kept} bytes");
    }
}

#[test]
fn a_call_that_is_not_to_be_called_has_no_code_at_its_sites() {
    let code = [0xc6, 0x05, 0, 0, 0xc0, 0xff, 2, 0xc3];
    for kind in [RelocationKind::NONE, RelocationKind::NOP, RelocationKind::JUMP_REL] {
        assert_eq!(table(Call::ENABLE_INTERRUPTS, kind, &code).inline_code(Call::ENABLE_INTERRUPTS), None);
    }
}

/// A ROM with code for two of the calls.
fn image(generation: Generation) -> Image {
    Image::new(generation)
        .with_code(Call::DISABLE_INTERRUPTS, &[0x36, 0xc6, 0x05, 1, 0, 0xc0, 0xff, 0, 0xc3])
        .with_code(Call::GET_INTERRUPT_MASK, &[0x36, 0xa1, 0, 0, 0xc0, 0xff, 0xc3])
}

/// What each site holds in place of a call.
fn expected(call: Call) -> Option<&'static [u8]> {
    match call {
        Call::DISABLE_INTERRUPTS => Some(&[0x36, 0xc6, 0x05, 1, 0, 0xc0, 0xff, 0]),
        Call::GET_INTERRUPT_MASK => Some(&[0x36, 0x36, 0x36, 0xa1, 0, 0, 0xc0, 0xff]),
        _ => None,
    }
}

#[test]
fn activation_puts_the_roms_code_at_sites_and_reverting_takes_it_away() {
    for generation in Generation::ALL {
        let (mut fake, mut kernel) = machine_with(&image(generation));
        let native = kernel.text.bytes.clone();
        let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
        for site in vmi.plan.sites(&kernel.text).map(Result::unwrap) {
            assert_eq!(site.current, site.planned);
            match expected(site.call) {
                Some(bytes) => assert_eq!(site.current.as_slice(), bytes, "{generation}: {}", site.call),
                None => {
                    let is_native = site.current == site.native;
                    let target = vmi.plan.relocation(site.call).branch_target();
                    assert_eq!(is_native, target.is_none(), "{generation}: {}", site.call);
                }
            }
        }
        for report in vmi.plan.calls() {
            assert_eq!(report.inline_code.is_some(), expected(report.call).is_some());
            assert_eq!(report.to_string().contains("inline"), report.inline_code.is_some(), "{report}");
        }
        vmi.plan.verify(&kernel.text).unwrap();
        // SAFETY: the text is data.
        unsafe { vmi.plan.revert(&mut kernel.text) }.unwrap();
        assert_eq!(kernel.text.bytes, native);
    }
}

#[test]
fn a_machine_that_wants_no_code_at_sites_gets_calls() {
    let (mut fake, mut kernel) = machine_with(&image(Generation::V3_0));
    fake.inlines = false;
    let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
    for call in CALLS {
        assert_eq!(vmi.plan.inline_code(call), None);
    }
    let target = vmi.plan.relocation(Call::DISABLE_INTERRUPTS).target;
    let site =
        vmi.plan.sites(&kernel.text).flatten().find(|site| site.call == Call::DISABLE_INTERRUPTS).unwrap();
    let [call, _] = decode(site.current.as_slice())[..] else { panic!("no call and filler: {site}") };
    assert!(call.is_call_near() && target > OFFSET + ROM);
    assert_eq!(site.address.wrapping_add(call.near_branch32()), target);
}

proptest! {
    #[test]
    fn whatever_a_rom_has_for_a_call_its_site_holds_one_plain_instruction_or_a_call(
        call in proptest::sample::select(&CALLS[..]),
        prefix in proptest::option::of(proptest::sample::select(&[0x36u8, 0x3e, 0x2e, 0x66, 0xf0][..])),
        opcode in proptest::sample::select(&[0xc6u8, 0x80, 0x0f, 0xa1, 0x8b, 0xa3, 0x89, 0xc7, 0xff][..]),
        rest in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x05), Just(0xc3), Just(0xba)], 12),
        end in 4usize..10,
    ) {
        let mut code: Vec<u8> = prefix.into_iter().chain([opcode]).chain(rest).collect();
        code[end] = 0xc3;
        let kernel = Kernel::new(NATIVE_FORMS.iter().filter(|form| form.call == call));
        let plan = Plan::new(kernel.sites(), table(call, RelocationKind::CALL_REL, &code), &kernel.text).unwrap();
        let site = plan.sites(&kernel.text).next().unwrap().unwrap();
        let instructions = decode(site.planned.as_slice());
        if plan.inline_code(call).is_none() {
            prop_assert!(instructions[0].is_call_near());
            return Ok(());
        }
        let [instruction] = instructions[..] else { panic!("not one instruction: {site}") };
        let of_rom = decode(&code);
        prop_assert_eq!(instruction.code(), of_rom[0].code());
        prop_assert_eq!(of_rom[1].code(), iced_x86::Code::Retnd);
        let absolute = instruction.memory_base() == iced_x86::Register::None
            && instruction.memory_index() == iced_x86::Register::None;
        prop_assert!(absolute && !instruction.has_lock_prefix(), "{}", site);
        prop_assert!(instruction.op_count() == 2 && !instruction.is_stack_instruction());
        prop_assert!(instruction.flow_control() == iced_x86::FlowControl::Next);
    }
}
