//! [`DirectWriter`]: text that can be written as it stands.
//!
//! # Safety
//!
//! The accesses are to the range that the maker of a [`DirectWriter`] vouched for, and each is
//! checked to lie inside it.
#![allow(unsafe_code)]

use core::arch::x86::__cpuid;
use core::ops::Range;
use core::ptr;

use crate::patch::{TextError, TextErrorReason, TextWriter};

/// Four bytes at any address, which the processor reads and writes at once.
#[repr(C, packed)]
struct Word(u32);

/// Writes text by plain stores, for a kernel that patches before its text becomes read-only.
#[derive(Debug)]
pub struct DirectWriter {
    text: Range<u32>,
}

impl DirectWriter {
    /// A writer for the text at the linear addresses `text`.
    ///
    /// # Safety
    ///
    /// The range is the kernel's text, mapped readable and writable for as long as the writer lives,
    /// and no Rust reference into it exists.
    pub const unsafe fn new(text: Range<u32>) -> Self {
        Self { text }
    }

    /// Checks that `length` bytes at `address` are text.
    fn check(&self, address: u32, length: usize) -> Result<(), TextError> {
        let inside = address >= self.text.start
            && address.checked_add(length as u32).is_some_and(|end| end <= self.text.end);
        let reason = TextErrorReason::OutsideText;
        inside.then_some(()).ok_or(TextError { address, length, reason })
    }
}

impl TextWriter for DirectWriter {
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
        self.check(address, bytes.len())?;
        let mut from = ptr::with_exposed_provenance::<Word>(address as usize);
        let mut words = bytes.chunks_exact_mut(size_of::<Word>());
        for to in &mut words {
            // SAFETY: the address is inside the range that `new` was given, which is readable, and a word needs no
            // alignment. Volatile, because the bytes are code that changes behind the compiler's back.
            let word = unsafe { from.read_volatile() };
            to.copy_from_slice(&word.0.to_le_bytes());
            from = from.wrapping_add(1);
        }
        let mut from = from.cast::<u8>();
        for to in words.into_remainder() {
            // SAFETY: as above.
            *to = unsafe { from.read_volatile() };
            from = from.wrapping_add(1);
        }
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        self.check(address, bytes.len())?;
        let mut to = ptr::with_exposed_provenance_mut::<Word>(address as usize);
        let words = bytes.chunks_exact(size_of::<Word>());
        let rest = words.remainder();
        for from in words {
            let word = Word(from.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
            // SAFETY: the address is inside the range that `new` was given, which is writable and
            // not referred to, and a word needs no alignment.
            unsafe { to.write_volatile(word) };
            to = to.wrapping_add(1);
        }
        let mut to = to.cast::<u8>();
        for from in rest {
            // SAFETY: as above.
            unsafe { to.write_volatile(*from) };
            to = to.wrapping_add(1);
        }
        Ok(())
    }

    /// Executes CPUID, which serialises on every processor of the crate's targets: they begin at the
    /// Pentium.
    fn serialize(&mut self) {
        // SAFETY: the processor has CPUID.
        #[allow(unused_unsafe, reason = "a safe function in newer compilers")]
        unsafe {
            __cpuid(0);
        }
    }
}
