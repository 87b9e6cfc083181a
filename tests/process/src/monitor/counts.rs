//! What has been counted.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use vmi_hypervisor::decode::{MAXIMUM_LENGTH, decode};

/// Hypercalls, by number.
pub static HYPERCALLS: [AtomicU32; 256] = [const { AtomicU32::new(0) }; 256];
/// Stores to the virtual flag that were carried out, since the page was read-only.
pub static STORES: AtomicU32 = AtomicU32::new(0);
/// Privileged instructions that were carried out.
pub static TRAPS: AtomicU32 = AtomicU32::new(0);
/// The last instruction that has faulted: its bytes, four in each word.
static LAST: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

/// How often the guest was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exits {
    /// By hypercalls of the ROM.
    pub hypercalls: u32,
    /// By stores to the virtual flag while an interrupt waits.
    pub stores: u32,
    /// By privileged instructions.
    pub traps: u32,
}

/// The number of exits so far.
pub fn exits() -> Exits {
    let hypercalls = HYPERCALLS.iter().map(|count| count.load(SeqCst)).sum();
    Exits { hypercalls, stores: STORES.load(SeqCst), traps: TRAPS.load(SeqCst) }
}

/// The number of hypercalls with this number so far.
pub fn hypercalls(number: u32) -> u32 {
    HYPERCALLS[number as usize].load(SeqCst)
}

/// Remembers an instruction that has faulted.
pub fn note(bytes: &[u8; MAXIMUM_LENGTH]) {
    for (word, bytes) in LAST.iter().zip(bytes.chunks(4)) {
        let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        word.store(value, SeqCst);
    }
}

/// The mnemonic of the last instruction that has faulted since this was called last.
pub fn last_fault() -> Option<&'static str> {
    let words: Vec<_> = LAST.iter().map(|word| word.swap(0, SeqCst)).collect();
    let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let fault = words.iter().any(|word| *word != 0);
    fault
        .then(|| decode(&bytes[..MAXIMUM_LENGTH], true).map_or("unknown", |found| found.operation.mnemonic()))
}
