//! [`Bend`]: images with one thing wrong, for tests of what a guest does with them.

use std::mem::offset_of;

use paravirt_vmi_abi::header::API_VERSION_MAJOR;
use paravirt_vmi_abi::{Call, PciDataStructure, PnpExpansionHeader, RelocationKind, RomHeader, pci};

use super::field;
use super::image::{Image, resum};
use super::table;

/// One thing that can be wrong with a ROM.
///
/// The checksum of the image stays right, except where it is the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bend {
    /// The image does not begin with 55 AA.
    Signature,
    /// The length is 0.
    LengthZero,
    /// The length is 255 units: more than the image has, and more than what is left of the window
    /// unless the image lies at its very start. The firmware loads it.
    LengthBeyondWindow,
    /// The bytes do not add up to 0.
    Checksum,
    /// An option ROM of another kind: not "cVmi".
    VmiSignature,
    /// The next major version of the interface.
    MajorVersion,
    /// There is no PCI data structure.
    PciMissing,
    /// The PCI data structure begins inside the image and ends behind it.
    PciOutside,
    /// The PCI data structure does not begin with "PCIR".
    PciSignature,
    /// There is no licence string.
    LicenseMissing,
    /// The licence string begins behind the image.
    LicenseOutside,
    /// A licence that is not one of the interface's.
    LicenseUnknown,
    /// The PnP header begins inside the image and ends behind it.
    PnpOutside,
    /// vmi_init fails.
    InitFails,
    /// DisableInterrupts is answered with the first number that is not a relocation kind.
    RelocationKindUnknown,
    /// DisableInterrupts is to be reached by a jump, so it could not return.
    JumpForCall,
    /// GetInterruptMask is to be erased, so it would have no result.
    NopForResult,
    /// IRET is not provided.
    IretNone,
    /// The code of DisableInterrupts is the first byte behind the image.
    TargetOutside,
    /// The code of DisableInterrupts is the last byte before the image.
    TargetBefore,
}

impl Bend {
    /// Every bend.
    pub const ALL: [Self; 20] = [
        Self::Signature,
        Self::LengthZero,
        Self::LengthBeyondWindow,
        Self::Checksum,
        Self::VmiSignature,
        Self::MajorVersion,
        Self::PciMissing,
        Self::PciOutside,
        Self::PciSignature,
        Self::LicenseMissing,
        Self::LicenseOutside,
        Self::LicenseUnknown,
        Self::PnpOutside,
        Self::InitFails,
        Self::RelocationKindUnknown,
        Self::JumpForCall,
        Self::NopForResult,
        Self::IretNone,
        Self::TargetOutside,
        Self::TargetBefore,
    ];

    /// What vmi_init returns with [`Bend::InitFails`]: -1, the specification's failure.
    pub const INIT_STATUS: u32 = 0xFFFF_FFFF;

    /// The name, for messages and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::LengthZero => "length-zero",
            Self::LengthBeyondWindow => "length-beyond-window",
            Self::Checksum => "checksum",
            Self::VmiSignature => "vmi-signature",
            Self::MajorVersion => "major-version",
            Self::PciMissing => "pci-missing",
            Self::PciOutside => "pci-outside",
            Self::PciSignature => "pci-signature",
            Self::LicenseMissing => "license-missing",
            Self::LicenseOutside => "license-outside",
            Self::LicenseUnknown => "license-unknown",
            Self::PnpOutside => "pnp-outside",
            Self::InitFails => "init-fails",
            Self::RelocationKindUnknown => "relocation-kind-unknown",
            Self::JumpForCall => "jump-for-call",
            Self::NopForResult => "nop-for-result",
            Self::IretNone => "iret-none",
            Self::TargetOutside => "target-outside",
            Self::TargetBefore => "target-before",
        }
    }

    /// What is wrong, as a sentence without its full stop.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Signature => "the image does not begin with 55 AA",
            Self::LengthZero => "the length byte is 0",
            Self::LengthBeyondWindow => "the length byte is 255",
            Self::Checksum => "the bytes do not add up to 0",
            Self::VmiSignature => "the signature is not cVmi",
            Self::MajorVersion => "the major version is one too high",
            Self::PciMissing => "the offset of the PCI data structure is 0",
            Self::PciOutside => "the PCI data structure reaches beyond the image by one byte",
            Self::PciSignature => "the PCI data structure does not begin with PCIR",
            Self::LicenseMissing => "the offset of the licence string is 0",
            Self::LicenseOutside => "the licence string begins at the end of the image",
            Self::LicenseUnknown => "the licence string is another one",
            Self::PnpOutside => "the PnP header reaches beyond the image by one byte",
            Self::InitFails => "vmi_init returns -1",
            Self::RelocationKindUnknown => "the relocation of DisableInterrupts has kind 4",
            Self::JumpForCall => "the relocation of DisableInterrupts is JUMP_REL",
            Self::NopForResult => "the relocation of GetInterruptMask is NOP",
            Self::IretNone => "the relocation of IRET is NONE",
            Self::TargetOutside => "the relocation of DisableInterrupts leads to the end of the image",
            Self::TargetBefore => "the relocation of DisableInterrupts leads in front of the image",
        }
    }

    /// The bytes of `image` with this wrong.
    pub(super) fn apply(self, image: &Image) -> Vec<u8> {
        let mut bytes = image.bytes().to_vec();
        let (offset, change) = self.change(image);
        bytes[offset..offset + change.len()].copy_from_slice(&change);
        if self != Self::Checksum {
            resum(&mut bytes);
        }
        bytes
    }

    /// The field that is changed: its offset and its new bytes.
    ///
    /// An [`Image`] has been checked, so the field lies inside it.
    fn change(self, image: &Image) -> (usize, Vec<u8>) {
        let bytes = image.bytes();
        let length = bytes.len();
        let offset_in_header = |field| field::read_offset(bytes, field).unwrap_or_default();
        let table = image.relocations_offset();
        let kind = |call, kind: RelocationKind| (table::kind_of(table, call), vec![kind.0]);
        let target = |target: u32| {
            let field = table::target_of(table, Call::DISABLE_INTERRUPTS);
            (field, target.to_le_bytes().to_vec())
        };
        let last_byte = length - 1;
        match self {
            Self::Signature => (offset_of!(RomHeader, rom_signature) + 1, vec![0xAB]),
            Self::LengthZero => (offset_of!(RomHeader, rom_length), vec![0]),
            Self::LengthBeyondWindow => (offset_of!(RomHeader, rom_length), vec![0xFF]),
            Self::Checksum => (last_byte, vec![bytes[last_byte].wrapping_add(1)]),
            Self::VmiSignature => (offset_of!(RomHeader, vrom_signature), b"vmi ".to_vec()),
            Self::MajorVersion => (offset_of!(RomHeader, api_version_major), vec![API_VERSION_MAJOR + 1]),
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
        }
    }
}

/// The bytes of an offset in the header. The length of an [`Image`] fits 16 bits.
fn word(offset: usize) -> Vec<u8> {
    (offset as u16).to_le_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::fixture::{self, Fixture};
    use super::*;

    /// Each bend, the offset of the field that it changes, and what it writes there.
    fn expected(length: usize) -> [(Bend, usize, Vec<u8>); Bend::ALL.len()] {
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
        ]
    }

    fn image() -> Image {
        Image::from_elf(&Fixture::new().elf()).unwrap()
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
        for bend in Bend::ALL {
            let sum = field::sum(image().bend(bend).bytes());
            assert_eq!(sum, u8::from(bend == Bend::Checksum), "{bend:?}");
        }
    }

    #[test]
    fn every_bend_is_tested_once_and_has_a_name_of_its_own() {
        let expected: HashSet<_> = expected(512).map(|(bend, ..)| bend).into();
        assert_eq!(expected, HashSet::from(Bend::ALL));
        assert_eq!(HashSet::from(Bend::ALL.map(Bend::name)).len(), Bend::ALL.len());
        assert_eq!(HashSet::from(Bend::ALL.map(Bend::description)).len(), Bend::ALL.len());
    }

    #[test]
    fn bends_of_one_image_differ_from_each_other() {
        let images: HashSet<_> = Bend::ALL.map(|bend| image().bend(bend).bytes().to_vec()).into();
        assert_eq!(images.len(), Bend::ALL.len());
    }
}
