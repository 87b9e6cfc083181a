//! Two ways to pad an instruction to the eight bytes of a site.
//!
//! `nop` stands for `cli`, which ring 3 may not execute: one byte, and no work.
//!
//! # Safety
//!
//! The assembly does nothing.
#![allow(unsafe_code)]

use std::arch::asm;

use crate::section::UNROLLED;

/// Sites padded by prefixes: seven, and the instruction.
#[inline(never)]
pub fn prefixes(sites: u32) {
    for _ in 0..sites / UNROLLED {
        // SAFETY: see the module.
        unsafe {
            asm!(
                ".rept {sites}",
                ".byte 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x90",
                ".endr",
                sites = const UNROLLED,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

/// Sites padded by four prefixes, and a filler of three bytes behind: `lea esi, [esi]`.
#[inline(never)]
pub fn filler(sites: u32) {
    for _ in 0..sites / UNROLLED {
        // SAFETY: see the module. ESI keeps its value.
        unsafe {
            asm!(
                ".rept {sites}",
                ".byte 0x3e, 0x3e, 0x3e, 0x3e, 0x90, 0x8d, 0x76, 0x00",
                ".endr",
                sites = const UNROLLED,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}
