//! What can be wrong with a ROM.

use core::fmt;

use paravirt_vmi_abi::header::{API_VERSION_MAJOR, ROM_SIGNATURE, VROM_SIGNATURE};
use paravirt_vmi_abi::legacy;

use super::WINDOW;

/// Why there is no ROM to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// Nothing in the window looks like a VMI ROM.
    NotFound,
    /// What looks like one has a defect.
    Rejected(RomError),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => write!(f, "no VMI ROM in {:05X}..{:05X}", WINDOW.start, WINDOW.end),
            Self::Rejected(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ProbeError {}

/// A ROM that is not used, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RomError {
    /// Physical address of the ROM.
    pub address: u32,
    /// What is wrong with it.
    pub defect: RomDefect,
}

impl fmt::Display for RomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ROM at {:05X}: {}", self.address, self.defect)
    }
}

impl core::error::Error for RomError {}

/// What is wrong with a ROM. Offsets count from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RomDefect {
    /// The bytes end inside the header.
    Truncated {
        /// How many bytes there are.
        available: usize,
    },
    /// The word at 0x00 is not that of an option ROM.
    Signature {
        /// The word found.
        found: u16,
    },
    /// The double word at 0x08 is not that of a VMI ROM.
    VmiSignature {
        /// The double word found.
        found: u32,
    },
    /// The length at 0x02 is smaller than the header.
    TooShort {
        /// The length in bytes.
        length: usize,
    },
    /// The length at 0x02 leads out of the option-ROM window.
    BeyondWindow {
        /// The length in bytes.
        length: usize,
        /// How many bytes there are.
        available: usize,
    },
    /// The bytes do not add up to 0 modulo 256.
    Checksum {
        /// What they add up to.
        sum: u8,
    },
    /// The major version at 0x0D is another interface's.
    Version {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// 13.x: the word at 0x16, reserved there, leads to a licence as in 3.0. The ROM says that it is of a
    /// generation which it is not, and its slots would be other code.
    LicenseOfOtherGeneration {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
        /// The word.
        found: u16,
    },
    /// 13.x: the slots lead out of the image.
    SlotsOutside {
        /// Offset of the end of the last slot.
        end: usize,
        /// Length of the image in bytes.
        length: usize,
    },
    /// 3.0: the offset at 0x18 is 0: there is no PCI data structure.
    NoPciHeader,
    /// The PCI data structure does not begin with `PCIR`.
    PciSignature {
        /// Offset of the structure.
        offset: u16,
        /// The bytes found.
        found: [u8; 4],
    },
    /// The plug-and-play expansion header does not begin with `$PnP`.
    PnpSignature {
        /// Offset of the structure.
        offset: u16,
        /// The bytes found.
        found: [u8; 4],
    },
    /// An offset leads out of the image, or what it leads to does.
    OffsetOutside {
        /// The header field that holds the offset.
        field: &'static str,
        /// The offset.
        offset: u16,
        /// Length of the image in bytes.
        length: usize,
    },
    /// A string has no NUL byte before the end of the image.
    UnterminatedString {
        /// The header field that holds the string's offset.
        field: &'static str,
        /// The offset.
        offset: u16,
    },
}

impl fmt::Display for RomDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { available } => {
                write!(f, "the header is cut off after {available:#x} bytes")
            }
            Self::Signature { found } => {
                write!(f, "signature {found:#06x} at 0x00, expected {ROM_SIGNATURE:#06x}")
            }
            Self::VmiSignature { found } => {
                write!(f, "VMI signature {found:#010x} at 0x08, expected {VROM_SIGNATURE:#010x}")
            }
            Self::TooShort { length } => {
                write!(f, "length {length:#x} at 0x02 is shorter than the header")
            }
            Self::BeyondWindow { length, available } => write!(
                f,
                "length {length:#x} at 0x02 leads beyond the window, which ends after {available:#x}"
            ),
            Self::Checksum { sum } => write!(f, "the bytes add up to {sum:#04x}, not to 0"),
            Self::Version { major, minor } => {
                let (newer, older) = (API_VERSION_MAJOR, legacy::API_VERSION_MAJOR);
                write!(f, "interface version {major}.{minor} at 0x0c, expected {newer}.x or {older}.x")
            }
            Self::LicenseOfOtherGeneration { major, minor, found } => write!(
                f,
                "interface version {major}.{minor} at 0x0c, but the licence offset {found:#06x} of \
                 {API_VERSION_MAJOR}.x at 0x16"
            ),
            Self::SlotsOutside { end, length } => {
                write!(f, "the slots end at {end:#x}, outside the image of {length:#x} bytes")
            }
            Self::NoPciHeader => f.write_str("no PCI header: the offset at 0x18 is 0"),
            Self::PciSignature { offset, found } => {
                write!(f, "PCI header at {offset:#06x} begins with {found:02x?}, expected PCIR")
            }
            Self::PnpSignature { offset, found } => {
                write!(f, "PnP header at {offset:#06x} begins with {found:02x?}, expected $PnP")
            }
            Self::OffsetOutside { field, offset, length } => {
                write!(f, "{field} {offset:#06x} is outside the image of {length:#x} bytes")
            }
            Self::UnterminatedString { field, offset } => {
                write!(f, "the string at {field} {offset:#06x} does not end inside the image")
            }
        }
    }
}
