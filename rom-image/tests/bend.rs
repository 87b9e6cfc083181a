//! Each bend changes what it says and nothing else.

use std::collections::HashSet;

use paravirt_vmi::rom::{Rom, RomDefect};
use paravirt_vmi_abi::{Call, RelocationKind};
use paravirt_vmi_rom_image::{Bend, Generation, Image, field};

/// Each bend, the offset of the field that it changes, and what it writes there.
fn expected(image: &Image) -> [(Bend, usize, Vec<u8>); 22] {
    let length = image.bytes().len();
    let parts = image.parts();
    let offset = |field| field::read_offset(image.bytes(), field).unwrap();
    let table = parts.relocations.unwrap();
    let disable = table + 8 * 30;
    let sum = length - 1;
    [
        (Bend::Signature, 1, vec![0xAB]),
        (Bend::LengthZero, 2, vec![0]),
        (Bend::LengthBeyondWindow, 2, vec![0xFF]),
        (Bend::Checksum, sum, vec![image.bytes()[sum].wrapping_add(1)]),
        (Bend::VmiSignature, 8, b"vmi ".to_vec()),
        (Bend::MajorVersion, 13, vec![4]),
        (Bend::PciMissing, 0x18, word(0)),
        (Bend::PciOutside, 0x18, word(length - 0x17)),
        (Bend::PciSignature, offset(0x18), b"RICP".to_vec()),
        (Bend::LicenseMissing, 0x16, word(0)),
        (Bend::LicenseOutside, 0x16, word(length)),
        (Bend::LicenseUnknown, offset(0x16), b"MIT\0".to_vec()),
        (Bend::PnpOutside, 0x1A, word(length - 0x11)),
        (Bend::InitFails, parts.init_status, vec![0xFF; 4]),
        (Bend::RelocationKindUnknown, disable + 4, vec![4]),
        (Bend::JumpForCall, disable + 4, vec![2]),
        (Bend::NopForResult, table + 8 * 31 + 4, vec![3]),
        (Bend::IretNone, table + 8 * 33 + 4, vec![0]),
        (Bend::TargetOutside, disable, (length as u32).to_le_bytes().to_vec()),
        (Bend::TargetBefore, disable, vec![0xFF; 4]),
        (Bend::Garbage, table, vec![0xA5; 8 * 74]),
        (Bend::OtherGeneration, 12, vec![0, 13]),
    ]
}

/// The bytes of an offset.
fn word(offset: usize) -> Vec<u8> {
    (offset as u16).to_le_bytes().to_vec()
}

#[test]
fn a_bend_changes_its_own_field_and_the_checksum_and_nothing_else() {
    let image = Image::new(Generation::V3_0);
    for (bend, offset, new) in expected(&image) {
        let bent = image.bend(bend);
        let field = offset..offset + new.len();
        assert_eq!(bent.bytes()[field.clone()], new, "{bend:?}");
        assert_ne!(image.bytes()[field.clone()], new, "{bend:?}");
        for place in (0..image.bytes().len() - 1).filter(|place| !field.contains(place)) {
            assert_eq!(bent.bytes()[place], image.bytes()[place], "{bend:?} at {place:#x}");
        }
    }
}

#[test]
fn a_bent_image_adds_up_to_zero_unless_its_checksum_is_bent() {
    for generation in Generation::ALL {
        for bend in Bend::of(generation) {
            let sum = field::sum(Image::new(generation).bend(bend).bytes());
            assert_eq!(sum, u8::from(bend == Bend::Checksum), "{bend:?}");
        }
    }
}

#[test]
fn every_bend_is_tested_once_and_has_a_name_of_its_own() {
    let expected: HashSet<_> = expected(&Image::new(Generation::V3_0)).map(|(bend, ..)| bend).into();
    assert_eq!(expected, HashSet::from_iter(Bend::of(Generation::V3_0)));
    assert_eq!(HashSet::from(Bend::ALL.map(Bend::name)).len(), Bend::ALL.len());
    assert_eq!(HashSet::from(Bend::ALL.map(Bend::description)).len(), Bend::ALL.len());
}

#[test]
fn bends_of_one_image_differ_from_each_other() {
    for generation in Generation::ALL {
        let (image, bends) = (Image::new(generation), Bend::of(generation));
        let images: HashSet<_> = bends.iter().map(|&bend| image.bend(bend).into_bytes()).collect();
        assert_eq!(images.len(), bends.len());
    }
}

/// The differences between an image and a bent one of the same length, without the checksum.
fn differences(image: &Image, bend: Bend) -> Vec<(usize, u8)> {
    let bent = image.bend(bend);
    assert_eq!(bent.bytes().len(), image.bytes().len());
    let pairs = image.bytes().iter().zip(bent.bytes()).enumerate();
    let pairs = pairs.take(image.bytes().len() - 1).filter(|(_, (old, new))| old != new);
    pairs.map(|(place, (_, &new))| (place, new)).collect()
}

#[test]
fn in_13_3_a_relocation_is_found_by_its_slot() {
    let image = Image::new(Generation::V13_3);
    let kind = |slot: usize| image.parts().relocations.unwrap() + 8 * slot + 4;
    assert_eq!(differences(&image, Bend::JumpForCall), [(kind(36), 2)]);
    assert_eq!(differences(&image, Bend::NopForResult), [(kind(37), 3)]);
    assert_eq!(differences(&image, Bend::IretNone), [(kind(39), 0)]);
    assert_eq!(differences(&image, Bend::MajorVersion), [(13, 14)]);
    assert_eq!(differences(&image, Bend::OtherGeneration), [(12, 0), (13, 3)]);
}

#[test]
fn an_image_cut_inside_its_slots_is_whole_to_the_firmware() {
    for generation in [Generation::V13_0, Generation::V13_3] {
        let image = Image::new(generation);
        let bent = image.bend(Bend::SlotsOutside);
        assert_eq!(bent.bytes().len(), 2048);
        assert_eq!(bent.bytes()[2..4], [4, 0xCB]);
        assert_eq!(bent.bytes()[4..2047], image.bytes()[4..2047]);
        let Err(error) = Rom::parse(bent.bytes(), 0xC_8000) else { panic!("not refused") };
        assert!(matches!(error.defect, RomDefect::SlotsOutside { length: 2048, .. }), "{error}");
    }
}

#[test]
fn a_bend_that_does_not_fit_changes_nothing() {
    for generation in Generation::ALL {
        let image = Image::new(generation);
        for bend in Bend::ALL.into_iter().filter(|bend| !bend.fits(generation)) {
            assert_eq!(image.bend(bend), image, "{bend:?}");
        }
    }
}

#[test]
fn a_bent_image_answers_bent() {
    let image = Image::new(Generation::V3_0);
    let answer = |bend, call: Call| image.bend(bend).answer(call.number(), 0xC000_0000);
    let disable = Call::DISABLE_INTERRUPTS;
    assert_eq!(image.bend(Bend::InitFails).init_status(), Some(Bend::INIT_STATUS));
    assert_eq!(answer(Bend::RelocationKindUnknown, disable).kind, RelocationKind(4));
    assert_eq!(answer(Bend::JumpForCall, disable).kind, RelocationKind::JUMP_REL);
    assert_eq!(answer(Bend::IretNone, Call::IRET).kind, RelocationKind::NONE);
    assert_eq!(answer(Bend::TargetOutside, disable).eip.get(), 0xC000_0400);
    assert_eq!(answer(Bend::TargetBefore, disable).eip.get(), 0xBFFF_FFFF);
    assert_eq!(answer(Bend::Garbage, Call::SET_LAZY_MODE).kind, RelocationKind(Bend::GARBAGE));
}
