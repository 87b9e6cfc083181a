//! Probing: every defect of a ROM is an error of its own, and no bytes make it panic.

use paravirt_vmi::abi::{PciDataStructure, PnpExpansionHeader, RomHeader};
use paravirt_vmi::rom::{self, Generation, ProbeError, Rom, RomDefect, RomError};
use paravirt_vmi_rom_image::{Image, field, window};
use proptest::prelude::*;

const ADDRESS: u32 = 0xc_d000;

/// A sound ROM.
fn image() -> Image {
    Image::new(Generation::V3_0)
}

/// The defect that probing reports for an image bent by `bend`.
fn defect(bend: impl FnOnce(&mut RomHeader, &mut PciDataStructure, &mut PnpExpansionHeader)) -> RomDefect {
    defect_of(image().edit(bend).bytes())
}

/// The defect that probing reports for `image`.
fn defect_of(image: &[u8]) -> RomDefect {
    match rom::probe(&window([(ADDRESS, image)])) {
        Err(ProbeError::Rejected(RomError { address: ADDRESS, defect })) => defect,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sound_rom_is_found_where_it_lies() {
    let window = window([(ADDRESS, image())]);
    let rom = rom::probe(&window).unwrap();
    assert_eq!(rom.address(), ADDRESS);
    assert_eq!(rom.range(), ADDRESS..ADDRESS + 0x400);
    assert_eq!(rom.api_version(), (3, 0));
    assert_eq!(rom.license(), Some(c"GPL v2"));
    assert_eq!(rom.manufacturer(), Some(c"paravirt-vmi"));
    assert_eq!(rom.product(), Some(c"VMI 3.0 image without code"));
    assert_eq!(rom.pci().unwrap().vendor_id.get(), 0x15ad);
}

#[test]
fn a_rom_is_found_at_every_step_of_the_window_and_between_the_steps_it_is_not() {
    let image = image();
    for address in (0xc_0000..0xe_0000).step_by(0x800) {
        assert_eq!(rom::probe(&window([(address, &image)])).map(|rom| rom.address()), Ok(address));
        let between = window([(address + 0x200, &image)]);
        assert_eq!(rom::probe(&between), Err(ProbeError::NotFound));
    }
}

#[test]
fn the_first_of_two_sound_roms_is_taken() {
    let window = window([(0xd_0000, image()), (0xc_8000, image())]);
    assert_eq!(rom::probe(&window).unwrap().address(), 0xc_8000);
}

#[test]
fn a_sound_rom_behind_a_defective_one_is_taken() {
    let bad = image().edit(|header, _, _| header.api_version_major = 2);
    let window = window([(0xd_0000, image()), (0xc_8000, bad)]);
    assert_eq!(rom::probe(&window).unwrap().address(), 0xd_0000);
}

#[test]
fn an_option_rom_of_another_kind_is_no_candidate() {
    let image = image().edit(|header, _, _| header.vrom_signature = 0.into());
    assert_eq!(rom::probe(&window([(ADDRESS, &image)])), Err(ProbeError::NotFound));
    let error = Rom::parse(image.bytes(), ADDRESS).unwrap_err();
    assert_eq!(error.defect, RomDefect::VmiSignature { found: 0 });
}

#[test]
fn a_window_shorter_than_the_real_one_is_searched_as_far_as_it_goes() {
    let full = window([(ADDRESS, image())]);
    let offset = (ADDRESS - 0xc_0000) as usize;
    assert!(rom::probe(&full[..offset + 0x400]).is_ok());
    let cut = rom::probe(&full[..offset + 0x3ff]).unwrap_err();
    assert_eq!(
        cut.to_string(),
        "ROM at CD000: length 0x400 at 0x02 leads beyond the window, which ends after 0x3ff"
    );
    let cut = rom::probe(&full[..offset + 0x20]).unwrap_err();
    assert_eq!(cut.to_string(), "ROM at CD000: the header is cut off after 0x20 bytes");
    assert_eq!(rom::probe(&full[..offset + 4]), Err(ProbeError::NotFound));
    assert_eq!(rom::probe(&[]), Err(ProbeError::NotFound));
}

#[test]
fn a_rom_with_a_wrong_signature_is_refused() {
    let defect = defect(|header, _, _| header.rom_signature = 0x55aa.into());
    assert_eq!(defect, RomDefect::Signature { found: 0x55aa });
    assert_eq!(defect.to_string(), "signature 0x55aa at 0x00, expected 0xaa55");
}

#[test]
fn a_rom_with_length_zero_is_refused() {
    let defect = defect(|header, _, _| header.rom_length = 0);
    assert_eq!(defect, RomDefect::TooShort { length: 0 });
    assert_eq!(defect.to_string(), "length 0x0 at 0x02 is shorter than the header");
}

#[test]
fn a_rom_that_leads_beyond_the_window_is_refused() {
    let image = image().edit(|header, _, _| header.rom_length = 5);
    let error = rom::probe(&window([(0xd_f800, image)])).unwrap_err();
    let defect = RomDefect::BeyondWindow { length: 0xa00, available: 0x800 };
    assert_eq!(error, ProbeError::Rejected(RomError { address: 0xd_f800, defect }));
}

#[test]
fn a_rom_with_a_wrong_checksum_is_refused_whichever_byte_is_wrong() {
    let image = image();
    for offset in 0x14..image.bytes().len() {
        let mut image = image.clone().into_bytes();
        image[offset] = image[offset].wrapping_add(3);
        assert_eq!(defect_of(&image), RomDefect::Checksum { sum: 3 });
    }
}

#[test]
fn a_rom_of_another_major_version_is_refused_and_of_a_later_minor_one_taken() {
    let defect = defect(|header, _, _| (header.api_version_major, header.api_version_minor) = (12, 3));
    assert_eq!(defect, RomDefect::Version { major: 12, minor: 3 });
    assert_eq!(defect.to_string(), "interface version 12.3 at 0x0c, expected 3.x or 13.x");
    let later = image().edit(|header, _, _| header.api_version_minor = 7);
    assert_eq!(rom::probe(&window([(ADDRESS, later)])).unwrap().api_version(), (3, 7));
}

#[test]
fn a_rom_without_pci_header_is_refused() {
    let defect = defect(|header, _, _| header.pci_header_offset = 0.into());
    assert_eq!(defect, RomDefect::NoPciHeader);
}

#[test]
fn a_rom_whose_pci_header_is_none_is_refused() {
    let found = *b"PCIX";
    let defect = defect(|_, pci, _| pci.signature = found);
    assert_eq!(
        defect,
        RomDefect::PciSignature { offset: image().header().unwrap().pci_header_offset.get(), found }
    );
}

#[test]
fn a_rom_whose_pnp_header_is_none_is_refused() {
    let found = *b"$PnX";
    let defect = defect(|_, _, pnp| pnp.signature = found);
    assert_eq!(
        defect,
        RomDefect::PnpSignature { offset: image().header().unwrap().pnp_header_offset.get(), found }
    );
}

#[test]
fn an_offset_outside_the_image_is_refused_whichever_field_holds_it() {
    type Field = fn(&mut RomHeader, &mut PciDataStructure, &mut PnpExpansionHeader, u16);
    let fields: [(&str, Field, u16); 5] = [
        ("pci_header_offset", |h, _, _, v| h.pci_header_offset = v.into(), 0x3e9),
        ("pnp_header_offset", |h, _, _, v| h.pnp_header_offset = v.into(), 0x3ef),
        ("license_offset", |h, _, _, v| h.license_offset = v.into(), 0x401),
        ("manufacturer_offset", |_, _, p, v| p.manufacturer_offset = v.into(), 0x401),
        ("product_offset", |_, _, p, v| p.product_offset = v.into(), 0x401),
    ];
    for (field, set, first_outside) in fields {
        for offset in [first_outside, 0x800, 0xffff] {
            let defect = defect(|header, pci, pnp| set(header, pci, pnp, offset));
            assert_eq!(defect, RomDefect::OffsetOutside { field, offset, length: 0x400 });
        }
    }
}

#[test]
fn a_string_that_does_not_end_is_refused() {
    let image = image().edit(|header, _, _| header.license_offset = 0x3f0.into());
    let image = image.edit_bytes(|bytes| bytes[0x3f0..].fill(0x10));
    assert_ne!(image.bytes().last(), Some(&0));
    let defect = defect_of(image.bytes());
    assert_eq!(defect, RomDefect::UnterminatedString { field: "license_offset", offset: 0x3f0 });
}

#[test]
fn a_rom_without_licence_and_pnp_header_is_taken() {
    let image = image().edit(|header, _, _| {
        header.license_offset = 0.into();
        header.pnp_header_offset = 0.into();
    });
    let window = window([(ADDRESS, image)]);
    let rom = rom::probe(&window).unwrap();
    assert_eq!((rom.license(), rom.pnp(), rom.manufacturer()), (None, None, None));
}

proptest! {
    #[test]
    fn any_bytes_give_a_rom_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..0x1000)) {
        _ = Rom::parse(&bytes, ADDRESS);
        _ = rom::probe(&bytes);
    }

    #[test]
    fn a_sound_rom_with_any_few_bytes_changed_gives_a_rom_inside_the_window_or_an_error(
        generation in proptest::sample::select(&Generation::ALL[..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_structures in any::<bool>(),
        resum in any::<bool>(),
        address in (0u32..64).prop_map(|step| 0xc_0000 + step * 0x800),
    ) {
        let mut image = Image::new(generation).into_bytes();
        // The header and what it points to, or anything.
        let end = if in_structures { generation.fixed_length() + 0x70 } else { image.len() };
        for (index, value) in changes {
            image[index.index(end)] = value;
        }
        if resum {
            let length = (usize::from(image[2]) * 512).clamp(1, image.len());
            image[length - 1] = image[length - 1].wrapping_sub(field::sum(&image[..length]));
        }
        let window = window([(address, image)]);
        if let Ok(rom) = rom::probe(&window) {
            prop_assert_eq!(rom.address(), address);
            prop_assert!(rom.range().end <= 0xe_0000);
            prop_assert!(rom.image().len() >= rom.generation().fixed_length());
            prop_assert_eq!(field::sum(rom.image()), 0);
        }
    }
}
