//! [`SiteBytes`]: what a site holds.

use core::fmt;

use paravirt_vmi_abi::Call;

use super::{BRANCH_LENGTH, MAX_SITE_LENGTH, NativeForm};

/// The opcode of `call rel32`.
pub(crate) const CALL_REL32: u8 = 0xe8;

/// The bytes of a site: as many as its native form has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SiteBytes {
    bytes: [u8; MAX_SITE_LENGTH],
    length: u8,
}

impl SiteBytes {
    /// The given bytes; longer runs than a site can have are cut off.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let length = bytes.len().min(MAX_SITE_LENGTH);
        let mut site = Self { bytes: [0; MAX_SITE_LENGTH], length: length as u8 };
        site.bytes[..length].copy_from_slice(&bytes[..length]);
        site
    }

    /// As many zeros as a site of `call` has bytes.
    pub(crate) fn of(call: Call) -> Self {
        Self { bytes: [0; MAX_SITE_LENGTH], length: NativeForm::of(call).length() as u8 }
    }

    /// The bytes as a slice.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length.into()]
    }

    /// Puts a branch with the given opcode from `address`, where the bytes lie, to `target` in front.
    pub(crate) fn put_branch(&mut self, opcode: u8, address: u32, target: u32) {
        // The displacement counts from the end of the instruction, modulo 2^32.
        let displacement = target.wrapping_sub(address.wrapping_add(BRANCH_LENGTH as u32));
        self.bytes[0] = opcode;
        self.bytes[1..BRANCH_LENGTH].copy_from_slice(&displacement.to_le_bytes());
    }

    /// The bytes as a slice that can be read into.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length.into()]
    }
}

/// Writes the bytes in hexadecimal, separated by blanks.
impl fmt::Display for SiteBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.as_slice().iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SiteBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}
