//! [`Bend`]: images with one thing wrong, for tests of what a guest does with them.

use paravirt_vmi_abi::Generation;
use paravirt_vmi_abi::header::ROM_LENGTH_UNIT;

mod change;

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
    /// GetRelocationInfo answers each question with the same senseless bytes.
    Garbage,
    /// The version is that of another generation: 13.0 with the body of 3.0, or 3.0 with that of 13.x.
    OtherGeneration,
    /// 13.x: the image ends inside its table of slots.
    SlotsOutside,
}

impl Bend {
    /// Every bend.
    pub const ALL: [Self; 23] = [
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
        Self::Garbage,
        Self::OtherGeneration,
        Self::SlotsOutside,
    ];

    /// What [`Bend::Garbage`] fills the relocation table with.
    pub const GARBAGE: u8 = 0xA5;

    /// Whether a ROM of the given generation can be wrong in this way.
    pub const fn fits(self, generation: Generation) -> bool {
        match self {
            // 13.x has no licence.
            Self::LicenseMissing | Self::LicenseOutside | Self::LicenseUnknown => {
                matches!(generation, Generation::V3_0)
            }
            // 13.0 answers no questions.
            Self::RelocationKindUnknown
            | Self::JumpForCall
            | Self::NopForResult
            | Self::IretNone
            | Self::TargetOutside
            | Self::TargetBefore
            | Self::Garbage => !matches!(generation, Generation::V13_0),
            Self::SlotsOutside => !matches!(generation, Generation::V3_0),
            _ => true,
        }
    }

    /// Every bend that fits a generation.
    pub fn of(generation: Generation) -> Vec<Self> {
        Self::ALL.into_iter().filter(|bend| bend.fits(generation)).collect()
    }

    /// What vmi_init returns with [`Bend::InitFails`]: -1, the specification's failure.
    pub const INIT_STATUS: u32 = 0xFFFF_FFFF;

    /// The length that [`Bend::SlotsOutside`] leaves, with most of the slots.
    pub const SLOTS_LENGTH: usize = 4 * ROM_LENGTH_UNIT as usize;

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
            Self::Garbage => "garbage",
            Self::OtherGeneration => "other-generation",
            Self::SlotsOutside => "slots-outside",
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
            Self::Garbage => "every relocation is senseless",
            Self::OtherGeneration => "the version is that of another generation",
            Self::SlotsOutside => "the image ends inside its table of slots",
        }
    }
}
