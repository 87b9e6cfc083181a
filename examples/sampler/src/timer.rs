//! Channel 0 of the 8254 interval timer, which raises an interrupt in each period.
//!
//! It counts down from its period to 1, at 1,193,182 Hz, and interrupts when it begins anew: so the count says how
//! long ago the last interrupt became due. Source: Intel's data sheet 231164, "Counter Latch Command" and "Mode 2".
//!
//! The count comes out in two bytes, behind a command that keeps it until both have been read. A handler that reads
//! it too, in the middle of that, takes a byte that is not its own.
//!
//! # Safety
//!
//! The ports are the timer's, which is the caller's; it raises interrupts and does nothing else.
#![allow(unsafe_code)]

use paravirt_vmi::port;

/// The count.
const CHANNEL_0: u16 = 0x40;
/// The control word.
const CONTROL: u16 = 0x43;
/// Channel 0, both bytes, mode 2: an interrupt in each period.
const RATE_GENERATOR: u8 = 0x34;
/// Channel 0: keep the count until it has been read.
const LATCH: u8 = 0x00;

/// The time from one interrupt to the next, in counts of the timer: 1,193,182 a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(u16);

impl Period {
    /// A period of so many counts; `None` below 2, at which the timer does not run.
    pub const fn new(counts: u16) -> Option<Self> {
        if counts < 2 { None } else { Some(Self(counts)) }
    }

    /// How many counts it lasts.
    pub const fn counts(self) -> u16 {
        self.0
    }

    /// How many counts ago the period began, at the end of which the timer stands at `count`.
    ///
    /// `None` for a count that the timer cannot stand at.
    pub const fn elapsed(self, count: u16) -> Option<u16> {
        match self.0.checked_sub(count) {
            Some(elapsed) if count > 0 => Some(elapsed),
            _ => None,
        }
    }
}

/// Makes the timer interrupt in each period from now on.
///
/// # Safety
///
/// The timer is the caller's, and interrupts are masked.
pub unsafe fn start(period: Period) {
    let [low, high] = period.0.to_le_bytes();
    for (port, value) in [(CONTROL, RATE_GENERATOR), (CHANNEL_0, low), (CHANNEL_0, high)] {
        // SAFETY: the timer is the caller's, and nobody comes in between.
        unsafe { port::outb(port, value) };
    }
}

/// Where the timer stands.
///
/// # Safety
///
/// The timer is the caller's, and interrupts are masked.
pub unsafe fn count() -> u16 {
    // SAFETY: the timer is the caller's.
    unsafe { port::outb(CONTROL, LATCH) };
    // SAFETY: both bytes are read, and nobody comes in between.
    let [low, high] = [(); 2].map(|()| unsafe { port::inb(CHANNEL_0) });
    u16::from_le_bytes([low, high])
}
