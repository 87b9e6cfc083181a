//! What each [`Bend`] changes.

use std::mem::offset_of;

use paravirt_vmi_abi::header::{API_VERSION_MAJOR, ROM_LENGTH_UNIT};
use paravirt_vmi_abi::legacy;
use paravirt_vmi_abi::{Call, PciDataStructure, PnpExpansionHeader, RelocationKind, RomHeader, pci};

use super::super::image::{Image, resum};
use super::super::{Generation, field, slots, table};
use super::Bend;

impl Bend {
    /// The bytes of `image` with this wrong.
    pub(in super::super) fn apply(self, image: &Image) -> Vec<u8> {
        let mut bytes = image.bytes().to_vec();
        for (offset, change) in self.changes(image) {
            bytes[offset..offset + change.len()].copy_from_slice(&change);
        }
        if self == Self::SlotsOutside && self.fits(image.generation()) {
            bytes.truncate(Self::SLOTS_LENGTH);
        }
        if self != Self::Checksum {
            resum(&mut bytes);
        }
        bytes
    }

    /// The fields that are changed: the offset and the new bytes of each.
    ///
    /// An [`Image`] has been checked, so the fields lie inside it. A bend that does not fit the image's
    /// generation changes nothing.
    fn changes(self, image: &Image) -> Vec<(usize, Vec<u8>)> {
        if !self.fits(image.generation()) {
            return Vec::new();
        }
        let mut changes = vec![self.change(image)];
        if self == Self::SlotsOutside {
            // The initialisation is cut off, too: the firmware's call must return.
            changes.push((offset_of!(RomHeader, rom_entry), vec![RETF]));
        }
        changes
    }

    /// The first field that is changed, the only one of most bends.
    fn change(self, image: &Image) -> (usize, Vec<u8>) {
        let bytes = image.bytes();
        let length = bytes.len();
        let offset_in_header = |field| field::read_offset(bytes, field).unwrap_or_default();
        // Used by the bends that fit generations with a table only.
        let table = image.relocations_offset().unwrap_or_default();
        let number = |call| image.relocation_number(call).unwrap_or_default();
        let kind = |call, kind: RelocationKind| (table::kind_of(table, number(call)), vec![kind.0]);
        let target = |target: u32| {
            let field = table::target_of(table, number(Call::DISABLE_INTERRUPTS));
            (field, target.to_le_bytes().to_vec())
        };
        let major = offset_of!(RomHeader, api_version_major);
        let last_byte = length - 1;
        match self {
            Self::Signature => (offset_of!(RomHeader, rom_signature) + 1, vec![0xAB]),
            Self::LengthZero => (offset_of!(RomHeader, rom_length), vec![0]),
            Self::LengthBeyondWindow => (offset_of!(RomHeader, rom_length), vec![0xFF]),
            Self::Checksum => (last_byte, vec![bytes[last_byte].wrapping_add(1)]),
            Self::VmiSignature => (offset_of!(RomHeader, vrom_signature), b"vmi ".to_vec()),
            Self::MajorVersion => (major, vec![bytes[major] + 1]),
            Self::PciMissing => (offset_of!(RomHeader, pci_header_offset), word(0)),
            Self::PciOutside => {
                (offset_of!(RomHeader, pci_header_offset), word(length - size_of::<PciDataStructure>() + 1))
            }
            Self::PciSignature => (
                offset_in_header(offset_of!(RomHeader, pci_header_offset)),
                pci::SIGNATURE.iter().rev().copied().collect(),
            ),
            Self::LicenseMissing => (offset_of!(RomHeader, license_offset), word(0)),
            Self::LicenseOutside => (offset_of!(RomHeader, license_offset), word(length)),
            Self::LicenseUnknown => {
                (offset_in_header(offset_of!(RomHeader, license_offset)), b"MIT\0".to_vec())
            }
            Self::PnpOutside => {
                (offset_of!(RomHeader, pnp_header_offset), word(length - size_of::<PnpExpansionHeader>() + 1))
            }
            Self::InitFails => (image.init_status_offset(), Self::INIT_STATUS.to_le_bytes().to_vec()),
            Self::RelocationKindUnknown => {
                kind(Call::DISABLE_INTERRUPTS, RelocationKind(RelocationKind::NOP.0 + 1))
            }
            Self::JumpForCall => kind(Call::DISABLE_INTERRUPTS, RelocationKind::JUMP_REL),
            Self::NopForResult => kind(Call::GET_INTERRUPT_MASK, RelocationKind::NOP),
            Self::IretNone => kind(Call::IRET, RelocationKind::NONE),
            Self::TargetOutside => target(length as u32),
            Self::TargetBefore => target(u32::MAX),
            Self::Garbage => (table, vec![Self::GARBAGE; table::ENTRY_SIZE * image.relocations().count()]),
            Self::OtherGeneration => {
                let other = match image.generation() {
                    Generation::V3_0 => legacy::API_VERSION_MAJOR,
                    Generation::V13_0 | Generation::V13_3 => API_VERSION_MAJOR,
                };
                (offset_of!(RomHeader, api_version_minor), vec![0, other])
            }
            Self::SlotsOutside => {
                let units = (Self::SLOTS_LENGTH / ROM_LENGTH_UNIT as usize) as u8;
                (offset_of!(RomHeader, rom_length), vec![units])
            }
        }
    }
}

const _: () = assert!(Bend::SLOTS_LENGTH < legacy::SLOT_SIZE as usize * slots::count(Generation::V13_0));

/// The 16-bit far return.
const RETF: u8 = 0xCB;

/// The bytes of an offset in the header. The length of an [`Image`] fits 16 bits.
fn word(offset: usize) -> Vec<u8> {
    (offset as u16).to_le_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::super::fixture::{self, Fixture};
    use super::*;

    /// Each bend, the offset of the field that it changes, and what it writes there.
    fn expected(length: usize) -> [(Bend, usize, Vec<u8>); 22] {
        let disable = fixture::RELOCATIONS + 8 * 30;
        let sum = length - 1;
        [
            (Bend::Signature, 1, vec![0xAB]),
            (Bend::LengthZero, 2, vec![0]),
            (Bend::LengthBeyondWindow, 2, vec![0xFF]),
            (Bend::Checksum, sum, vec![image().bytes()[sum] + 1]),
            (Bend::VmiSignature, 8, b"vmi ".to_vec()),
            (Bend::MajorVersion, 13, vec![4]),
            (Bend::PciMissing, 0x18, word(0)),
            (Bend::PciOutside, 0x18, word(length - 0x17)),
            (Bend::PciSignature, fixture::PCI, b"RICP".to_vec()),
            (Bend::LicenseMissing, 0x16, word(0)),
            (Bend::LicenseOutside, 0x16, word(length)),
            (Bend::LicenseUnknown, fixture::LICENSE, b"MIT\0".to_vec()),
            (Bend::PnpOutside, 0x1A, word(length - 0x11)),
            (Bend::InitFails, fixture::INIT_STATUS, vec![0xFF; 4]),
            (Bend::RelocationKindUnknown, disable + 4, vec![4]),
            (Bend::JumpForCall, disable + 4, vec![2]),
            (Bend::NopForResult, fixture::RELOCATIONS + 8 * 31 + 4, vec![3]),
            (Bend::IretNone, fixture::RELOCATIONS + 8 * 33 + 4, vec![0]),
            (Bend::TargetOutside, disable, (length as u32).to_le_bytes().to_vec()),
            (Bend::TargetBefore, disable, vec![0xFF; 4]),
            (Bend::Garbage, fixture::RELOCATIONS, vec![0xA5; 8 * 74]),
            (Bend::OtherGeneration, 12, vec![0, 13]),
        ]
    }

    fn image() -> Image {
        image_of(Generation::V3_0)
    }

    fn image_of(generation: Generation) -> Image {
        Image::from_elf(&Fixture::of(generation).elf()).unwrap()
    }

    #[test]
    fn a_bend_changes_its_own_field_and_the_checksum_and_nothing_else() {
        let image = image();
        let length = image.bytes().len();
        for (bend, offset, new) in expected(length) {
            let bent = image.bend(bend);
            let field = offset..offset + new.len();
            assert_eq!(bent.bytes()[field.clone()], new, "{bend:?}");
            assert_ne!(image.bytes()[field.clone()], new, "{bend:?}");
            for place in (0..length - 1).filter(|place| !field.contains(place)) {
                assert_eq!(bent.bytes()[place], image.bytes()[place], "{bend:?} at {place:#x}");
            }
        }
    }

    #[test]
    fn a_bent_image_adds_up_to_zero_unless_its_checksum_is_bent() {
        for generation in Generation::ALL {
            for bend in Bend::of(generation) {
                let sum = field::sum(image_of(generation).bend(bend).bytes());
                assert_eq!(sum, u8::from(bend == Bend::Checksum), "{bend:?}");
            }
        }
    }

    #[test]
    fn every_bend_is_tested_once_and_has_a_name_of_its_own() {
        let expected: HashSet<_> = expected(512).map(|(bend, ..)| bend).into();
        assert_eq!(expected, HashSet::from_iter(Bend::of(Generation::V3_0)));
        assert_eq!(HashSet::from(Bend::ALL.map(Bend::name)).len(), Bend::ALL.len());
        assert_eq!(HashSet::from(Bend::ALL.map(Bend::description)).len(), Bend::ALL.len());
    }

    #[test]
    fn bends_of_one_image_differ_from_each_other() {
        for generation in Generation::ALL {
            let (image, bends) = (image_of(generation), Bend::of(generation));
            let images: HashSet<_> = bends.iter().map(|&bend| image.bend(bend).bytes().to_vec()).collect();
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
        let image = image_of(Generation::V13_3);
        let kind = |slot: usize| fixture::LEGACY_RELOCATIONS + 8 * slot + 4;
        assert_eq!(differences(&image, Bend::JumpForCall), [(kind(36), 2)]);
        assert_eq!(differences(&image, Bend::NopForResult), [(kind(37), 3)]);
        assert_eq!(differences(&image, Bend::IretNone), [(kind(39), 0)]);
        assert_eq!(differences(&image, Bend::MajorVersion), [(13, 14)]);
        assert_eq!(differences(&image, Bend::OtherGeneration), [(12, 0), (13, 3)]);
    }

    #[test]
    fn an_image_cut_inside_its_slots_is_whole_to_the_firmware() {
        for generation in [Generation::V13_0, Generation::V13_3] {
            let image = image_of(generation);
            let bent = image.bend(Bend::SlotsOutside);
            assert_eq!(bent.bytes().len(), 2048);
            assert_eq!(bent.bytes()[2..4], [4, 0xCB]);
            assert_eq!(bent.bytes()[4..2047], image.bytes()[4..2047]);
        }
    }

    #[test]
    fn a_bend_that_does_not_fit_changes_nothing() {
        for generation in Generation::ALL {
            let image = image_of(generation);
            for bend in Bend::ALL.into_iter().filter(|bend| !bend.fits(generation)) {
                assert_eq!(image.bend(bend).bytes(), image.bytes(), "{bend:?}");
            }
        }
    }
}
