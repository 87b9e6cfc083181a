//! Why a ROM's answer is not known.

use std::fmt;

/// Why a ROM's answer is not known: an instruction of GetRelocationInfo cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskError {
    /// The call number that it was asked for.
    pub number: u32,
    /// Linear address of the instruction.
    pub address: u32,
    /// The instruction; empty if there is none.
    pub instruction: String,
    /// What is the matter with it.
    pub cause: AskCause,
}

/// Why an instruction cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskCause {
    /// It does not lie in the ROM.
    OutsideRom,
    /// The bytes are no instruction.
    Undecodable,
    /// It is not among those that are followed.
    NotFollowed,
    /// It reads memory that is neither of the ROM nor of the stack.
    Reads {
        /// Linear address.
        address: u32,
    },
    /// It writes memory that is not of the stack.
    Writes {
        /// Linear address.
        address: u32,
    },
    /// It comes after more instructions than an answer takes.
    NoEnd,
    /// It returns with another stack pointer than it came with.
    Stack,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asked for call {}, the ROM runs into ", self.number)?;
        if !self.instruction.is_empty() {
            write!(f, "`{}` at ", self.instruction)?;
        }
        write!(f, "{:08x}, which ", self.address)?;
        match self.cause {
            AskCause::OutsideRom => f.write_str("is outside of it"),
            AskCause::Undecodable => f.write_str("is no instruction"),
            AskCause::NotFollowed => f.write_str("is not followed here"),
            AskCause::Reads { address } => write!(f, "reads {address:08x}, outside of ROM and stack"),
            AskCause::Writes { address } => write!(f, "writes {address:08x}, outside of the stack"),
            AskCause::NoEnd => write!(f, "is after {} others: it comes to no end", super::STEPS),
            AskCause::Stack => f.write_str("returns with another stack pointer"),
        }
    }
}

impl std::error::Error for AskError {}
