//! [`TextWriter`]: the kernel's own way to read and write its text.

use core::fmt;

/// Reads and writes the kernel's text on behalf of the patcher.
///
/// The patcher never makes text writable by itself: how that is done is the kernel's business, and
/// under a hypervisor a write to CR0 is itself one of the calls being patched. A kernel that patches
/// before its text becomes read-only uses [`DirectWriter`](super::DirectWriter); any other supplies
/// its own.
///
/// # What the implementer owes
///
/// * Neither function may use a site of this crate (mask interrupts through [`irq`](crate::irq), for
///   example): sites are being rewritten.
/// * `write` stores all bytes or none, and what it stored is what `read` returns.
pub trait TextWriter {
    /// Fills `bytes` from linear address `address` on.
    ///
    /// # Errors
    ///
    /// If the range is not all text.
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError>;

    /// Stores `bytes` from linear address `address` on.
    ///
    /// # Errors
    ///
    /// If the range is not all text, or cannot be written; nothing is stored then.
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError>;

    /// Makes the processor fetch what has been written.
    ///
    /// Called after the last write of a batch and before any of it is executed.
    fn serialize(&mut self);
}

/// A range of text that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Linear address of the first byte.
    pub address: u32,
    /// Length of the range in bytes.
    pub length: usize,
    /// What the writer has against it.
    pub reason: TextErrorReason,
}

/// What a text writer has against a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextErrorReason {
    /// It is not, or not wholly, inside the text that the writer was given.
    OutsideText,
    /// It is text, but could not be made writable.
    NotWritable,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, length, reason } = self;
        match reason {
            TextErrorReason::OutsideText => {
                write!(f, "{length} bytes at {address:08x} are not inside the kernel's text")
            }
            TextErrorReason::NotWritable => {
                write!(f, "{length} bytes at {address:08x} could not be made writable")
            }
        }
    }
}

impl core::error::Error for TextError {}
