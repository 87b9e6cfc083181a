//! The bytes of an instruction, one after the other.

use super::Error;

/// No instruction is longer; one that tries is #GP.
pub const MAXIMUM_LENGTH: usize = 15;

/// Reads an instruction's bytes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// How many bytes were read: at most [`MAXIMUM_LENGTH`].
    pub(super) const fn position(&self) -> u8 {
        self.position as u8
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        if self.position == MAXIMUM_LENGTH {
            return Err(Error::Incomplete);
        }
        let byte = *self.bytes.get(self.position).ok_or(Error::Incomplete)?;
        self.position += 1;
        Ok(byte)
    }

    /// An unsigned value of 1, 2 or 4 bytes.
    pub(super) fn value(&mut self, width: u8) -> Result<u32, Error> {
        let mut value = 0;
        for index in 0..width {
            value |= u32::from(self.byte()?) << (8 * index);
        }
        Ok(value)
    }

    /// A byte with its sign.
    pub(super) fn signed_byte(&mut self) -> Result<u32, Error> {
        Ok(self.byte()? as i8 as u32)
    }
}
