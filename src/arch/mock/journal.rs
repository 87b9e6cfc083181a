//! The journal: what has happened on a processor.

use core::fmt;
use std::vec::Vec;

use paravirt_vmi_abi::Call;

use super::Place;
use crate::patch::Relocation;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What.
    pub event: Event,
    /// The interrupt flag afterwards.
    pub interrupt_flag: bool,
    /// How many handlers were under way.
    pub depth: usize,
    /// Where in the code under test; of a delivery: what was interrupted.
    pub place: Place,
}

impl Entry {
    /// The call, if it is one.
    pub fn call(&self) -> Option<Call> {
        match self.event {
            Event::Call { call, .. } => Some(call),
            _ => None,
        }
    }

    /// The arguments of the call, in the order of the [call table](Call::info); of anything else none.
    pub fn arguments(&self) -> &[u32] {
        match &self.event {
            Event::Call { arguments, .. } => arguments,
            _ => &[],
        }
    }
}

/// What can happen on a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A call of the interface, by whichever function of this crate.
    Call {
        /// The call.
        call: Call,
        /// Its arguments, in the order of the [call table](Call::info). Of a pointer bits 31 to 0.
        arguments: Vec<u32>,
    },
    /// An access to memory that is shared with handlers.
    Access {
        /// Type and method.
        name: &'static str,
    },
    /// vmi_init of a ROM has been called.
    RomInitialised {
        /// Physical address of the ROM.
        rom: u32,
        /// What vmi_init has returned; 0 is success.
        status: u32,
        /// The ring in which the kernel runs from now on.
        ring: u8,
    },
    /// GetRelocationInfo of a ROM has been called.
    RelocationAsked {
        /// What it was asked for: the number of a call, or in 13.3 of a slot.
        number: u32,
        /// What it has answered.
        relocation: Relocation,
    },
    /// An interrupt has become pending.
    Raised {
        /// Its vector.
        vector: u8,
    },
    /// An interrupt has been delivered: its handler begins.
    Delivered {
        /// Its vector.
        vector: u8,
    },
    /// A handler has returned.
    Returned {
        /// The vector.
        vector: u8,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { call, arguments } => {
                write!(f, "{call}")?;
                for (number, argument) in arguments.iter().enumerate() {
                    write!(f, "{}{argument:#x}", if number == 0 { "(" } else { ", " })?;
                }
                f.write_str(if arguments.is_empty() { "" } else { ")" })
            }
            Self::Access { name } => f.write_str(name),
            Self::RomInitialised { rom, status, ring } => {
                write!(
                    f,
                    "vmi_init of the ROM at {rom:05X} returns {status:#x}; the kernel is in ring {ring}"
                )
            }
            Self::RelocationAsked { number, relocation: Relocation { kind, target } } => {
                write!(f, "GetRelocationInfo({number}) answers {kind} {target:08x}")
            }
            Self::Raised { vector } => write!(f, "interrupt {vector:#04x} becomes pending"),
            Self::Delivered { vector } => write!(f, "interrupt {vector:#04x} is delivered"),
            Self::Returned { vector } => write!(f, "the handler of {vector:#04x} returns"),
        }
    }
}
