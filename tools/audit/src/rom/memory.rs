//! The memory that a ROM's answer is computed in: the image, and a stack.

use super::error::AskCause;

/// The size of the stack, in bytes.
const STACK: u32 = 0x1000;

/// An image that is read, and a stack.
pub(super) struct Memory<'a> {
    image: &'a [u8],
    base: u32,
    stack: Vec<u8>,
    /// Linear address of the stack's first byte, far away from the image.
    bottom: u32,
}

impl<'a> Memory<'a> {
    pub fn new(image: &'a [u8], base: u32) -> Self {
        let bottom = if base < 0x8000_0000 { 0xC000_0000 } else { 0x4000_0000 };
        Self { image, base, stack: vec![0; STACK as usize], bottom }
    }

    /// The address behind the stack.
    pub fn stack_top(&self) -> u32 {
        self.bottom + STACK
    }

    /// The bytes of the image from an address on.
    pub fn code(&self, address: u32) -> &'a [u8] {
        self.image.get(address.wrapping_sub(self.base) as usize..).unwrap_or_default()
    }

    /// Reads a little-endian number of `size` bytes, at most four.
    pub fn read(&self, address: u32, size: usize) -> Result<u32, AskCause> {
        let stack = self.stack.get(address.wrapping_sub(self.bottom) as usize..);
        let image = self.image.get(address.wrapping_sub(self.base) as usize..);
        let bytes = stack.or(image).and_then(|bytes| bytes.get(..size));
        let bytes = bytes.ok_or(AskCause::Reads { address })?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    /// Writes a number of `size` bytes.
    pub fn write(&mut self, address: u32, size: usize, value: u32) -> Result<(), AskCause> {
        let stack = self.stack.get_mut(address.wrapping_sub(self.bottom) as usize..);
        let bytes = stack.and_then(|bytes| bytes.get_mut(..size)).ok_or(AskCause::Writes { address })?;
        bytes.copy_from_slice(&value.to_le_bytes()[..size]);
        Ok(())
    }
}
