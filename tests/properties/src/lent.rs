//! [`Lent`]: bytes that code under test may keep for ever, until it is known to be done with them.
//!
//! # Safety
//!
//! A machine's option-ROM window is `'static`, and a test has one for each of millions of inputs. [`Lent::get`] is
//! unsafe: who calls it owes that nothing holds the bytes any more when the [`Lent`] is dropped.
#![allow(unsafe_code)]

use std::ptr::NonNull;

/// Bytes of their own, as many as there are and no more: a reader that goes too far is noticed by a sanitizer.
pub struct Lent {
    bytes: NonNull<[u8]>,
}

impl Lent {
    /// A copy of the bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: NonNull::from(Box::leak(Box::<[u8]>::from(bytes))) }
    }

    /// The bytes.
    ///
    /// # Safety
    ///
    /// The reference, and whatever is made of it, is not used after this has been dropped.
    pub unsafe fn get(&self) -> &'static [u8] {
        // SAFETY: the allocation lives until this is dropped, and is not written; the caller vouches that the
        // reference is not used for longer.
        unsafe { self.bytes.as_ref() }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: the pointer is that of a box, freed nowhere else; who called `get` vouches that nothing has a
        // reference any more.
        drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
    }
}
