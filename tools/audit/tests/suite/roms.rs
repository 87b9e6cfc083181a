//! Asking ROMs by following their code, and planning for what they answer.

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi_rom_image::{Generation, Image};
use vmi_audit::kernel::Kernel as Parsed;
use vmi_audit::patched::{PatchError, Patched, Place};
use vmi_audit::rom::{AskCause, ask};
use vmi_audit::site::{Cpu, Sites};

use super::elf::Kernel;

const BASE: u32 = 0xC00C_3000;

/// What code at the start of a ROM answers for a number.
fn answer(code: &[u8], number: u32) -> Result<(u8, u32), AskCause> {
    let mut image = code.to_vec();
    image.resize(0x100, 0xCC);
    // A table of words at the end.
    for (index, byte) in image[0x80..0xC0].iter_mut().enumerate() {
        *byte = 0x40 + index as u8;
    }
    let answer = ask(&image, BASE, BASE, number).map_err(|error| error.cause)?;
    Ok((answer.kind.0, answer.target))
}

#[test]
fn a_table_is_read_at_the_place_where_the_rom_lies() {
    // call 1f; 1: pop ecx; lea eax, [ecx + 8*eax + 0x7b]; movzx edx, byte [eax + 4]; mov eax, [eax]; add eax, ecx; ret
    let code = [
        0xE8, 0, 0, 0, 0, 0x59, 0x8D, 0x44, 0xC1, 0x7B, 0x0F, 0xB6, 0x50, 0x04, 0x8B, 0x00, 0x01, 0xC8, 0xC3,
    ];
    assert_eq!(answer(&code, 0), Ok((0x44, 0x4342_4140_u32.wrapping_add(BASE + 5))));
    assert_eq!(answer(&code, 2), Ok((0x54, 0x5352_5150_u32.wrapping_add(BASE + 5))));
    // Behind the end of the image.
    let address = BASE + 0x80 + 8 * 16 + 4;
    assert_eq!(answer(&code, 16), Err(AskCause::Reads { address }));
}

#[test]
fn registers_are_kept_by_push_and_pop_and_ports_are_written_for_nothing() {
    // push ebx; mov bl, 7; mov bh, bl; xchg eax, ebx; out 0xe9, al; mov edx, eax; pop ebx; xor eax, eax; ret
    let code = [0x53, 0xB3, 0x07, 0x88, 0xDF, 0x93, 0xE6, 0xE9, 0x89, 0xC2, 0x5B, 0x31, 0xC0, 0xC3];
    assert_eq!(answer(&code, 0), Ok((7, 0)));
    // mov edx, 4; rep ret
    assert_eq!(answer(&[0xBA, 4, 0, 0, 0, 0xF3, 0xC3], 6), Ok((4, 6)));
    // pushad; mov edx, 1; popad; pushfd; pop eax; mov edx, 3; ret
    let code = [0x60, 0xBA, 1, 0, 0, 0, 0x61, 0x9C, 0x58, 0xBA, 3, 0, 0, 0, 0xC3];
    assert_eq!(answer(&code, 9), Ok((3, 0x202)));
}

#[test]
fn conditions_loops_and_shifts_are_followed() {
    // xor edx, edx; 1: inc edx; dec eax; jnz 1b; shl edx, 4; cmp edx, 0x20; jae 2f; neg edx; 2: mov eax, edx; ret
    let code = [
        0x31, 0xD2, 0x42, 0x48, 0x75, 0xFC, 0xC1, 0xE2, 0x04, 0x83, 0xFA, 0x20, 0x73, 0x02, 0xF7, 0xDA, 0x89,
        0xD0, 0xC3,
    ];
    assert_eq!(answer(&code, 3), Ok((0x30, 0x30)));
    assert_eq!(answer(&code, 1), Ok((0xF0, 0xFFFF_FFF0)));
    // The first time through, 0 is the largest number.
    assert_eq!(answer(&code, 0), Err(AskCause::NoEnd));
}

#[test]
fn what_is_not_followed_is_named() {
    let cause = |code: &[u8]| answer(code, 1).unwrap_err();
    assert_eq!(cause(&[0xEB, 0xFE]), AskCause::NoEnd);
    assert_eq!(cause(&[0x0F, 0x04]), AskCause::Undecodable);
    assert_eq!(cause(&[0xCD, 0x80]), AskCause::NotFollowed);
    assert_eq!(cause(&[0xFA]), AskCause::NotFollowed);
    assert_eq!(cause(&[0xF3, 0xA4]), AskCause::NotFollowed);
    assert_eq!(cause(&[0x65, 0x8B, 0x00]), AskCause::NotFollowed);
    assert_eq!(cause(&[0x9A, 0, 0, 0, 0, 8, 0]), AskCause::NotFollowed);
    assert_eq!(cause(&[0x66, 0x50]), AskCause::NotFollowed);
    assert_eq!(cause(&[0xA3, 0, 0x10, 0, 0]), AskCause::Writes { address: 0x1000 });
    assert_eq!(cause(&[0xA1, 0, 0x10, 0, 0]), AskCause::Reads { address: 0x1000 });
    assert_eq!(cause(&[0xC7, 0x05, 0x00, 0x30, 0x0C, 0xC0, 0, 0, 0, 0]), AskCause::Writes { address: BASE });
    assert_eq!(cause(&[0xE9, 0xFB, 0x0F, 0, 0]), AskCause::OutsideRom);
    // push eax; push [esp + 4]; ret
    assert_eq!(cause(&[0x50, 0xFF, 0x74, 0x24, 0x04, 0xC3]), AskCause::Stack);
    let error = ask(&[0x90, 0xF4], BASE, BASE, 30).unwrap_err();
    assert_eq!(
        error.to_string(),
        "asked for call 30, the ROM runs into `hlt` at c00c3001, which is not followed here"
    );
}

/// What a kernel with a site of each call makes of a ROM of 13.0, which has slots; `symbols` are those of adapters.
fn with_slots(change: impl FnOnce(&mut super::elf::Elf)) -> Result<Patched, PatchError> {
    let mut elf = Kernel::of_all().elf();
    change(&mut elf);
    let data = elf.bytes();
    let kernel = Parsed::parse(&data).unwrap();
    let image = Image::new(Generation::V13_0);
    Patched::new(
        &kernel,
        &Sites::new(&kernel, Cpu::I386),
        image.bytes(),
        Place { rom: 0xCD000, physical_offset: 0x100_0000 },
        true,
    )
}

/// The adapters that a ROM of 13.0 needs.
const ADAPTERS: [&str; 7] = [
    "set_pxe",
    "update_pxe",
    "update_pxe_long",
    "allocate_page",
    "release_page",
    "update_kernel_stack",
    "flush_page_tables",
];

fn add_adapters(elf: &mut super::elf::Elf) {
    for (index, name) in ADAPTERS.into_iter().enumerate() {
        elf.symbol(format!("__paravirt_vmi_adapter_{name}"), 0x50_0000 + index as u32, 0, 0, 1);
    }
}

#[test]
fn slots_are_called_where_they_lie_and_adapters_where_the_kernel_has_them() {
    let patched = with_slots(add_adapters).unwrap();
    assert_eq!((patched.base, patched.generation), (0x10C_D000, Generation::V13_0));
    let of = |call: Call| {
        let report = patched.calls[call.number() as usize];
        (report.relocation.kind, report.relocation.target, report.sites)
    };
    let slot = u32::from(Call::DISABLE_INTERRUPTS.info().slot_13_0.unwrap().number);
    assert_eq!(of(Call::DISABLE_INTERRUPTS), (RelocationKind::CALL_REL, 0x10C_D000 + 32 * slot, 1));
    assert_eq!(of(Call::SET_PXE), (RelocationKind::CALL_REL, 0x50_0000, 1));
    assert_eq!(of(Call::SET_LAZY_MODE), (RelocationKind::CALL_REL, 0x50_0006, 1));
    let site = &patched.sites[Call::DISABLE_INTERRUPTS.number() as usize];
    let displacement = (0x10C_D000 + 32 * slot).wrapping_sub(site.address + 5).to_le_bytes();
    assert_eq!(site.planned.as_slice()[..5], [&[0xE8][..], &displacement].concat());
    assert_eq!(patched.sites.len(), Call::COUNT);
}

#[test]
fn a_kernel_that_would_not_be_patched_says_why() {
    let error = with_slots(|_| {}).unwrap_err().to_string();
    assert_eq!(
        error,
        "this ROM needs the kernel's __paravirt_vmi_adapter_update_kernel_stack, and no symbol says where that is"
    );
    let error = with_slots(|elf| {
        add_adapters(elf);
        elf.sections[0].bytes[3] ^= 1;
    });
    assert!(matches!(error, Err(PatchError::Plan(_))), "{error:?}");
    let error = with_slots(|elf| {
        add_adapters(elf);
        elf.sections[1].bytes.pop();
    });
    assert!(matches!(error, Err(PatchError::Records(_))), "{error:?}");
}
