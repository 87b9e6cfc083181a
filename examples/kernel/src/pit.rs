//! Channel 0 of the 8254 interval timer, the source of ticks.
//!
//! It counts down at 1,193,182 Hz, independent of whether anybody takes its interrupts.
//!
//! # Safety
//!
//! The ports belong to the timer, which only raises interrupt line 0.
#![allow(unsafe_code)]

use crate::port::Port;

// SAFETY: a register of the timer.
const CHANNEL_0: Port = unsafe { Port::new(0x40) };
// SAFETY: a register of the timer.
const CONTROL: Port = unsafe { Port::new(0x43) };

/// Control word: channel 0, both bytes, mode 0 (one interrupt at the end of the count).
const ONE_SHOT: u8 = 0x30;
/// Control word: channel 0, both bytes, mode 2 (an interrupt per count).
const RATE_GENERATOR: u8 = 0x34;

/// About 20,000 ticks a second: 50 microseconds each.
pub const FAST: u16 = 60;
/// About 1,000 ticks a second.
pub const SLOW: u16 = 1193;

/// Ticks every `count` cycles of the timer.
pub fn periodic(count: u16) {
    load(RATE_GENERATOR, count);
}

/// Ticks once, after `count` cycles of the timer.
pub fn one_shot(count: u16) {
    load(ONE_SHOT, count);
}

/// Stops ticking, for the 55 milliseconds that the longest count lasts.
pub fn quiet() {
    load(ONE_SHOT, 0);
}

fn load(control: u8, count: u16) {
    let [low, high] = count.to_le_bytes();
    CONTROL.write(control);
    CHANNEL_0.write(low);
    CHANNEL_0.write(high);
}
