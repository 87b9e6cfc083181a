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
        for (from, to) in (address..).zip(bytes) {
            // SAFETY: the address is inside the range that `new` was given, which is readable.
            // Volatile, because the bytes are code that changes behind the compiler's back.
            *to = unsafe { ptr::with_exposed_provenance::<u8>(from as usize).read_volatile() };
        }
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        self.check(address, bytes.len())?;
        for (to, from) in (address..).zip(bytes) {
            let to = ptr::with_exposed_provenance_mut::<u8>(to as usize);
            // SAFETY: the address is inside the range that `new` was given, which is writable and
            // not referred to.
            unsafe { to.write_volatile(*from) };
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
