//! What can be wrong with a site, a plan, or the writing of one.

use core::fmt;

use paravirt_vmi_abi::Call;

use super::{RelocationError, TextError};
use crate::site::{RecordError, Site, SiteBytes};

/// A site that cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteError {
    /// Its record is damaged.
    Record(RecordError),
    /// Its text cannot be read or written.
    Text(TextError),
    /// Its text is not what it must be.
    UnexpectedBytes {
        /// Linear address of the site.
        address: u32,
        /// The call that its record names.
        call: Call,
        /// The native form of the call.
        native: SiteBytes,
        /// The bytes that should be there: the native form, or behind a write what was written.
        expected: SiteBytes,
        /// The bytes found.
        found: SiteBytes,
    },
}

impl SiteError {
    /// The error for `site`, which holds `found`.
    pub(super) fn unexpected(site: &Site, expected: SiteBytes, found: SiteBytes) -> Self {
        let (address, call, native) = (site.address, site.form.call, site.native());
        Self::UnexpectedBytes { address, call, native, expected, found }
    }
}

impl From<RecordError> for SiteError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl From<TextError> for SiteError {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::Text(error) => error.fmt(f),
            Self::UnexpectedBytes { address, call, native: _, expected, found } => write!(
                f,
                "{call} site at {address:08x}: found {found}, expected {expected}; \
                 is the linker script right, or did something else patch the kernel?"
            ),
        }
    }
}

impl core::error::Error for SiteError {}

/// Why there is no plan. Nothing has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// A site is not what it must be.
    Site(SiteError),
    /// An answer of the ROM cannot be acted on.
    Relocation(RelocationError),
}

impl From<SiteError> for PlanError {
    fn from(error: SiteError) -> Self {
        Self::Site(error)
    }
}

impl From<RelocationError> for PlanError {
    fn from(error: RelocationError) -> Self {
        Self::Relocation(error)
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(error) => error.fmt(f),
            Self::Relocation(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PlanError {}

/// Why a plan was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// A site had changed since the plan was made; nothing was written.
    Changed(SiteError),
    /// A site could not be written; the sites are native again.
    Write(SiteError),
    /// A site did not hold what had been written to it; the sites are native again.
    Verify(SiteError),
}

impl From<SiteError> for CommitError {
    fn from(error: SiteError) -> Self {
        Self::Changed(error)
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(error) => write!(f, "before the first write: {error}"),
            Self::Write(error) => write!(f, "while writing: {error}"),
            Self::Verify(error) => write!(f, "when reading back: {error}"),
        }
    }
}

impl core::error::Error for CommitError {}
