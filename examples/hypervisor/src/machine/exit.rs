//! The end of a run: QEMU's isa-debug-exit device ends the emulator with status `2 * code + 1`.
//!
//! # Safety
//!
//! The port belongs to the exit device; where there is none, the write goes nowhere.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::port::Port;

// SAFETY: the exit device ends the machine or does nothing.
const DEBUG_EXIT: Port = unsafe { Port::new(0xF4) };

/// Ends the run. On a machine without the device the processor stays here for ever.
pub fn exit(code: u8) -> ! {
    DEBUG_EXIT.write(code);
    loop {
        // SAFETY: interrupts are masked, so that the processor sleeps for ever.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
