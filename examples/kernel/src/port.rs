//! I/O ports, without the calls of the interface: what the suite compares those with. The instructions lie in the
//! section of such, out of line.
//!
//! # Safety
//!
//! Writing to a port can do anything that its device can, so a port is proved harmless once, where
//! [`Port::new`] names it; using it is then safe.
#![allow(unsafe_code)]

use core::arch::asm;

/// Defines a port by its width.
macro_rules! port {
    ($(#[$meta:meta])* $port:ident, $value:ty, $input:literal, $output:literal, $register:tt) => {
        $(#[$meta])*
        pub struct $port(u16);

        impl $port {
            /// The port with this number.
            ///
            /// # Safety
            ///
            /// No value read from or written to the port may break memory safety.
            pub const unsafe fn new(number: u16) -> Self {
                Self(number)
            }

            /// Reads one value.
            #[inline(never)]
            #[unsafe(link_section = ".raw.text")]
            pub fn read(&self) -> $value {
                let value;
                // No `nomem`: what a device does is ordered with the memory accesses around it.
                // SAFETY: harmless by the contract of `new`.
                unsafe {
                    asm!($input, in("dx") self.0, out($register) value, options(nostack, preserves_flags));
                }
                value
            }

            /// Writes one value.
            #[inline(never)]
            #[unsafe(link_section = ".raw.text")]
            pub fn write(&self, value: $value) {
                // SAFETY: harmless by the contract of `new`.
                unsafe {
                    asm!($output, in("dx") self.0, in($register) value, options(nostack, preserves_flags));
                }
            }
        }
    };
}

port! {
    /// An 8-bit port.
    Port, u8, "in al, dx", "out dx, al", "al"
}
port! {
    /// A 16-bit port.
    Port16, u16, "in ax, dx", "out dx, ax", "ax"
}
port! {
    /// A 32-bit port.
    Port32, u32, "in eax, dx", "out dx, eax", "eax"
}
