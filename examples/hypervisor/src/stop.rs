//! [`Stop`]: why a guest does not go on.

use core::fmt;

use crate::loader::LoadError;

/// The end of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It has not been started.
    NotStarted(LoadError),
    /// It wrote this code to the port of the exit device.
    Exit(u8),
    /// It reset its machine.
    Reset,
    /// It turned its machine off.
    PowerOff,
    /// It waits for an interrupt, and no device of its machine will ever raise one.
    Asleep,
    /// An exception came up while a double fault was delivered: a real machine would reset itself.
    TripleFault {
        /// The exception that could not be delivered in the first place.
        vector: u8,
        /// Where it came up.
        eip: u32,
    },
    /// It did what no guest of this hypervisor may do, and what cannot be answered by a fault.
    Refused {
        /// What that is.
        what: &'static str,
        /// The value that it is about.
        value: u32,
        /// Where it was done.
        eip: u32,
    },
}

impl Stop {
    /// The exit code of a guest that ended in another way than by its own exit code.
    pub const STOPPED: u8 = 0x14;

    /// The exit code of the guest.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Exit(code) => *code,
            _ => Self::STOPPED,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "not started: {error}"),
            Self::Exit(code) => write!(f, "exit with code {code:#04x}"),
            Self::Reset => f.write_str("reset"),
            Self::PowerOff => f.write_str("power off"),
            Self::Asleep => f.write_str("asleep: it waits for an interrupt that no device will raise"),
            Self::TripleFault { vector, eip } => {
                write!(f, "triple fault: exception {vector} at {eip:08x} cannot be delivered")
            }
            Self::Refused { what, value, eip } => write!(f, "refused: {what} {value:08x} at {eip:08x}"),
        }
    }
}
