//! The machine's clock, read once at the start.
//!
//! # Safety
//!
//! Reading the clock changes nothing but the register that is selected.
#![allow(unsafe_code)]

use crate::port::Port;

// SAFETY: selects a register of the clock; bit 7 would keep an NMI away.
const SELECT: Port = unsafe { Port::new(0x70) };
// SAFETY: the register selected.
const DATA: Port = unsafe { Port::new(0x71) };

const STATUS_A: u8 = 0x0A;
const STATUS_B: u8 = 0x0B;
/// STATUS_A: the time is changing.
const UPDATING: u8 = 0x80;
/// STATUS_B: numbers are binary.
const BINARY: u8 = 0x04;
/// STATUS_B: hours go up to 23.
const HOURS_24: u8 = 0x02;
/// The hours, if they only go up to 12: afternoon.
const AFTERNOON: u8 = 0x80;

fn register(number: u8) -> u8 {
    SELECT.write(number);
    DATA.read()
}

/// Second, minute, hour, day, month and year, as they are in the registers.
fn reading() -> [u8; 6] {
    while register(STATUS_A) & UPDATING != 0 {}
    [0, 2, 4, 7, 8, 9].map(register)
}

/// Nanoseconds since 1970, to the second.
pub fn nanoseconds() -> u64 {
    let mut registers = reading();
    loop {
        let again = reading();
        if again == registers {
            break;
        }
        registers = again;
    }
    let status = register(STATUS_B);
    let number =
        |value: u8| u64::from(if status & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 0xF) });
    let [second, minute, hour, day, month, year] = registers;
    let mut hours = number(hour & !AFTERNOON);
    if status & HOURS_24 == 0 {
        hours = hours % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 };
    }
    let seconds = days(2000 + number(year), number(month), number(day)) * 86_400
        + hours * 3600
        + number(minute) * 60
        + number(second);
    seconds * 1_000_000_000
}

/// Days from the start of 1970 to a day of this century. A year is taken to begin in March, so that the leap
/// day is its last; 1 March 1996 was day 9,556, and every fourth year since has had one.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let years = year - 1996;
    9_556 + years * 365 + years / 4 + (153 * month + 2) / 5 + day - 1
}
