//! Whether the hypervisor is still what it was.
//!
//! # Safety
//!
//! Reads the hypervisor's own memory while no guest runs.
#![allow(unsafe_code)]

use core::slice;

use super::monitor::Monitor;
use super::{boot, paging};

/// A number that differs, in all likelihood, if a byte does (FNV-1a, 64 bits).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Hash(u64);

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        }
    }

    fn add_words(&mut self, words: &[u64]) {
        for word in words {
            self.add(&word.to_le_bytes());
        }
    }
}

/// What the hypervisor's code, constants, descriptors, gates, task and page tables are, and the pages that it shows
/// to all guests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(Hash);

impl Fingerprint {
    /// Takes it. The ports are closed, as they are before the first guest and after each.
    pub fn take(monitor: &Monitor, pages: &[&[u8]]) -> Self {
        let mut hash = Hash(0xCBF2_9CE4_8422_2325);
        let constants = [(boot::start(), boot::end_of_constants() - boot::start())];
        for (address, size) in constants.into_iter().chain(paging::parts()) {
            // SAFETY: the hypervisor's memory, which is not written after the start.
            hash.add(unsafe { slice::from_raw_parts(address as *const u8, size as usize) });
        }
        hash.add_words(&monitor.idt);
        hash.add_words(&monitor.guest_gdt);
        hash.add_words(&monitor.own_gdt);
        hash.add_words(&monitor.ldt);
        for word in monitor.task.words() {
            hash.add(&word.to_le_bytes());
        }
        hash.add(&monitor.task.ports);
        for page in pages {
            hash.add(page);
        }
        Self(hash)
    }
}
