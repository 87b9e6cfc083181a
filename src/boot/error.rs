//! Why a kernel stays native, and why activation fails.

use core::fmt;

use crate::patch::{CommitError, PlanError, SiteError};
use crate::rom::ProbeError;

/// Why the kernel runs natively. Nothing has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeReason {
    /// [`Options::enabled`](super::Options::enabled) was false.
    Disabled,
    /// There is no ROM to use.
    Rom(ProbeError),
    /// There is a ROM, but a site is not what it must be.
    Site(SiteError),
    /// There is a ROM, but its vmi_init failed.
    Init {
        /// Physical address of the ROM.
        rom: u32,
        /// What vmi_init returned in EAX.
        status: u32,
    },
}

impl fmt::Display for NativeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("VMI is switched off"),
            Self::Rom(error) => error.fmt(f),
            Self::Site(error) => error.fmt(f),
            Self::Init { rom, status } => {
                write!(f, "ROM at {rom:05X}: vmi_init failed with status {status:#x}")
            }
        }
    }
}

/// Activation failed after vmi_init had succeeded. The text is native and whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Physical address of the ROM.
    pub rom: u32,
    /// The ring in which vmi_init left the kernel. In ring 0 the native instructions do what they
    /// always did.
    pub kernel_ring: u8,
    /// What failed.
    pub cause: ErrorCause,
}

/// What failed after vmi_init had succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorCause {
    /// There is no sound plan; nothing was written.
    Plan(PlanError),
    /// The plan could not be carried out; the sites are native.
    Commit(CommitError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ROM at {:05X}: ", self.rom)?;
        match &self.cause {
            ErrorCause::Plan(error) => error.fmt(f),
            ErrorCause::Commit(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}
