//! The two generations of the interface: the same calls are found in a ROM of 13.x, behind adapters where its
//! slots take other arguments.

use std::cell::RefCell;

use iced_x86::{Code, Decoder, DecoderOptions};
use paravirt_vmi::abi::{Argument, Call, LegacySlot, RelocationKind, legacy};
use paravirt_vmi::boot::{Backend, Error, NativeReason};
use paravirt_vmi::patch::Relocation;
use paravirt_vmi::rom::{self, Adapter, Generation, ProbeError, Rom, RomDefect, RomError};
use paravirt_vmi_rom_image::{self as rom_image, Image, window};

use crate::support::machine::{Fake, OFFSET, ROM, Step, adapter_address, boot, error, machine_with};

/// A sound ROM of version 13.`minor`.
fn legacy_image(minor: u8) -> Image {
    let generation = Generation::of_version(legacy::API_VERSION_MAJOR, minor).unwrap();
    Image::new(generation).edit(|header, _, _| header.api_version_minor = minor)
}

/// Linear address of a slot.
fn slot_address(slot: u8) -> u32 {
    OFFSET + ROM + 32 * u32::from(slot)
}

/// A relocation to be expected.
fn call_rel(target: u32) -> Relocation {
    Relocation { kind: RelocationKind::CALL_REL, target }
}

/// The slot of a call in a ROM of minor version `minor`, and the adapter in front of it, as sections 4.4 and
/// 0 of the facts sheet have it: a second copy, written by hand.
fn expected(call: Call, minor: u8) -> Option<(u8, Option<Adapter>)> {
    let info = call.info();
    let slot = if minor < 3 { info.slot_13_0 } else { info.slot_13_3 };
    Some(match call {
        Call::SET_PXE if minor < 3 => (45, Some(Adapter::SetPxe)),
        Call::SET_PXE => (86, None),
        Call::UPDATE_PXE => (45, Some(Adapter::UpdatePxe)),
        Call::UPDATE_PXE_LONG => (48, Some(Adapter::UpdatePxeLong)),
        Call::ALLOCATE_PAGE => (53, Some(Adapter::AllocatePage)),
        Call::RELEASE_PAGE => (54, Some(Adapter::ReleasePage)),
        Call::UPDATE_KERNEL_STACK => (19, Some(Adapter::UpdateKernelStack)),
        Call::SET_LAZY_MODE if minor < 3 => (57, Some(Adapter::FlushPageTables)),
        Call::SET_LAZY_MODE => (57, Some(Adapter::FlushEverything)),
        _ => (slot?.number, None),
    })
}

/// A machine with a ROM of 13.x, and a kernel with a site of each call.
fn legacy_machine(minor: u8) -> (Fake, crate::support::kernel::Kernel) {
    machine_with(&legacy_image(minor))
}

#[test]
fn both_generations_are_found_and_told_apart_by_their_version() {
    let cases =
        [(0, Generation::V13_0), (2, Generation::V13_0), (3, Generation::V13_3), (9, Generation::V13_3)];
    for (minor, generation) in cases {
        let window = window([(ROM, legacy_image(minor))]);
        let rom = rom::probe(&window).unwrap();
        assert_eq!((rom.generation(), rom.api_version()), (generation, (13, minor)));
        assert_eq!(rom.manufacturer(), Some(c"paravirt-vmi"));
    }
    let window = window([(ROM, Image::new(Generation::V3_0))]);
    assert_eq!(rom::probe(&window).unwrap().generation(), Generation::V3_0);
}

#[test]
fn what_13_x_has_reserved_is_not_looked_at() {
    let image = legacy_image(0).edit(|header, _, _| {
        header.virtual_top = 0xfc00_0000.into();
        header.license_offset = 0xffff.into();
        header.reserved = [0xcc; 96];
    });
    let rom = Rom::parse(image.bytes(), ROM).unwrap();
    assert_eq!((rom.virtual_top(), rom.license()), (0, None));
}

#[test]
fn a_rom_of_13_x_needs_no_pci_header_and_one_that_it_has_is_checked() {
    let image = legacy_image(0);
    let without = image.edit(|header, _, _| header.pci_header_offset = 0.into());
    assert_eq!(Rom::parse(without.bytes(), ROM).unwrap().pci(), None);
    let found = *b"PCIX";
    let bad = image.edit(|_, pci, _| pci.signature = found);
    let offset = image.header().unwrap().pci_header_offset.get();
    let defect = RomDefect::PciSignature { offset, found };
    assert_eq!(Rom::parse(bad.bytes(), ROM), Err(RomError { address: ROM, defect }));
}

#[test]
fn a_rom_of_13_x_whose_slots_leave_the_image_is_refused() {
    for (minor, end) in [(0, 0xaa0), (3, 0xb00)] {
        let whole = legacy_image(minor);
        for units in 0..=whole.header().unwrap().rom_length {
            let length = usize::from(units) * 512;
            let image = whole.edit(|header, _, _| header.rom_length = units);
            let image = image.edit_bytes(|bytes| bytes.truncate(length.max(0x200)));
            // What the slots end in front of is of no concern here.
            let image = image.edit(|header, _, _| {
                (header.pci_header_offset, header.pnp_header_offset) = (0.into(), 0.into());
            });
            let parsed = Rom::parse(image.bytes(), ROM).map_err(|error| error.defect);
            match length {
                0 => assert_eq!(parsed, Err(RomDefect::TooShort { length: 0 })),
                _ if length < end => assert_eq!(parsed, Err(RomDefect::SlotsOutside { end, length })),
                _ => assert!(parsed.is_ok(), "{parsed:?}"),
            }
        }
    }
    let defect = RomDefect::SlotsOutside { end: 0xb00, length: 0xa00 };
    assert_eq!(defect.to_string(), "the slots end at 0xb00, outside the image of 0xa00 bytes");
}

#[test]
fn a_3_0_rom_that_calls_itself_13_x_is_refused_before_anything_in_it_is_called() {
    for minor in [0, 3] {
        let image = Image::new(Generation::V3_0).edit(|header, _, _| {
            (header.api_version_major, header.api_version_minor) = (13, minor);
        });
        let (mut fake, mut kernel) = machine_with(&image);
        let Ok(Backend::Native(reason)) = boot(&mut fake, &mut kernel.text) else { panic!("not native") };
        assert!(matches!(
            reason,
            NativeReason::Rom(ProbeError::Rejected(RomError {
                defect: RomDefect::LicenseOfOtherGeneration { major: 13, .. },
                ..
            }))
        ));
        assert_eq!(fake.steps.into_inner(), []);
    }
}

#[test]
fn a_13_0_rom_is_never_asked_and_every_call_that_it_has_goes_to_its_slot() {
    let (mut fake, mut kernel) = legacy_machine(0);
    let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
    let mut steps = vec![Step::Init { entry: slot_address(4) }];
    for call in Call::all() {
        let wanted = match expected(call, 0) {
            None => Relocation::NONE,
            Some((slot, None)) => call_rel(slot_address(slot)),
            Some((slot, Some(adapter))) => {
                steps.push(Step::Adapter { adapter, target: slot_address(slot) });
                call_rel(adapter_address(adapter))
            }
        };
        assert_eq!(vmi.plan.relocation(call), wanted, "{call}");
    }
    assert_eq!(fake.steps.into_inner(), steps);
    vmi.plan.verify(&kernel.text).unwrap();
}

#[test]
fn a_13_3_rom_is_asked_through_slot_85_with_the_numbers_of_slots() {
    let image = legacy_image(3).with_answers(|slot, _| rom_image::Relocation::call(0x700 + slot));
    let (mut fake, mut kernel) = machine_with(&image);
    let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
    let mut steps = vec![Step::Init { entry: slot_address(4) }];
    let mut adapters = vec![];
    for call in Call::all() {
        let Some((slot, adapter)) = expected(call, 3) else {
            assert_eq!(vmi.plan.relocation(call), Relocation::NONE, "{call}");
            continue;
        };
        steps.push(Step::Relocation { entry: slot_address(85), number: slot.into() });
        let target = OFFSET + ROM + 0x700 + u32::from(slot);
        let wanted = match adapter {
            None => target,
            Some(adapter) => {
                adapters.push(Step::Adapter { adapter, target });
                adapter_address(adapter)
            }
        };
        assert_eq!(vmi.plan.relocation(call), call_rel(wanted), "{call}");
    }
    steps.extend(adapters);
    assert_eq!(fake.steps.into_inner(), steps);
}

#[test]
fn a_call_that_a_13_3_rom_does_not_provide_stays_native_without_an_adapter() {
    let image = legacy_image(3).with_answers(|slot, answer| match slot {
        39 | 40 => answer,
        _ => rom_image::Relocation::NONE,
    });
    let (mut fake, mut kernel) = machine_with(&image);
    let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
    assert!(!fake.steps.borrow().iter().any(|step| matches!(step, Step::Adapter { .. })));
    assert_eq!(vmi.plan.relocation(Call::UPDATE_KERNEL_STACK), Relocation::NONE);
}

#[test]
fn the_answers_of_a_13_3_rom_are_checked_before_an_adapter_is_put_in_front() {
    let length = legacy_image(3).bytes().len() as u32;
    let range = format!("{:08x}..{:08x}", OFFSET + ROM, OFFSET + ROM + length);
    let at = |kind, offset| rom_image::Relocation { kind, offset };
    let cases = [
        (
            (Call::ALLOCATE_PAGE, at(RelocationKind::CALL_REL, length)),
            format!(
                "ROM at C3000: AllocatePage (call 44): target {:08x} is outside the ROM at {range}",
                OFFSET + ROM + length
            ),
        ),
        (
            (Call::CPUID, at(RelocationKind::NOP, 0)),
            "ROM at C3000: CPUID (call 0): relocation type NOP is unknown".to_owned(),
        ),
        (
            (Call::ALLOCATE_PAGE, at(RelocationKind::JUMP_REL, 0)),
            "ROM at C3000: AllocatePage (call 44): JUMP_REL where only a call fits".to_owned(),
        ),
    ];
    for ((call, answer), message) in cases {
        let (fake, kernel) = machine_with(&legacy_image(3).with_answer(call, answer));
        assert_eq!(error(fake, kernel).to_string(), message);
    }
}

#[test]
fn sites_of_adapted_calls_call_the_adapter() {
    let (mut fake, mut kernel) = legacy_machine(0);
    let Ok(Backend::Vmi(vmi)) = boot(&mut fake, &mut kernel.text) else { panic!("not patched") };
    let site = vmi.plan.sites(&kernel.text).flatten().find(|site| site.call == Call::SET_PXE).unwrap();
    let bytes = site.current;
    let mut decoder = Decoder::with_ip(32, bytes.as_slice(), site.address.into(), DecoderOptions::NONE);
    let instruction = decoder.decode();
    assert_eq!(instruction.code(), Code::Call_rel32_32);
    assert_eq!(instruction.near_branch32(), adapter_address(Adapter::SetPxe));
}

#[test]
fn when_init_of_a_13_x_rom_fails_the_kernel_stays_native() {
    let (mut fake, mut kernel) = machine_with(&legacy_image(0).with_init_status(u32::MAX));
    let result: Result<Backend, Error> = boot(&mut fake, &mut kernel.text);
    assert!(matches!(result, Ok(Backend::Native(NativeReason::Init { rom: ROM, status: u32::MAX }))));
    assert_eq!(fake.steps, RefCell::new(vec![Step::Init { entry: slot_address(4) }]));
}

#[test]
fn every_slot_whose_arguments_differ_from_those_of_3_0_has_an_adapter_or_needs_none() {
    let differs = |call: Call, slot: Option<LegacySlot>| {
        slot.is_some_and(|slot| places(slot.arguments) != places(call.info().arguments))
    };
    for call in Call::all() {
        for (minor, slot) in [(0, call.info().slot_13_0), (3, call.info().slot_13_3)] {
            let adapted = expected(call, minor).is_some_and(|(_, adapter)| adapter.is_some());
            // SetPxELong of 13.0 does not look at the stack word, which the site removes.
            let harmless = call == Call::SET_PXE_LONG && minor == 0;
            assert!(!differs(call, slot) || adapted || harmless, "{call} in 13.{minor}");
        }
    }
    assert!(differs(Call::SET_PXE, Call::SET_PXE.info().slot_13_0));
    assert_eq!(legacy::SLOT_FLUSH_DEFERRED_CALLS, 57);
}

/// Where the arguments are and what they are.
fn places(arguments: &[Argument]) -> Vec<(paravirt_vmi::abi::Location, &str)> {
    arguments.iter().map(|argument| (argument.location, argument.name)).collect()
}
