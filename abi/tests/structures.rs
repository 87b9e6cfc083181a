//! Structures, flags and open enumerations, with numbers written out as the interface has them.

use paravirt_vmi_abi::flags::{AlarmFlags, Counter, InterruptMask, IoplMask, PageUpdateFlags};
use paravirt_vmi_abi::layout::{FieldLayout, Layout, StructLayout};
use paravirt_vmi_abi::{
    ApState, DescriptorTableRegister, PciDataStructure, PnpExpansionHeader, RelocationInfo, RelocationKind,
    RomHeader, header, pci, pnp,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// `size` zero bytes with the given ones in their places.
fn image(size: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut image = vec![0; size];
    for &(offset, bytes) in parts {
        image[offset..][..bytes.len()].copy_from_slice(bytes);
    }
    image
}

#[test]
fn a_rom_header_is_read_from_bytes_at_any_address() {
    let parts: [(usize, &[u8]); 7] = [
        (0x00, b"\x55\xAA\xFF"),
        (0x08, b"cVmi\x07\x03"),
        (0x10, b"\x00\x00\x00\xFC"),
        (0x16, b"\x34\x12\x90\x00\xA8\x00"),
        (0x80, b"\xE9\x01\x02\x03\x04"),
        (0x88, b"\xE9\x05\x06\x07\x08"),
        (0x90, b"next"),
    ];
    for shift in 0..4 {
        let bytes = [vec![0; shift], image(0x94, &parts)].concat();
        let (rom, rest) = RomHeader::ref_from_prefix(&bytes[shift..]).expect("enough bytes");
        assert_eq!(rom.rom_signature.get(), header::ROM_SIGNATURE);
        assert_eq!(rom.length(), 130_560);
        assert_eq!(rom.vrom_signature.get(), header::VROM_SIGNATURE);
        assert_eq!((rom.api_version_major, rom.api_version_minor), (3, 7));
        assert_eq!(rom.virtual_top.get(), 0xFC00_0000);
        assert_eq!(rom.license_offset.get(), 0x1234);
        assert_eq!(rom.pci_header_offset.get(), 0x90);
        assert_eq!(rom.pnp_header_offset.get(), 0xA8);
        assert_eq!(rom.vmi_init[..5], [0xE9, 1, 2, 3, 4]);
        assert_eq!(rom.get_relocation[..5], [0xE9, 5, 6, 7, 8]);
        assert_eq!(rest, b"next");
    }
}

#[test]
fn a_rom_header_is_not_read_from_too_few_bytes() {
    assert!(RomHeader::ref_from_prefix(&[0; 0x8F]).is_err());
    assert!(RomHeader::ref_from_prefix(&[0; 0x90]).is_ok());
}

#[test]
fn the_two_entry_points_lie_where_the_constants_say() {
    let bytes: Vec<u8> = (0..0x90).collect();
    let rom = RomHeader::ref_from_bytes(&bytes).expect("exactly enough bytes");
    assert_eq!(u32::from(rom.vmi_init[0]), header::ROM_INIT_OFFSET);
    assert_eq!(u32::from(rom.get_relocation[0]), header::ROM_GET_RELOCATION_OFFSET);
    assert_eq!((header::ROM_INIT_OFFSET, header::ROM_GET_RELOCATION_OFFSET), (0x80, 0x88));
}

#[test]
fn a_pci_data_structure_is_read_from_bytes() {
    let bytes =
        image(0x18, &[(0, b"PCIR\xAD\x15\x01\x08\0\0\x18\0\0\x01\x02\x05\x20\0\x04\x03"), (0x15, &[0x80])]);
    let found = PciDataStructure::ref_from_bytes(&bytes).expect("exactly enough bytes");
    assert_eq!(found.signature, pci::SIGNATURE);
    assert_eq!(found.vendor_id.get(), pci::VENDOR_ID);
    assert_eq!(found.device_id.get(), pci::DEVICE_ID);
    assert_eq!(found.length.get(), 0x18);
    assert_eq!(found.class_code, [1, 2, pci::BASE_CLASS_MEMORY]);
    assert_eq!(found.image_length.get(), 0x20);
    assert_eq!((found.rom_version_major, found.rom_version_minor), (3, 4));
    assert_eq!(found.code_type, pci::CODE_TYPE_PC_AT);
    assert_eq!(found.indicator, pci::INDICATOR_LAST_IMAGE);
}

#[test]
fn a_pnp_expansion_header_is_read_from_bytes() {
    let bytes = image(0x12, &[(0, b"$PnP\x01\x02"), (0x0E, b"\x11\x01\x22\x02")]);
    let found = PnpExpansionHeader::ref_from_bytes(&bytes).expect("exactly enough bytes");
    assert_eq!(found.signature, pnp::SIGNATURE);
    assert_eq!(u32::from(found.length) * pnp::LENGTH_UNIT, 0x20);
    assert_eq!(found.manufacturer_offset.get(), 0x111);
    assert_eq!(found.product_offset.get(), 0x222);
}

#[test]
fn relocation_info_is_the_64_bit_number_in_edx_and_eax() {
    let info = RelocationInfo::from_registers(0xC00C_3456, 0xAABB_CC02);
    assert_eq!(info.eip.get(), 0xC00C_3456);
    assert_eq!(info.kind, RelocationKind::JUMP_REL);
    assert_eq!(info.reserved, [0xCC, 0xBB, 0xAA]);
    assert_eq!(info.to_registers(), (0xC00C_3456, 0xAABB_CC02));
    assert_eq!(info.as_bytes(), 0xAABB_CC02_C00C_3456_u64.to_le_bytes());

    let info = RelocationInfo::new(RelocationKind::CALL_REL, 0x1234);
    assert_eq!(info.to_registers(), (0x1234, 1));
}

#[test]
fn a_relocation_kind_without_a_name_is_kept_and_shown_as_a_number() {
    let kind = RelocationInfo::from_registers(0, 0x77).kind;
    assert_eq!((kind.0, kind.name(), kind.to_kinds()), (0x77, None, None));
    assert_eq!(kind.to_string(), "0x77");
    assert_eq!(RelocationKind::NOP.to_string(), "NOP");
}

#[test]
fn a_descriptor_table_register_is_limit_then_base() {
    let register = DescriptorTableRegister::new(0x07FF, 0xC010_2030);
    assert_eq!(register.as_bytes(), [0xFF, 0x07, 0x30, 0x20, 0x10, 0xC0]);
}

#[test]
fn the_processor_state_has_a_64_bit_efer_and_selectors_of_16_bits() {
    let mut state = ApState::new_zeroed();
    state.efer.set(0x800);
    state.cs.set(0x61);
    state.idtr_limit.set(0x7FF);
    let expected = image(0x5C, &[(0x11, &[8]), (0x40, &[0x61]), (0x58, &[0xFF, 0x07])]);
    assert_eq!(state.as_bytes(), expected);
}

#[test]
fn a_layout_with_a_gap_an_overlap_or_a_missing_end_is_not_complete() {
    let whole = [field(0, 4), field(4, 2)];
    assert!(structure(&whole, 6).is_complete());
    assert!(!structure(&whole, 8).is_complete(), "missing end");
    assert!(!structure(&whole, 5).is_complete(), "too long");
    assert!(!structure(&[field(0, 4), field(5, 1)], 6).is_complete(), "gap");
    assert!(!structure(&[field(0, 4), field(3, 3)], 6).is_complete(), "overlap");
    assert!(!structure(&[field(4, 2), field(0, 4)], 6).is_complete(), "order");

    fn field(offset: usize, size: usize) -> FieldLayout {
        let template = RelocationInfo::LAYOUT.fields[0];
        FieldLayout { offset, size, ..template }
    }
    fn structure(fields: &[FieldLayout], size: usize) -> StructLayout {
        StructLayout { size, fields: fields.to_vec().leak(), ..*RelocationInfo::LAYOUT }
    }
}

#[test]
fn an_interrupt_mask_is_bit_9_and_nothing_else() {
    assert_eq!(InterruptMask::from_bits_truncate(0x0000_0246), InterruptMask::IF);
    assert_eq!(InterruptMask::from_bits_truncate(0xFFFF_FDFF), InterruptMask::empty());
}

#[test]
fn page_update_flags_carry_the_page_that_the_entry_maps() {
    let flags = PageUpdateFlags::PT.union(PageUpdateFlags::DEFER).mapping(0xC012_3FFF);
    assert_eq!(flags.bits(), 0xC012_3031);
    assert_eq!(flags.mapped_address(), Some(0xC012_3000));
    assert_eq!(flags.mapping(0x1000).bits(), 0x1031);
    assert_eq!(PageUpdateFlags::PT.mapped_address(), None);
}

#[test]
fn alarm_flags_carry_the_counter() {
    let flags = AlarmFlags::PERIODIC.union(AlarmFlags::WIRED_LVTT).with_counter(Counter::AVAILABLE);
    assert_eq!(flags.bits(), 0x1_0101);
    assert_eq!(flags.counter(), Counter::AVAILABLE);
    assert_eq!(flags.with_counter(Counter(0x3FF)).bits(), 0x1_01FF);
    assert_eq!(AlarmFlags::ONE_SHOT.bits() | AlarmFlags::WIRED_IRQ0.bits(), 0);
}

#[test]
fn an_iopl_mask_holds_a_level_from_0_to_3() {
    for level in 0..=3 {
        let mask = IoplMask::from_level(level).expect("a level");
        assert_eq!((mask.bits(), mask.level()), (u32::from(level) << 12, level));
    }
    assert_eq!(IoplMask::from_level(4), None);
    assert_eq!(IoplMask::from_bits_retain(0xFFFF_EFFF).level(), 2);
}
