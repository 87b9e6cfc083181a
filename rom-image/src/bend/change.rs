//! What each [`Bend`] changes.

use std::mem::offset_of;

use paravirt_vmi_abi::header::{API_VERSION_MAJOR, ROM_LENGTH_UNIT};
use paravirt_vmi_abi::{
    Call, Generation, PciDataStructure, PnpExpansionHeader, RelocationKind, RomHeader, legacy, pci,
};

use super::Bend;
use crate::image::Image;
use crate::table;

impl Image {
    /// The image with one thing wrong; what of it lies in bytes that have been cut off is not changed. A bend that
    /// does not fit the image's generation changes nothing.
    pub fn bend(&self, bend: Bend) -> Self {
        let changed = self.edit_bytes(|bytes| {
            for (offset, change) in bend.changes(self) {
                let place = bytes.get_mut(offset..).unwrap_or_default();
                for (byte, new) in place.iter_mut().zip(change) {
                    *byte = new;
                }
            }
            if bend == Bend::SlotsOutside && bend.fits(self.generation()) {
                bytes.truncate(Bend::SLOTS_LENGTH);
            }
        });
        if bend != Bend::Checksum {
            return changed;
        }
        let mut bytes = changed.into_bytes();
        if let Some(last) = bytes.last_mut() {
            *last = last.wrapping_add(1);
        }
        self.with_bytes(bytes)
    }
}

impl Bend {
    /// The fields that are changed, before the checksum: the offset and the new bytes of each.
    fn changes(self, image: &Image) -> Vec<(usize, Vec<u8>)> {
        if !self.fits(image.generation()) {
            return Vec::new();
        }
        let mut changes = Vec::from_iter(self.change(image));
        if self == Self::SlotsOutside {
            // The initialisation is cut off, too: the firmware's call must return.
            changes.push((offset_of!(RomHeader, rom_entry), vec![RETF]));
        }
        changes
    }

    /// The first field that is changed, the only one of most bends.
    fn change(self, image: &Image) -> Option<(usize, Vec<u8>)> {
        let length = image.bytes().len();
        let (generation, parts) = (image.generation(), image.parts());
        // Used by the bends that fit generations with a table only.
        let table = parts.relocations.unwrap_or_default();
        let number = |call| generation.relocation_number(call).unwrap_or_default() as usize;
        let kind = |call, kind: RelocationKind| (table::kind_of(table, number(call)), vec![kind.0]);
        let target = |target: u32| {
            let field = table::target_of(table, number(Call::DISABLE_INTERRUPTS));
            (field, target.to_le_bytes().to_vec())
        };
        let major = offset_of!(RomHeader, api_version_major);
        // The end of an image that is shorter than a structure is its start.
        let across_the_end = |size: usize| word((length + 1).saturating_sub(size));
        Some(match self {
            Self::Signature => (offset_of!(RomHeader, rom_signature) + 1, vec![0xAB]),
            Self::LengthZero => (offset_of!(RomHeader, rom_length), vec![0]),
            Self::LengthBeyondWindow => (offset_of!(RomHeader, rom_length), vec![0xFF]),
            Self::Checksum => return None,
            Self::VmiSignature => (offset_of!(RomHeader, vrom_signature), b"vmi ".to_vec()),
            Self::MajorVersion => (major, vec![generation.version().0 + 1]),
            Self::PciMissing => (offset_of!(RomHeader, pci_header_offset), word(0)),
            Self::PciOutside => {
                (offset_of!(RomHeader, pci_header_offset), across_the_end(size_of::<PciDataStructure>()))
            }
            Self::PciSignature => (image.pci, pci::SIGNATURE.iter().rev().copied().collect()),
            Self::LicenseMissing => (offset_of!(RomHeader, license_offset), word(0)),
            Self::LicenseOutside => (offset_of!(RomHeader, license_offset), word(length)),
            Self::LicenseUnknown => {
                (image.offset_in_header(offset_of!(RomHeader, license_offset)), b"MIT\0".to_vec())
            }
            Self::PnpOutside => {
                (offset_of!(RomHeader, pnp_header_offset), across_the_end(size_of::<PnpExpansionHeader>()))
            }
            Self::InitFails => (parts.init_status, Self::INIT_STATUS.to_le_bytes().to_vec()),
            Self::RelocationKindUnknown => {
                kind(Call::DISABLE_INTERRUPTS, RelocationKind(RelocationKind::NOP.0 + 1))
            }
            Self::JumpForCall => kind(Call::DISABLE_INTERRUPTS, RelocationKind::JUMP_REL),
            Self::NopForResult => kind(Call::GET_INTERRUPT_MASK, RelocationKind::NOP),
            Self::IretNone => kind(Call::IRET, RelocationKind::NONE),
            Self::TargetOutside => target(length as u32),
            Self::TargetBefore => target(u32::MAX),
            Self::Garbage => {
                (table, vec![Self::GARBAGE; table::ENTRY_SIZE * generation.relocations() as usize])
            }
            Self::OtherGeneration => {
                let other = match generation {
                    Generation::V3_0 => legacy::API_VERSION_MAJOR,
                    Generation::V13_0 | Generation::V13_3 => API_VERSION_MAJOR,
                };
                (offset_of!(RomHeader, api_version_minor), vec![0, other])
            }
            Self::SlotsOutside => {
                let units = (Self::SLOTS_LENGTH / ROM_LENGTH_UNIT as usize) as u8;
                (offset_of!(RomHeader, rom_length), vec![units])
            }
        })
    }
}

const _: () = assert!(Bend::SLOTS_LENGTH < legacy::SLOT_SIZE as usize * Generation::V13_0.slots() as usize);

/// The 16-bit far return.
const RETF: u8 = 0xCB;

/// The bytes of an offset in the header. The length of an image that firmware accepts fits 16 bits.
fn word(offset: usize) -> Vec<u8> {
    (offset as u16).to_le_bytes().to_vec()
}
