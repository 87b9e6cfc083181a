//! Why a linked ROM is not a usable image.

use std::fmt;

use paravirt_vmi_abi::{Call, RelocationKind};

/// Why a linked ROM is not a usable image. All offsets count from the start of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file cannot be read as an object file.
    Unreadable {
        /// The reader's reason.
        reason: String,
    },
    /// The file is not for i386.
    WrongMachine {
        /// The machine it is for.
        machine: String,
    },
    /// A symbol is not defined.
    SymbolMissing {
        /// Its name.
        name: String,
    },
    /// A symbol does not lie inside the image, or not with its whole size.
    SymbolOutside {
        /// Its name.
        name: String,
        /// Its address.
        address: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// No section with contents holds the image from `rom_start` to `rom_end`.
    NoContents {
        /// Address of `rom_start`.
        start: u64,
        /// Address of `rom_end`.
        end: u64,
    },
    /// The section that holds the image is writable.
    Writable {
        /// The section's name.
        section: String,
    },
    /// The linker did not keep the relocations, so the image cannot be checked.
    NoRelocations,
    /// A field of the image depends on the address at which the image is linked.
    NotPositionIndependent {
        /// Offset of the field.
        offset: u64,
        /// ELF relocation type.
        kind: u32,
    },
    /// The bytes cannot be made an image.
    Image(paravirt_vmi_rom_image::Error),
    /// The version in the header is not one of a generation.
    Version {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// The relocation table does not have one entry for each call or slot.
    TableSize {
        /// Its size in bytes.
        size: usize,
        /// Its size if it were right.
        expected: usize,
    },
    /// A slot neither holds the code of its call nor jumps there.
    NotInSlot {
        /// Number of the slot.
        slot: u8,
        /// Name of its call.
        name: String,
        /// Where the call's code lies.
        code: usize,
    },
    /// The relocation table gives an answer for a slot that is not allowed or does not lead there.
    SlotAnswer {
        /// Number of the slot.
        slot: u32,
        /// The answer.
        kind: RelocationKind,
        /// Where it leads.
        target: u32,
    },
    /// The relocation table gives an answer that the interface does not allow for the call.
    KindNotAllowed {
        /// The call.
        call: Call,
        /// The answer.
        kind: RelocationKind,
    },
    /// An entry of the relocation table does not lead to the code of its call.
    WrongTarget {
        /// The call.
        call: Call,
        /// Where the entry leads.
        target: u32,
        /// Where the call's code lies.
        code: u32,
    },
    /// A call has code, but the relocation table does not provide it.
    NotProvided {
        /// The call.
        call: Call,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { reason } => write!(f, "not an object file: {reason}"),
            Self::WrongMachine { machine } => write!(f, "an object file for {machine}, not for i386"),
            Self::SymbolMissing { name } => write!(f, "the symbol {name} is not defined"),
            Self::SymbolOutside { name, address, size } => {
                write!(f, "the symbol {name} at {address:#x}, {size} bytes, is outside the image")
            }
            Self::NoContents { start, end } => {
                write!(f, "no section with contents holds the image from {start:#x} to {end:#x}")
            }
            Self::Writable { section } => write!(f, "the section {section} of the image is writable"),
            Self::NoRelocations => {
                f.write_str("the file has no relocations for the image: link it with --emit-relocs")
            }
            Self::NotPositionIndependent { offset, kind } => write!(
                f,
                "the field at offset {offset:#x} is not position independent: relocation type {kind}"
            ),
            Self::Image(error) => error.fmt(f),
            Self::Version { major, minor } => {
                write!(f, "the header has version {major}.{minor}, which is not 3.0, 13.0 or 13.3")
            }
            Self::TableSize { size, expected } => {
                write!(f, "the relocation table has {size} bytes, expected {expected}")
            }
            Self::NotInSlot { slot, name, code } => {
                write!(f, "slot {slot} neither holds {name} nor jumps to it at {code:#x}")
            }
            Self::SlotAnswer { slot, kind, target } => {
                write!(f, "the relocation table answers {kind} at offset {target:#x} for slot {slot}")
            }
            Self::KindNotAllowed { call, kind } => {
                write!(f, "the relocation table answers {kind} for {call}, which no guest can use")
            }
            Self::WrongTarget { call, target, code } => {
                write!(f, "the relocation table has {call} at offset {target:#x}, its code is at {code:#x}")
            }
            Self::NotProvided { call } => {
                write!(f, "{call} has code, but the relocation table answers NONE")
            }
        }
    }
}

impl std::error::Error for Error {}
