//! The two 8259 interrupt controllers.
//!
//! # Safety
//!
//! The ports belong to the controllers, which raise interrupts; every vector that they are given has a
//! handler.
#![allow(unsafe_code)]

use crate::port::Port;
use crate::traps::FIRST_IRQ;

// SAFETY: a register of the first controller.
const MASTER_COMMAND: Port = unsafe { Port::new(0x20) };
// SAFETY: a register of the first controller.
const MASTER_DATA: Port = unsafe { Port::new(0x21) };
// SAFETY: a register of the second controller.
const SLAVE_COMMAND: Port = unsafe { Port::new(0xA0) };
// SAFETY: a register of the second controller.
const SLAVE_DATA: Port = unsafe { Port::new(0xA1) };

/// The line on which the second controller hangs.
const CASCADE: u8 = 2;
/// The line on which each controller reports an interrupt that went away.
const SPURIOUS: u8 = 7;

/// ICW1: edge-triggered, cascaded, ICW4 follows.
const INITIALIZE: u8 = 0x11;
/// ICW4: 8086 mode, ordinary end of interrupt.
const MODE_8086: u8 = 0x01;
/// OCW2: end of the interrupt of highest priority in service.
const END_OF_INTERRUPT: u8 = 0x20;
/// OCW3: the next read gives the interrupt request register.
const READ_REQUESTS: u8 = 0x0A;
/// OCW3: the next read gives the in-service register.
const READ_IN_SERVICE: u8 = 0x0B;

/// Gives the controllers the vectors from [`FIRST_IRQ`] on and masks all lines but `line`, which must
/// be one of the first controller.
pub fn initialize(line: u8) {
    MASTER_COMMAND.write(INITIALIZE);
    SLAVE_COMMAND.write(INITIALIZE);
    MASTER_DATA.write(FIRST_IRQ);
    SLAVE_DATA.write(FIRST_IRQ + 8);
    MASTER_DATA.write(1 << CASCADE);
    SLAVE_DATA.write(CASCADE);
    MASTER_DATA.write(MODE_8086);
    SLAVE_DATA.write(MODE_8086);
    MASTER_DATA.write(!(1 << line));
    SLAVE_DATA.write(!0);
}

/// Whether `line` of the first controller has an interrupt that the processor has not taken.
pub fn is_pending(line: u8) -> bool {
    MASTER_COMMAND.write(READ_REQUESTS);
    MASTER_COMMAND.read() & 1 << line != 0
}

/// Whether the interrupt on `line` is the one that a controller makes up when a request went away
/// before it was taken. No end of interrupt is due for it.
pub fn is_spurious(line: u8) -> bool {
    line == SPURIOUS && {
        MASTER_COMMAND.write(READ_IN_SERVICE);
        MASTER_COMMAND.read() & 1 << SPURIOUS == 0
    }
}

/// Tells the first controller that its interrupt has been handled.
pub fn end_of_interrupt() {
    MASTER_COMMAND.write(END_OF_INTERRUPT);
}
