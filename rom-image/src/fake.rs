//! A ROM without code, as a linker would leave one that has.

use paravirt_vmi_abi::header::{LICENSES, ROM_SIGNATURE, RomHeader, VROM_SIGNATURE};
use paravirt_vmi_abi::legacy::SLOT_SIZE;
use paravirt_vmi_abi::pci::{self, PciDataStructure};
use paravirt_vmi_abi::pnp::{self, PnpExpansionHeader};
use paravirt_vmi_abi::{Generation, Provision, RelocationInfo};
use zerocopy::{FromZeros, IntoBytes};

use crate::field;
use crate::image::Parts;
use crate::table::Relocation;

/// `int3`: where code would be.
const INT3: u8 = 0xCC;
/// `retf`, which the firmware calls.
const RETF: u8 = 0xCB;
/// The licence, one that guests of 3.0 take.
const LICENSE: &str = LICENSES[1];
const MANUFACTURER: &str = "paravirt-vmi";
/// The length of a full PnP header; what [`PnpExpansionHeader`] leaves out is zero.
const PNP_LENGTH: usize = 0x20;

/// The image, without padding, lengths and checksum, and where its parts are.
pub fn linked(provision: Provision) -> (Vec<u8>, Parts) {
    let generation = provision.generation;
    let mut bytes = vec![INT3; generation.fixed_length()];
    // The PnP standard wants its header on a 16-byte boundary, the PCI standard its structure on a 4-byte one.
    let pnp = append(&mut bytes, 16, &[0; PNP_LENGTH]);
    let pci = append(&mut bytes, 4, &[0; size_of::<PciDataStructure>()]);
    let license = match generation {
        Generation::V3_0 => append(&mut bytes, 1, &terminated(LICENSE)),
        // 13.x has none.
        Generation::V13_0 | Generation::V13_3 => 0,
    };
    let manufacturer = append(&mut bytes, 1, &terminated(MANUFACTURER));
    let product = append(&mut bytes, 1, &terminated(&format!("VMI {generation} image without code")));
    let init_status = append(&mut bytes, 8, &[0; 4]);
    let table = append(&mut bytes, 8, &[]);
    let count = generation.relocations();
    bytes.resize(table + size_of::<RelocationInfo>() * count as usize, 0);
    for number in 0..count {
        let entry = relocation(provision, number, bytes.len());
        if generation == Generation::V3_0 && entry.is_branch() {
            bytes.push(INT3);
        }
        let place = table + size_of::<RelocationInfo>() * number as usize;
        put(&mut bytes, place, RelocationInfo::new(entry.kind, entry.offset).as_bytes());
    }

    put(&mut bytes, pnp, pnp_header(manufacturer, product).as_bytes());
    put(&mut bytes, pci, pci_structure().as_bytes());
    put(&mut bytes, 0, header(generation, pnp, pci, license).as_bytes());
    (bytes, Parts { generation, relocations: (count > 0).then_some(table), init_status })
}

/// The entry of a number in the relocation table; `end` is where code can be appended.
fn relocation(provision: Provision, number: u32, end: usize) -> Relocation {
    let entry = Relocation { kind: provision.answer(number), offset: 0 };
    let offset = match provision.generation {
        _ if !entry.is_branch() => 0,
        Generation::V3_0 => end as u32,
        Generation::V13_0 | Generation::V13_3 => SLOT_SIZE * number,
    };
    Relocation { offset, ..entry }
}

/// The header without its length.
fn header(generation: Generation, pnp: usize, pci: usize, license: usize) -> RomHeader {
    let mut header = RomHeader::new_zeroed();
    header.rom_signature = ROM_SIGNATURE.into();
    header.rom_entry = [RETF, 0, 0, 0];
    header.vrom_signature = VROM_SIGNATURE.into();
    (header.api_version_major, header.api_version_minor) = generation.version();
    header.license_offset = (license as u16).into();
    header.pci_header_offset = (pci as u16).into();
    header.pnp_header_offset = (pnp as u16).into();
    (header.vmi_init, header.get_relocation) = ([INT3; 8], [INT3; 8]);
    header
}

/// The PCI data structure without its image length.
fn pci_structure() -> PciDataStructure {
    let mut structure = PciDataStructure::new_zeroed();
    structure.signature = pci::SIGNATURE;
    structure.vendor_id = pci::VENDOR_ID.into();
    structure.device_id = pci::DEVICE_ID.into();
    structure.length = (size_of::<PciDataStructure>() as u16).into();
    // Programming interface 0 of "other memory controller".
    structure.class_code = [0x00, 0x80, pci::BASE_CLASS_MEMORY];
    structure.code_type = pci::CODE_TYPE_PC_AT;
    structure.indicator = pci::INDICATOR_LAST_IMAGE;
    structure
}

/// The PnP header, whose bytes add up to 0.
fn pnp_header(manufacturer: usize, product: usize) -> PnpExpansionHeader {
    let mut header = PnpExpansionHeader::new_zeroed();
    header.signature = pnp::SIGNATURE;
    header.revision = 1;
    header.length = (PNP_LENGTH / pnp::LENGTH_UNIT as usize) as u8;
    header.manufacturer_offset = (manufacturer as u16).into();
    header.product_offset = (product as u16).into();
    header.checksum = field::sum(header.as_bytes()).wrapping_neg();
    header
}

/// Appends `part` at the next multiple of `align`; where it lies.
fn append(bytes: &mut Vec<u8>, align: usize, part: &[u8]) -> usize {
    let offset = bytes.len().next_multiple_of(align);
    bytes.resize(offset, 0);
    bytes.extend(part);
    offset
}

/// Overwrites the bytes at `offset`.
fn put(bytes: &mut [u8], offset: usize, part: &[u8]) {
    bytes[offset..offset + part.len()].copy_from_slice(part);
}

/// The bytes of `text` and a NUL byte.
fn terminated(text: &str) -> Vec<u8> {
    text.bytes().chain([0]).collect()
}
