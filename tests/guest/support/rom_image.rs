//! A ROM image and a kernel's text, built in memory and bent at will.

use paravirt_vmi::abi::header::{
    API_VERSION_MAJOR, ROM_LENGTH_UNIT, ROM_SIGNATURE, ROM_WINDOW_END, ROM_WINDOW_START, VROM_SIGNATURE,
};
use paravirt_vmi::abi::{PciDataStructure, PnpExpansionHeader, RomHeader, legacy, pci, pnp};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Offset of the PCI data structure in the images made here.
pub const PCI_OFFSET: u16 = 0x94;
/// Offset of the plug-and-play header.
pub const PNP_OFFSET: u16 = 0xc0;
/// Offset of the licence string.
pub const LICENSE_OFFSET: u16 = 0xe0;
/// Offset of the manufacturer's name.
pub const MANUFACTURER_OFFSET: u16 = 0xf0;
/// How much higher they lie in an image of 13.x.
pub const LEGACY_SHIFT: u16 = 0xa80;

/// A sound ROM image of 1 KiB, of generation 3.0; `bend` may spoil it before its checksum is set.
pub fn rom_image(
    bend: impl FnOnce(&mut RomHeader, &mut PciDataStructure, &mut PnpExpansionHeader),
) -> Vec<u8> {
    image(2, 0, |header, pci, pnp| {
        header.api_version_major = API_VERSION_MAJOR;
        header.license_offset = LICENSE_OFFSET.into();
        bend(header, pci, pnp);
    })
}

/// A sound ROM image of 3 KiB, of generation 13.x; `bend` may spoil it before its checksum is set. What it
/// points to lies behind the slots, [`LEGACY_SHIFT`] higher than in [`rom_image`].
pub fn legacy_image(
    minor: u8,
    bend: impl FnOnce(&mut RomHeader, &mut PciDataStructure, &mut PnpExpansionHeader),
) -> Vec<u8> {
    image(6, LEGACY_SHIFT, |header, pci, pnp| {
        (header.api_version_major, header.api_version_minor) = (legacy::API_VERSION_MAJOR, minor);
        bend(header, pci, pnp);
    })
}

/// An image of `units` units, with everything that it points to `shift` bytes higher.
fn image(
    units: u8,
    shift: u16,
    bend: impl FnOnce(&mut RomHeader, &mut PciDataStructure, &mut PnpExpansionHeader),
) -> Vec<u8> {
    let mut header = RomHeader::new_zeroed();
    header.rom_signature = ROM_SIGNATURE.into();
    header.rom_length = units;
    header.vrom_signature = VROM_SIGNATURE.into();
    header.pci_header_offset = (PCI_OFFSET + shift).into();
    header.pnp_header_offset = (PNP_OFFSET + shift).into();
    let mut pci = PciDataStructure::new_zeroed();
    pci.signature = pci::SIGNATURE;
    pci.vendor_id = pci::VENDOR_ID.into();
    pci.device_id = pci::DEVICE_ID.into();
    let mut pnp = PnpExpansionHeader::new_zeroed();
    pnp.signature = pnp::SIGNATURE;
    pnp.manufacturer_offset = (MANUFACTURER_OFFSET + shift).into();
    bend(&mut header, &mut pci, &mut pnp);

    let mut image = vec![0; usize::from(units) * ROM_LENGTH_UNIT as usize];
    put(&mut image, 0, &header);
    put(&mut image, PCI_OFFSET + shift, &pci);
    put(&mut image, PNP_OFFSET + shift, &pnp);
    image[(LICENSE_OFFSET + shift).into()..][..7].copy_from_slice(b"GPL v2\0");
    image[(MANUFACTURER_OFFSET + shift).into()..][..5].copy_from_slice(b"test\0");
    let sum = image.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    *image.last_mut().unwrap() = sum.wrapping_neg();
    image
}

fn put<T: IntoBytes + FromBytes + Immutable + KnownLayout + Unaligned>(
    image: &mut [u8],
    offset: u16,
    value: &T,
) {
    image[offset.into()..][..size_of::<T>()].copy_from_slice(value.as_bytes());
}

/// The option-ROM window with `image` at physical address `address`, and empty space elsewhere.
pub fn window(image: &[u8], address: u32) -> Vec<u8> {
    let mut window = vec![0xff; (ROM_WINDOW_END - ROM_WINDOW_START) as usize];
    let start = (address - ROM_WINDOW_START) as usize;
    let length = image.len().min(window.len() - start);
    window[start..][..length].copy_from_slice(&image[..length]);
    window
}
