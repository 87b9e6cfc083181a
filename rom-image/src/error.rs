//! Why bytes cannot be made an image.

use std::fmt;

use paravirt_vmi_abi::Generation;

/// Why the bytes that a linker has left cannot be made an [`Image`](crate::Image). All offsets count from
/// the start of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The image is longer than 127 units of 512 bytes.
    TooLong {
        /// Length in bytes, without padding.
        length: usize,
    },
    /// A part is not there, or not wholly inside the image.
    PartOutside {
        /// Which part.
        part: &'static str,
        /// Where it is said to be; 0 for a part that the header says is missing.
        offset: usize,
        /// Its length in bytes.
        size: usize,
        /// Length of the image in bytes, without padding.
        length: usize,
    },
    /// The generation answers questions, and nothing is said of its relocation table.
    NoRelocations {
        /// The generation.
        generation: Generation,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => write!(f, "{length} bytes are too long for a ROM of 127 units"),
            Self::PartOutside { part, offset: 0, .. } => write!(f, "there is no {part} in the image"),
            Self::PartOutside { part, offset, size, length } => write!(
                f,
                "the {part} at offset {offset:#x}, {size} bytes, is outside the image of {length:#x} bytes"
            ),
            Self::NoRelocations { generation } => {
                write!(f, "a ROM of generation {generation} has a relocation table, and none is given")
            }
        }
    }
}

impl std::error::Error for Error {}
