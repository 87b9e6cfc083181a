//! EFLAGS.DF, seen without `pushf`: by the direction in which a string instruction moves.
//!
//! # Safety
//!
//! One byte is read from where a reference points.
#![allow(unsafe_code)]

use core::arch::asm;

/// Whether string instructions count upwards, as the ABI wants it wherever Rust code runs.
pub fn is_forward() -> bool {
    let byte = 0u8;
    let start = &raw const byte;
    let after: *const u8;
    // SAFETY: reads `byte`, whichever way the pointer moves then.
    unsafe {
        asm!("scasb", inout("edi") start => after, in("al") 0u8, options(nostack, readonly));
    }
    after > start
}
