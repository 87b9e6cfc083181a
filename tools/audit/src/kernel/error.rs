//! Why a file cannot be audited.

use std::fmt;

/// Why a file cannot be audited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It cannot be read as an object file, or a part of it cannot.
    Unreadable {
        /// The part.
        part: String,
        /// The reader's reason.
        reason: String,
    },
    /// It is not an ELF file for i386.
    WrongMachine {
        /// What it is.
        found: String,
    },
    /// It has not been linked: nothing in it has an address yet.
    Relocatable,
    /// It has neither a section nor a segment with instructions.
    NoCode,
    /// A section leads beyond the end of the address space.
    BeyondTop {
        /// Its name.
        section: String,
        /// Its address.
        address: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// Two sections with instructions have addresses in common.
    Overlap {
        /// The name of the one that begins first.
        first: String,
        /// The name of the other.
        second: String,
        /// The address of the other.
        address: u32,
    },
    /// The sections with instructions have more bytes together than the file has.
    MoreCodeThanFile {
        /// Their bytes.
        code: u64,
        /// The length of the file.
        file: u64,
    },
    /// The names of the symbols have more bytes together than any kernel's.
    LongNames {
        /// The bytes that there may be.
        limit: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { part, reason } => write!(f, "{part} cannot be read: {reason}"),
            Self::WrongMachine { found } => write!(f, "it is {found}, not an ELF file for i386"),
            Self::Relocatable => {
                f.write_str("it is a relocatable object, in which nothing has an address yet: link it first")
            }
            Self::NoCode => f.write_str("it has no instructions: no executable section, and no such segment"),
            Self::BeyondTop { section, address, size } => {
                write!(f, "section {section} at {address:#x} of {size:#x} bytes leads beyond 4 GiB")
            }
            Self::Overlap { first, second, address } => {
                write!(f, "the sections {first} and {second} overlap at {address:08x}")
            }
            Self::MoreCodeThanFile { code, file } => {
                write!(f, "its sections claim {code} bytes of instructions, and the file has {file} bytes")
            }
            Self::LongNames { limit } => write!(f, "the names of its symbols have more than {limit} bytes"),
        }
    }
}

impl std::error::Error for ReadError {}
