//! I/O ports.
//!
//! # Safety
//!
//! Writing to a port can do anything that its device can, so a port is proved harmless once, where
//! [`Port::new`] names it; using it is then safe.
#![allow(unsafe_code)]

use core::arch::asm;

/// An 8-bit port.
pub struct Port(u16);

impl Port {
    /// The port with this number.
    ///
    /// # Safety
    ///
    /// No value read from or written to the port may break memory safety.
    pub const unsafe fn new(number: u16) -> Self {
        Self(number)
    }

    /// Reads one byte.
    pub fn read(&self) -> u8 {
        let value;
        // No `nomem`: what a device does is ordered with the memory accesses around it.
        // SAFETY: harmless by the contract of `new`.
        unsafe {
            asm!("in al, dx", in("dx") self.0, out("al") value, options(nostack, preserves_flags));
        }
        value
    }

    /// Writes one byte.
    pub fn write(&self, value: u8) {
        // SAFETY: harmless by the contract of `new`.
        unsafe {
            asm!("out dx, al", in("dx") self.0, in("al") value, options(nostack, preserves_flags));
        }
    }
}
