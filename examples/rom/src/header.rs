//! The data of the image: ROM header, PnP header, PCI data structure and strings.
//!
//! Every offset in them is computed from the types; the linker script compares them with where things
//! lie. Source: facts sheet, sections 2.4, 2.5 and 3.
//!
//! Generation 13.x has the same header up to byte 0x7F, with fewer meanings: the bytes of `jump_slots`,
//! `virtual_top` and `license_offset` are reserved there and hold 0, and so do the bytes from 0x40 on,
//! where an ELF header may lead to symbols.
//!
//! # Safety
//!
//! The unsafe attributes place two constants without references or interior mutability in read-only
//! sections that only `rom.ld` places. The assembly defines symbols and no code.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;

use paravirt_vmi_abi::header::{LICENSES, ROM_SIGNATURE, RomHeader, VROM_SIGNATURE};
use paravirt_vmi_abi::pci::{self, PciDataStructure};
use paravirt_vmi_abi::pnp::{self, PnpExpansionHeader};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, KnownLayout};

/// Version of the interface, and where the structures lie: behind the two entry points.
#[cfg(not(legacy))]
mod generation {
    pub use paravirt_vmi_abi::header::{API_VERSION_MAJOR as MAJOR, API_VERSION_MINOR as MINOR, RomHeader};
    pub const STRUCTURES: usize = size_of::<RomHeader>();
    pub const PRODUCT: &str = "VMI 3.0 test ROM for bare hardware";
}

/// Version of the interface, and where the structures lie: behind the slots.
#[cfg(legacy)]
mod generation {
    pub use paravirt_vmi_abi::legacy::API_VERSION_MAJOR as MAJOR;
    use paravirt_vmi_abi::legacy::SLOT_SIZE;
    pub const MINOR: u8 = if cfg!(feature = "v13-3") { 3 } else { 0 };
    pub const STRUCTURES: usize = SLOT_SIZE as usize * crate::slot::COUNT as usize;
    pub const PRODUCT: &str = match MINOR {
        0 => "VMI 13.0 test ROM for bare hardware",
        _ => "VMI 13.3 test ROM for bare hardware",
    };
}

use generation::{MAJOR, MINOR, PRODUCT, STRUCTURES as STRUCTURES_OFFSET};

/// Offset of the initialisation, which follows the structures.
const POST: usize = STRUCTURES_OFFSET + size_of::<Structures>();

/// What the firmware calls at offset 3: a 16-bit jump to the initialisation.
#[cfg(all_calls)]
const ENTRY: [u8; 4] = {
    let [low, high] = ((POST - (offset_of!(RomHeader, rom_entry) + 3)) as u16).to_le_bytes();
    [0xE9, low, high, 0]
};

/// `retf`: without the calls that start a processor there is nothing to initialise.
#[cfg(not(all_calls))]
const ENTRY: [u8; 4] = [0xCB, 0, 0, 0];

global_asm!(
    ".globl rom_structures_offset",
    ".set rom_structures_offset, {structures}",
    ".globl rom_post_offset",
    ".set rom_post_offset, {post}",
    structures = const STRUCTURES_OFFSET,
    post = const POST,
);

/// The licence of this package, as the interface spells it.
const LICENSE: &str = LICENSES[1];

/// Manufacturer, as the PnP header gives it.
const MANUFACTURER: &str = "paravirt-vmi";

/// What follows the ROM header. The PnP standard wants its header on a 16-byte boundary, the PCI
/// standard its structure on a 4-byte one.
#[derive(Clone, Copy, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Structures {
    pnp: PnpExpansionHeader,
    pnp_boot: PnpBoot,
    pci: PciDataStructure,
    license: [u8; LICENSE.len() + 1],
    manufacturer: [u8; MANUFACTURER.len() + 1],
    product: [u8; PRODUCT.len() + 1],
}

/// The rest of the full PnP header. All zero: without boot vectors the firmware calls the 16-bit
/// initialisation and leaves the ROM out of the boot order.
#[derive(Clone, Copy, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct PnpBoot([u8; 0x20 - size_of::<PnpExpansionHeader>()]);

/// The offset in the image of a field of [`Structures`].
macro_rules! offset {
    ($field:ident) => {
        U16::new((STRUCTURES_OFFSET + offset_of!(Structures, $field)) as u16)
    };
}

const _: () = assert!((STRUCTURES_OFFSET + offset_of!(Structures, pnp)).is_multiple_of(16));
const _: () = assert!((STRUCTURES_OFFSET + offset_of!(Structures, pci)).is_multiple_of(4));

/// The ROM header. `rom_length` is filled in when the image is sealed; the two entry points are
/// assembly.
const HEADER: RomHeader = RomHeader {
    rom_signature: U16::new(ROM_SIGNATURE),
    rom_length: 0,
    rom_entry: ENTRY,
    rom_pad0: 0,
    vrom_signature: U32::new(VROM_SIGNATURE),
    api_version_minor: MINOR,
    api_version_major: MAJOR,
    jump_slots: 0,
    reserved1: 0,
    // No hypervisor, so no linear address belongs to one: guests reserve 2^32 - virtual_top bytes,
    // which is none.
    virtual_top: U32::new(0),
    reserved2: U16::new(0),
    license_offset: if cfg!(legacy) { U16::new(0) } else { offset!(license) },
    pci_header_offset: offset!(pci),
    pnp_header_offset: offset!(pnp),
    rom_pad3: U32::new(0),
    reserved: [0; 96],
    vmi_init: [0; 8],
    get_relocation: [0; 8],
};

/// The PnP header without its checksum.
const PNP: PnpExpansionHeader = PnpExpansionHeader {
    signature: pnp::SIGNATURE,
    revision: 1,
    length: ((size_of::<PnpExpansionHeader>() + size_of::<PnpBoot>()) / 16) as u8,
    next_offset: U16::new(0),
    reserved: 0,
    checksum: 0,
    device_id: U32::new(0),
    manufacturer_offset: offset!(manufacturer),
    product_offset: offset!(product),
};

/// The PCI data structure. `image_length` is filled in when the image is sealed.
const PCI: PciDataStructure = PciDataStructure {
    signature: pci::SIGNATURE,
    vendor_id: U16::new(pci::VENDOR_ID),
    device_id: U16::new(pci::DEVICE_ID),
    vpd_offset: U16::new(0),
    length: U16::new(size_of::<PciDataStructure>() as u16),
    revision: 0,
    // Programming interface 0 of "other memory controller".
    class_code: [0x00, 0x80, pci::BASE_CLASS_MEMORY],
    image_length: U16::new(0),
    rom_version_minor: number(env!("CARGO_PKG_VERSION_MINOR")),
    rom_version_major: number(env!("CARGO_PKG_VERSION_MAJOR")),
    code_type: pci::CODE_TYPE_PC_AT,
    indicator: pci::INDICATOR_LAST_IMAGE,
    reserved: U16::new(0),
};

/// The header up to the entry points.
#[used]
#[unsafe(link_section = ".rom.header")]
static HEADER_BYTES: [u8; offset_of!(RomHeader, vmi_init)] = {
    let bytes: [u8; size_of::<RomHeader>()] = zerocopy::transmute!(HEADER);
    first(&bytes)
};

/// What follows the header.
#[used]
#[unsafe(link_section = ".rom.structures")]
static STRUCTURES: Structures = Structures {
    pnp: PnpExpansionHeader { checksum: checksum(zerocopy::transmute!(PNP)), ..PNP },
    pnp_boot: PnpBoot([0; size_of::<PnpBoot>()]),
    pci: PCI,
    license: terminated(LICENSE),
    manufacturer: terminated(MANUFACTURER),
    product: terminated(PRODUCT),
};

/// The value of a decimal number.
const fn number(decimal: &str) -> u8 {
    match u8::from_str_radix(decimal, 10) {
        Ok(number) => number,
        Err(_) => panic!("a part of the package version does not fit a byte"),
    }
}

/// The byte that makes the sum of `bytes` 0 modulo 256.
const fn checksum(bytes: [u8; size_of::<PnpExpansionHeader>()]) -> u8 {
    let mut sum: u8 = 0;
    let mut index = 0;
    while index < bytes.len() {
        sum = sum.wrapping_add(bytes[index]);
        index += 1;
    }
    sum.wrapping_neg()
}

/// The first `N` bytes of `bytes`.
const fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let mut index = 0;
    while index < N {
        array[index] = bytes[index];
        index += 1;
    }
    array
}

/// The bytes of `text` and a NUL byte. `N` is one more than the length of `text`.
const fn terminated<const N: usize>(text: &str) -> [u8; N] {
    assert!(text.len() + 1 == N);
    let mut array = [0; N];
    let mut index = 0;
    while index < text.len() {
        array[index] = text.as_bytes()[index];
        index += 1;
    }
    array
}
