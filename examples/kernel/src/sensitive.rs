//! The instructions that a paravirtual kernel must not use, for the checks that show why, and for the way back
//! from a ROM that is not to be trusted.
//!
//! They lie in a section of their own, `.sensitive.text`: everywhere else in the kernel none is found outside
//! a site.
//!
//! # Safety
//!
//! The checks that use them unmask interrupts where nothing relies on masked ones.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::traps::INTERRUPT_FLAG;

/// `cli`.
#[inline(never)]
#[unsafe(link_section = ".sensitive.text")]
pub fn cli() {
    // SAFETY: an interrupt less breaks nothing.
    unsafe { asm!("cli", options(nostack)) };
}

/// `sti`.
///
/// # Safety
///
/// As for [`irq::enable`](paravirt_vmi::irq::enable).
#[inline(never)]
#[unsafe(link_section = ".sensitive.text")]
pub unsafe fn sti() {
    // SAFETY: passed on to the caller.
    unsafe { asm!("sti", options(nostack)) };
}

/// `pushf`: EFLAGS.
#[inline(never)]
#[unsafe(link_section = ".sensitive.text")]
pub fn pushf() -> u32 {
    let flags;
    // SAFETY: reads EFLAGS.
    unsafe { asm!("pushfd", "pop {}", out(reg) flags) };
    flags
}

/// `popf` of the present EFLAGS, but with IF clear.
#[inline(never)]
#[unsafe(link_section = ".sensitive.text")]
pub fn popf_if_clear() {
    // SAFETY: an interrupt less breaks nothing.
    unsafe {
        asm!("pushfd", "and dword ptr [esp], ~{flag}", "popfd", flag = const INTERRUPT_FLAG);
    }
}

/// `popf`.
///
/// # Safety
///
/// As for [`irq::restore`](paravirt_vmi::irq::restore). `flags` come from [`pushf`].
#[inline(never)]
#[unsafe(link_section = ".sensitive.text")]
pub unsafe fn popf(flags: u32) {
    // SAFETY: passed on to the caller.
    unsafe { asm!("push {}", "popfd", in(reg) flags) };
}
