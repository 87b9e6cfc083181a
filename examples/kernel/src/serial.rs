//! The first serial port, a 16550: where the kernel's report goes.
//!
//! # Safety
//!
//! The ports belong to the serial port alone, which moves bytes and touches no memory.
#![allow(unsafe_code)]

use core::fmt;

use crate::port::Port;

// SAFETY: a register of COM1.
const DATA: Port = unsafe { Port::new(0x3F8) };
// SAFETY: a register of COM1.
const INTERRUPT_ENABLE: Port = unsafe { Port::new(0x3F9) };
// SAFETY: a register of COM1.
const FIFO_CONTROL: Port = unsafe { Port::new(0x3FA) };
// SAFETY: a register of COM1.
const LINE_CONTROL: Port = unsafe { Port::new(0x3FB) };
// SAFETY: a register of COM1.
const MODEM_CONTROL: Port = unsafe { Port::new(0x3FC) };
// SAFETY: a register of COM1.
const LINE_STATUS: Port = unsafe { Port::new(0x3FD) };

/// LINE_CONTROL: DATA and INTERRUPT_ENABLE are the divisor of the bit rate.
const DIVISOR_LATCH: u8 = 0x80;
const EIGHT_BITS: u8 = 0x03;
/// LINE_STATUS: the transmitter takes a byte.
const TRANSMITTER_EMPTY: u8 = 0x20;

/// Sets 115,200 bits a second, 8 bits, no parity, no interrupts.
pub fn initialize() {
    INTERRUPT_ENABLE.write(0);
    LINE_CONTROL.write(DIVISOR_LATCH);
    DATA.write(1);
    INTERRUPT_ENABLE.write(0);
    LINE_CONTROL.write(EIGHT_BITS);
    // enabled and emptied
    FIFO_CONTROL.write(0x07);
    // DTR and RTS
    MODEM_CONTROL.write(0x03);
}

/// The first serial port as a place to write text to.
pub struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // A byte written to a busy transmitter is lost.
            while LINE_STATUS.read() & TRANSMITTER_EMPTY == 0 {
                core::hint::spin_loop();
            }
            DATA.write(byte);
        }
        Ok(())
    }
}

/// Writes one line to the first serial port.
macro_rules! line {
    ($($argument:tt)*) => {{
        use core::fmt::Write;
        // `Serial` never fails.
        let _ = writeln!($crate::serial::Serial, $($argument)*);
    }};
}
pub(crate) use line;
