//! A kernel that masks interrupts by sites, and in three places by a raw `popf`: in Rust, in assembly, in C.
//!
//! # Safety
//!
//! The kernel is linked and looked at, not run.

#![no_std]
#![no_main]
#![allow(unsafe_code)]
#![allow(dead_code, reason = "the modules are shared with a kernel that uses all of them")]

#[path = "../../../examples/kernel/src/entry.rs"]
mod entry;
#[path = "../../../examples/kernel/src/mem.rs"]
mod mem;

use core::arch::{asm, global_asm};
use core::hint;
use core::panic::PanicInfo;

use paravirt_vmi::irq;

unsafe extern "C" {
    /// `popf` of `flags`.
    fn planted_in_assembly(flags: u32);
    /// `popf` of `flags`.
    fn planted_in_c(flags: u32);
}

/// `popf` of `flags`.
///
/// # Safety
///
/// The flags are those of a kernel.
#[inline(never)]
#[unsafe(no_mangle)]
unsafe extern "C" fn planted_in_rust(flags: u32) {
    // SAFETY: passed on to the caller.
    unsafe { asm!("push {}", "popfd", in(reg) flags) };
}

global_asm!(
    ".pushsection .text.planted, \"ax\", @progbits",
    ".globl planted_in_assembly",
    ".type planted_in_assembly, @function",
    "planted_in_assembly:",
    "push [esp + 4]",
    "popfd",
    "ret",
    ".size planted_in_assembly, . - planted_in_assembly",
    ".popsection",
);

/// EFLAGS with interrupts masked.
const MASKED: u32 = 2;

/// Called by the first instructions.
///
/// # Safety
///
/// Called once, by `entry`.
#[unsafe(no_mangle)]
unsafe extern "C" fn kernel_main(_magic: u32, _information: u32) -> ! {
    irq::without_interrupts(|| {
        // SAFETY: interrupts are masked, and stay so.
        unsafe { planted_in_rust(MASKED) };
        // SAFETY: as above.
        unsafe { planted_in_assembly(MASKED) };
        // SAFETY: as above.
        unsafe { planted_in_c(MASKED) };
    });
    loop {
        hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        hint::spin_loop();
    }
}
