//! Memory that the code under test gives to a call.
//!
//! # Safety
//!
//! An address here is a host's, whole: the functions of the crate take pointers and references, and pass on what
//! [`linear`](super::super::linear) makes of them. Whether the memory may be used so is their callers' business.
#![allow(unsafe_code)]

use core::ptr::{copy_nonoverlapping, with_exposed_provenance, with_exposed_provenance_mut};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch::mock::Linear;

/// Fills `bytes` from the memory at `address`.
///
/// # Safety
///
/// So many bytes may be read there.
pub(super) unsafe fn load(address: Linear, bytes: &mut [u8]) {
    // SAFETY: passed on to the caller; `bytes` is borrowed, so it is elsewhere.
    unsafe { copy_nonoverlapping(with_exposed_provenance(address), bytes.as_mut_ptr(), bytes.len()) };
}

/// Stores `bytes` to the memory at `address`.
///
/// # Safety
///
/// So many bytes may be written there.
pub(super) unsafe fn store(address: Linear, bytes: &[u8]) {
    // SAFETY: passed on to the caller; `bytes` is borrowed, so it is elsewhere.
    unsafe { copy_nonoverlapping(bytes.as_ptr(), with_exposed_provenance_mut(address), bytes.len()) };
}

/// Stores the 4 bytes of `value` at `address` at once, after everything that was stored before: another thread that
/// looks sees the stores in their order.
///
/// # Safety
///
/// The address is aligned to 4 bytes, and may be written, by atomic stores too.
pub(super) unsafe fn store_at_once(address: Linear, value: u32) {
    // SAFETY: passed on to the caller.
    let word = unsafe { AtomicU32::from_ptr(with_exposed_provenance_mut(address)) };
    word.store(value, Ordering::Release);
}
