use paravirt_vmi::rom::{Generation, Rom};
use zerocopy::FromBytes;

use super::*;

const INIT: usize = 0x10;
const GET_RELOCATION: usize = 0x20;
const RELOCATIONS: usize = 0x40;
const CALLS: usize = 0x400;

/// Code in which everything has a place of its own.
fn code(bytes: &[u8]) -> Code<'_> {
    Code {
        bytes,
        init: INIT,
        get_relocation: GET_RELOCATION,
        relocations: RELOCATIONS,
        calls: CALLS,
        enable: 0x300,
        disable: 0x310,
        get_mask: 0x320,
        set_mask: 0x330,
        iret: 0x340,
        iret_by_jump: 0x344,
        sysexit: 0x380,
        windows: Windows { iret_start: 0x350, iret_asked: 0x354, iret_or: 0x360, iret_end: 0x361 },
    }
}

fn image(leave: Leave) -> Image {
    let bytes: Vec<u8> = (0..0x1000).map(|index| index as u8).collect();
    Image::new(&code(&bytes), leave).unwrap()
}

/// Where the jump at `offset` leads.
fn target(image: &Image, offset: usize) -> usize {
    assert_eq!(image.bytes[offset], 0xE9);
    let displacement = u32::read_from_bytes(&image.bytes[offset + 1..offset + 5]).unwrap();
    offset + 5 + displacement as usize
}

fn relocation_of(image: &Image, call: Call) -> RelocationInfo {
    let offset = CODE_OFFSET + RELOCATIONS + 8 * call.number() as usize;
    RelocationInfo::read_from_bytes(&image.bytes[offset..offset + 8]).unwrap()
}

#[test]
fn a_guest_finds_nothing_wrong_with_it() {
    let image = image(Leave::ByCall);
    let rom = Rom::parse(&image.bytes, crate::layout::ROM).unwrap();
    assert_eq!(rom.generation(), Generation::V3_0);
    assert_eq!(rom.virtual_top(), VIRTUAL_TOP);
    assert_eq!(rom.license(), Some(c"GPL v2"));
    assert_eq!(rom.manufacturer(), Some(c"paravirt-vmi"));
    assert_eq!(rom.product(), Some(c"VMI 3.0 hypervisor"));
    assert_eq!(rom.header().length(), ROM_SIZE);
}

#[test]
fn every_change_of_a_byte_is_noticed() {
    let image = image(Leave::ByCall);
    for offset in (0..image.bytes.len()).step_by(61) {
        let mut bytes = image.bytes;
        bytes[offset] ^= 0x10;
        assert!(Rom::parse(&bytes, crate::layout::ROM).is_err(), "{offset:#x}");
    }
}

#[test]
fn the_entry_points_lead_into_the_code() {
    let image = image(Leave::ByCall);
    assert_eq!(target(&image, 0x80), CODE_OFFSET + INIT);
    assert_eq!(target(&image, 0x88), CODE_OFFSET + GET_RELOCATION);
    assert_eq!(image.bytes[CODE_OFFSET + INIT], INIT as u8);
}

#[test]
fn the_pci_identity_is_that_of_the_interface_and_the_plug_and_play_header_adds_up() {
    let image = image(Leave::ByCall);
    let header = RomHeader::ref_from_prefix(&image.bytes).unwrap().0;
    let pci = usize::from(header.pci_header_offset.get());
    let pci = PciDataStructure::ref_from_prefix(&image.bytes[pci..]).unwrap().0;
    assert_eq!((pci.vendor_id.get(), pci.device_id.get()), (0x15AD, 0x0801));
    assert_eq!(u32::from(pci.image_length.get()) * 512, ROM_SIZE);
    let pnp = usize::from(header.pnp_header_offset.get());
    assert!(pnp.is_multiple_of(16));
    let length = 16 * usize::from(image.bytes[pnp + 5]);
    assert_eq!(checksum(&image.bytes[pnp..pnp + length]), 0);
}

#[test]
fn every_call_is_answered_with_what_the_call_table_allows() {
    for leave in [Leave::ByCall, Leave::ByJump] {
        let image = image(leave);
        for call in Call::all() {
            let kind = relocation_of(&image, call).kind.to_kinds().unwrap();
            assert!(call.info().relocations.contains(kind), "{call}");
        }
    }
}

#[test]
fn no_two_calls_share_their_code() {
    let image = image(Leave::ByCall);
    let mut targets: Vec<_> = Call::all()
        .map(|call| relocation_of(&image, call))
        .filter(|relocation| relocation.kind == RelocationKind::CALL_REL)
        .map(|relocation| relocation.eip.get())
        .collect();
    assert_eq!(targets.len(), Call::COUNT - 1, "all but SetCallbacks");
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), Call::COUNT - 1);
}

#[test]
fn calls_lead_to_their_code() {
    let image = image(Leave::ByCall);
    for (call, offset) in [
        (Call::CPUID, CALLS),
        (Call::SET_LAZY_MODE, CALLS + 16 * 73),
        (Call::ENABLE_INTERRUPTS, 0x300),
        (Call::SET_INTERRUPT_MASK, 0x330),
        (Call::IRET, 0x340),
        (Call::SYSEXIT, 0x380),
    ] {
        assert_eq!(relocation_of(&image, call).eip.get() as usize, CODE_OFFSET + offset, "{call}");
    }
    assert_eq!(relocation_of(&image, Call::SET_CALLBACKS), RelocationInfo::new(RelocationKind::NONE, 0));
}

#[test]
fn reached_by_a_jump_iret_finds_its_frame_on_top_of_the_stack() {
    let image = image(Leave::ByJump);
    for (call, offset) in [(Call::IRET, 0x344), (Call::SYSEXIT, 0x380)] {
        let expected = RelocationInfo::new(RelocationKind::JUMP_REL, (CODE_OFFSET + offset) as u32);
        assert_eq!(relocation_of(&image, call), expected);
    }
    assert_eq!(relocation_of(&image, Call::HALT).kind, RelocationKind::CALL_REL);
}

#[test]
fn the_window_is_where_the_code_has_it() {
    let windows = image(Leave::ByCall).windows;
    let offset = CODE_OFFSET as u32;
    assert_eq!(windows.iret_or, offset + 0x360);
    let inside = [0x34F, 0x350, 0x360, 0x361].map(|place| windows.contains(offset + place));
    assert_eq!(inside, [false, true, true, false]);
}

#[test]
fn code_that_does_not_fit_is_refused() {
    let room = ROM_SIZE as usize - 1 - CODE_OFFSET;
    let bytes = vec![0; room + 1];
    let error = Image::new(&code(&bytes), Leave::ByCall).unwrap_err();
    assert_eq!(error, Error::TooLong { length: room + 1, room });
    assert!(Image::new(&code(&bytes[..room]), Leave::ByCall).is_ok());
}

#[test]
fn places_outside_the_code_are_refused() {
    let bytes = [0; 0x1000];
    for bend in [
        |code: &mut Code<'_>| code.init = 0x1000,
        |code: &mut Code<'_>| code.get_relocation = usize::MAX,
        |code: &mut Code<'_>| code.relocations = 0x1000 - 8,
        |code: &mut Code<'_>| code.calls = 0x1000 - 16,
        |code: &mut Code<'_>| code.sysexit = 0x1000,
        |code: &mut Code<'_>| code.windows.iret_end = 0x1001,
    ] {
        let mut code = code(&bytes);
        bend(&mut code);
        let error = Image::new(&code, Leave::ByCall).unwrap_err();
        assert!(matches!(error, Error::Outside { length: 0x1000, .. }), "{error}");
    }
}
