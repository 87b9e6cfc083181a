//! The two real interrupt controllers: only the timer's line is open.
//!
//! # Safety
//!
//! The ports belong to the controllers, which raise interrupts; every vector has a gate.
#![allow(unsafe_code)]

use vmi_hypervisor::layout::REAL_INTERRUPTS;

use crate::port::Port;

// SAFETY: a register of the first controller.
const MASTER_COMMAND: Port = unsafe { Port::new(0x20) };
// SAFETY: a register of the first controller.
const MASTER_DATA: Port = unsafe { Port::new(0x21) };
// SAFETY: a register of the second controller.
const SLAVE_COMMAND: Port = unsafe { Port::new(0xA0) };
// SAFETY: a register of the second controller.
const SLAVE_DATA: Port = unsafe { Port::new(0xA1) };

/// The line of the timer.
pub const TIMER: u8 = 0;
/// The line on which the second controller hangs.
const CASCADE: u8 = 2;

/// ICW1: edge-triggered, cascaded, ICW4 follows.
const INITIALIZE: u8 = 0x11;
/// ICW4: 8086 mode, ordinary end of interrupt.
const MODE_8086: u8 = 0x01;
/// OCW2: end of the interrupt of highest priority in service.
const END_OF_INTERRUPT: u8 = 0x20;

/// Gives the controllers their vectors and masks all lines but the timer's.
pub fn initialize() {
    MASTER_COMMAND.write(INITIALIZE);
    SLAVE_COMMAND.write(INITIALIZE);
    MASTER_DATA.write(REAL_INTERRUPTS);
    SLAVE_DATA.write(REAL_INTERRUPTS + 8);
    MASTER_DATA.write(1 << CASCADE);
    SLAVE_DATA.write(CASCADE);
    MASTER_DATA.write(MODE_8086);
    SLAVE_DATA.write(MODE_8086);
    MASTER_DATA.write(!(1 << TIMER));
    SLAVE_DATA.write(!0);
}

/// Tells the first controller that its interrupt has been handled.
pub fn end_of_interrupt() {
    MASTER_COMMAND.write(END_OF_INTERRUPT);
}
