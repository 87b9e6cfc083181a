//! The CMOS clock, read by the kernel.
//!
//! # Safety
//!
//! The ports belong to the clock; the registers that are named tell the time.
#![allow(unsafe_code)]

use crate::port::Port;

// SAFETY: selects a register of the clock.
const INDEX: Port = unsafe { Port::new(0x70) };
// SAFETY: reads the register.
const DATA: Port = unsafe { Port::new(0x71) };

/// Date and time, in the clock's own digits, so that a later reading is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// Year, month and day, from bit 16 down.
    pub date: u32,
    /// Hours, minutes and seconds, from bit 16 down.
    pub time: u32,
}

/// What the clock shows, read until two readings agree. Nobody else may use the clock's ports meanwhile.
pub fn read() -> Reading {
    let mut last = read_once();
    loop {
        let next = read_once();
        if next == last {
            return next;
        }
        last = next;
    }
}

fn read_once() -> Reading {
    let registers = |numbers: [u8; 3]| {
        numbers.into_iter().fold(0, |word, number| {
            INDEX.write(number);
            word << 8 | u32::from(DATA.read())
        })
    };
    Reading { date: registers([9, 8, 7]), time: registers([4, 2, 0]) }
}
