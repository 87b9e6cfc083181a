//! The serial line behind a guest, which may have left it in any state.
//!
//! # Safety
//!
//! Reading the port's status changes nothing that anybody waits for.
#![allow(unsafe_code)]

use crate::port::Port;
use crate::serial;

// SAFETY: a register of COM1.
const LINE_STATUS: Port = unsafe { Port::new(0x3FD) };
/// LINE_STATUS: all bytes have been sent.
const ALL_SENT: u8 = 0x40;
/// Looks at the status; a byte takes less than a tenth of a millisecond.
const PATIENCE: u32 = 100_000;

/// Lets the guest's last bytes go, and makes the line what it was at the start.
pub fn take_back() {
    for _ in 0..PATIENCE {
        if LINE_STATUS.read() & ALL_SENT != 0 {
            break;
        }
        core::hint::spin_loop();
    }
    serial::initialize();
}
