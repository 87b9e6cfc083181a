//! Images as they are made, read and changed.

use std::mem::offset_of;

use paravirt_vmi::rom::Rom;
use paravirt_vmi_abi::legacy::SLOT_SIZE;
use paravirt_vmi_abi::{Call, PciDataStructure, RelocationKind, RomHeader};
use paravirt_vmi_rom_image::{Error, Generation, Image, Parts, Provision, Relocation, Style, field, slots};
use proptest::prelude::*;

const ADDRESS: u32 = 0xC_8000;

/// A sound image without padding, lengths and checksum, as a linker would leave it, and its parts.
fn linked() -> (Vec<u8>, Parts) {
    let image = Image::new(Generation::V3_0);
    let end = image.bytes().iter().rposition(|&byte| byte == 0xCC).unwrap() + 1;
    let parts = image.parts();
    let mut bytes = image.into_bytes();
    bytes.truncate(end);
    bytes[2] = 0;
    (bytes, parts)
}

/// A sound image of which a linker has left `length` bytes.
fn of_length(length: usize) -> Result<Image, Error> {
    let (mut bytes, parts) = linked();
    bytes.resize(length, 0);
    Image::from_linked(bytes, parts)
}

#[test]
fn an_image_is_what_a_guest_takes_for_a_sound_rom_of_its_generation() {
    for generation in Generation::ALL {
        for style in Style::ALL {
            let image = Image::providing(Provision::new(generation, style));
            let rom = Rom::parse(image.bytes(), ADDRESS).unwrap();
            assert_eq!(rom.generation(), generation);
            assert_eq!(rom.api_version(), generation.version());
            assert_eq!(rom.image(), image.bytes());
            assert_eq!(rom.license(), (generation == Generation::V3_0).then_some(c"GPL v2"));
            assert_eq!(rom.manufacturer(), Some(c"paravirt-vmi"));
            assert_eq!(rom.pci(), image.pci().as_ref());
            assert_eq!(rom.pnp(), image.pnp().as_ref());
            assert_eq!(image.init_status(), Some(0));
            let pnp = usize::from(rom.header().pnp_header_offset.get());
            assert_eq!(field::sum(&image.bytes()[pnp..pnp + 0x20]), 0);
        }
    }
}

#[test]
fn every_answer_is_that_of_the_provision_and_leads_to_a_place_of_its_own() {
    let base = 0xC00C_8000;
    for generation in Generation::ALL {
        for style in Style::ALL {
            let leave = RelocationKind::JUMP_REL;
            let provision = Provision { leave, ..Provision::new(generation, style) };
            let image = Image::providing(provision);
            let mut targets = Vec::new();
            for number in 0..100 {
                let answer = image.answer(number, base);
                assert_eq!(answer.kind, provision.answer(number), "{generation} {number}");
                let offset = answer.eip.get().wrapping_sub(base);
                match answer.kind {
                    RelocationKind::CALL_REL | RelocationKind::JUMP_REL => targets.push(offset),
                    _ => assert_eq!(answer.eip.get(), 0),
                }
                if generation == Generation::V13_3 && answer.kind != RelocationKind::NONE {
                    assert_eq!(offset, SLOT_SIZE * number);
                }
            }
            assert!(targets.iter().all(|&target| image.bytes()[target as usize] == 0xCC));
            targets.dedup();
            assert_eq!(targets.len(), image.relocations().filter(|(_, entry)| entry.is_branch()).count());
        }
    }
}

#[test]
fn a_number_stands_for_the_call_that_is_asked_for_by_it() {
    for generation in [Generation::V3_0, Generation::V13_3] {
        let image = Image::new(generation);
        for call in Call::all() {
            let Some(number) = generation.relocation_number(call) else { continue };
            assert_eq!(image.call(number), Some(call));
        }
        let unknown = slots(generation).into_iter().filter(|slot| slot.call.is_none());
        assert!(unknown.into_iter().all(|slot| image.call(slot.number.into()).is_none()));
    }
    assert_eq!(Image::new(Generation::V13_0).call(5), None);
}

#[test]
fn an_image_is_whole_units_long_and_says_so_in_both_places() {
    let image = of_length(1100).unwrap();
    assert_eq!(image.bytes().len(), 3 * 512);
    assert_eq!(image.bytes()[offset_of!(RomHeader, rom_length)], 3);
    assert_eq!(image.pci().unwrap().image_length.get(), 3);
    assert_eq!(field::sum(image.bytes()), 0);
}

#[test]
fn an_image_that_fills_its_last_unit_gets_another_one_for_the_checksum() {
    for (length, padded) in [(4 * 512, 5 * 512), (4 * 512 - 1, 4 * 512)] {
        let image = of_length(length).unwrap();
        assert_eq!(image.bytes().len(), padded);
        assert_eq!(field::sum(image.bytes()), 0);
    }
}

#[test]
fn an_image_longer_than_127_units_is_refused() {
    assert_eq!(of_length(127 * 512 - 1).unwrap().bytes().len(), 127 * 512);
    let error = of_length(127 * 512).unwrap_err();
    assert_eq!(error, Error::TooLong { length: 127 * 512 });
    assert_eq!(error.to_string(), "65024 bytes are too long for a ROM of 127 units");
}

#[test]
fn an_image_whose_structures_are_cut_off_or_missing_is_refused() {
    let fields = [
        ("PCI data structure", offset_of!(RomHeader, pci_header_offset), size_of::<PciDataStructure>()),
        ("PnP header", offset_of!(RomHeader, pnp_header_offset), 0x12),
    ];
    for (part, place, size) in fields {
        let (bytes, parts) = linked();
        let length = bytes.len();
        for offset in [0, length - size + 1, 0xFFFF] {
            let mut bytes = bytes.clone();
            bytes[place..place + 2].copy_from_slice(&(offset as u16).to_le_bytes());
            let error = Image::from_linked(bytes, parts).unwrap_err();
            assert_eq!(error, Error::PartOutside { part, offset, size, length });
        }
        let mut bytes = bytes.clone();
        bytes[place..place + 2].copy_from_slice(&((length - size) as u16).to_le_bytes());
        assert!(Image::from_linked(bytes, parts).is_ok());
    }
}

#[test]
fn an_image_whose_data_lie_outside_is_refused() {
    let (bytes, parts) = linked();
    let length = bytes.len();
    let outside = |parts| Image::from_linked(bytes.clone(), parts).unwrap_err().to_string();
    let status = Parts { init_status: length - 3, ..parts };
    let expected =
        format!("the status of vmi_init at offset {:#x}, 4 bytes, is outside the image", length - 3);
    assert!(outside(status).starts_with(&expected), "{}", outside(status));
    for offset in [length - 591, usize::MAX] {
        let table = Parts { relocations: Some(offset), ..parts };
        assert!(outside(table).starts_with("the relocation table at offset "), "{}", outside(table));
    }
    let missing = Parts { relocations: None, ..parts };
    assert_eq!(outside(missing), "a ROM of generation 3.0 has a relocation table, and none is given");
    let error = Image::from_linked(bytes[..0x8F].to_vec(), parts).unwrap_err();
    assert_eq!(error, Error::PartOutside { part: "header", offset: 0, size: 0x90, length: 0x8F });
}

#[test]
fn an_edited_image_differs_in_the_fields_alone_and_adds_up_to_zero() {
    let image = Image::new(Generation::V3_0);
    let edited = image.edit(|header, pci, pnp| {
        header.virtual_top = 0xFC00_0000.into();
        pci.revision = 9;
        pnp.product_offset = 0.into();
    });
    let rom = Rom::parse(edited.bytes(), ADDRESS).unwrap();
    assert_eq!((rom.virtual_top(), rom.pci().unwrap().revision, rom.product()), (0xFC00_0000, 9, None));
    let back = edited.edit(|header, pci, pnp| {
        header.virtual_top = 0.into();
        pci.revision = 0;
        *pnp = image.pnp().unwrap();
    });
    assert_eq!(back, image);
}

#[test]
fn a_structure_to_which_the_header_no_longer_leads_can_still_be_edited() {
    let lost = Image::new(Generation::V3_0).edit(|header, _, _| header.pci_header_offset = 0.into());
    assert_eq!(lost.edit(|_, pci, _| pci.revision = 5).pci().unwrap().revision, 5);
}

#[test]
fn an_answer_is_that_of_the_call_and_of_no_other() {
    for generation in [Generation::V3_0, Generation::V13_3] {
        let image = Image::new(generation);
        let wanted = Relocation { kind: RelocationKind(7), offset: 0xFFFF_0000 };
        let bent = image.with_answer(Call::HALT, wanted);
        let number = generation.relocation_number(Call::HALT).unwrap();
        for (asked, entry) in bent.relocations() {
            let expected = if asked == number { Some(wanted) } else { image.relocation(asked) };
            assert_eq!(Some(entry), expected);
        }
        assert_eq!(field::sum(bent.bytes()), 0);
    }
    assert_eq!(Image::new(Generation::V3_0).with_init_status(9).init_status(), Some(9));
}

#[test]
#[should_panic = "a ROM of generation 13.0 has no answer for Halt to be changed"]
fn an_answer_that_a_rom_does_not_give_cannot_be_changed() {
    _ = Image::new(Generation::V13_0).with_answer(Call::HALT, Relocation::NONE);
}

#[test]
#[should_panic = "has been cut off"]
fn a_status_that_has_been_cut_off_cannot_be_changed() {
    _ = Image::new(Generation::V3_0).edit_bytes(|bytes| bytes.truncate(0x90)).with_init_status(1);
}

#[test]
fn code_of_a_call_lies_in_an_image_that_a_guest_takes_for_sound_where_its_relocation_leads() {
    for generation in Generation::ALL {
        let calls = [Call::ENABLE_INTERRUPTS, Call::DISABLE_INTERRUPTS];
        let code = |call: Call| [0x36, 0xC6, 0x05, call.number() as u8, 0xC3];
        let image =
            calls.iter().fold(Image::new(generation), |image, call| image.with_code(*call, &code(*call)));
        let rom = Rom::parse(image.bytes(), 0xC_8000).unwrap();
        assert_eq!(rom.image().len(), image.bytes().len(), "{generation}: the image knows how long it is");
        let units = image.bytes().len() as u16 / 512;
        assert_eq!(image.pci().unwrap().image_length.get(), units, "{generation}");
        for call in calls {
            let offset = match generation.slot(call) {
                Some(slot) => 32 * usize::from(slot.number),
                None => image.relocation(call.number()).unwrap().offset as usize,
            };
            assert_eq!(image.bytes()[offset..][..5], code(call), "{generation}: {call}");
        }
    }
}

#[test]
fn what_is_cut_off_has_no_value() {
    let image = Image::new(Generation::V3_0);
    for length in 0..image.bytes().len() {
        let cut = image.edit_bytes(|bytes| bytes.truncate(length));
        assert_eq!(cut.header().is_some(), length >= 0x90);
        assert_eq!(cut.init_status().is_some(), length >= image.parts().init_status + 4);
        // Of an entry five bytes have a meaning.
        let entries = (length.saturating_sub(image.parts().relocations.unwrap()) + 3) / 8;
        assert_eq!(cut.relocations().count(), entries.min(74));
        _ = cut.edit(|header, pci, pnp| (header.rom_length, pci.revision, pnp.revision) = (1, 1, 1));
    }
}

proptest! {
    #[test]
    fn whatever_bytes_are_changed_the_image_can_be_read_and_a_guest_probes_it_without_a_panic(
        generation in proptest::sample::select(&Generation::ALL[..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        length in proptest::option::of(0usize..0x1200),
        resum in any::<bool>(),
    ) {
        let image = Image::new(generation);
        let change = |bytes: &mut Vec<u8>| {
            for (index, value) in &changes {
                let place = index.index(bytes.len());
                bytes[place] = *value;
            }
            if let Some(length) = length {
                bytes.resize(length, 0);
            }
        };
        let changed = if resum { image.edit_bytes(change) } else {
            let mut bytes = image.bytes().to_vec();
            change(&mut bytes);
            image.with_bytes(bytes)
        };
        _ = (changed.header(), changed.pci(), changed.pnp(), changed.init_status());
        for number in (0..100).chain([u32::MAX]) {
            _ = (changed.relocation(number), changed.answer(number, ADDRESS), changed.call(number));
        }
        for bend in paravirt_vmi_rom_image::Bend::ALL {
            _ = changed.bend(bend);
        }
        _ = changed.edit(|header, _, _| header.rom_length = 1).with_answers(|_, answer| answer);
        let window = paravirt_vmi_rom_image::window([(ADDRESS, &changed)]);
        _ = Rom::parse(changed.bytes(), ADDRESS);
        _ = paravirt_vmi::rom::probe(&window);
        _ = Image::from_linked(changed.bytes().to_vec(), image.parts());
    }
}
