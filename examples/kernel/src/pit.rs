//! The 8254 interval timer: channel 0 is the source of ticks, channel 2 measures waiting.
//!
//! It counts down at 1,193,182 Hz, independent of whether anybody takes its interrupts.
//!
//! # Safety
//!
//! The ports belong to the timer, which only raises interrupt line 0, and to the speaker, which is silent.
#![allow(unsafe_code)]

use core::time::Duration;

use paravirt_vmi::descriptor::kernel_ring;

use crate::port::Port;

// SAFETY: a register of the timer.
const CHANNEL_0: Port = unsafe { Port::new(0x40) };
// SAFETY: a register of the timer.
const CONTROL: Port = unsafe { Port::new(0x43) };

// SAFETY: a register of the timer.
const CHANNEL_2: Port = unsafe { Port::new(0x42) };
// SAFETY: the gate and the output of channel 2, and the speaker.
const SPEAKER: Port = unsafe { Port::new(0x61) };

/// Control word: channel 2, both bytes, mode 0.
const MEASURE: u8 = 0xB0;
/// SPEAKER: channel 2 counts; the speaker does not listen.
const GATE: u8 = 1;
/// SPEAKER: the output of channel 2.
const OUTPUT: u8 = 1 << 5;
/// Cycles a second.
const FREQUENCY: u64 = 1_193_182;

/// Control word: channel 0, both bytes, mode 0 (one interrupt at the end of the count).
const ONE_SHOT: u8 = 0x30;
/// Control word: channel 0, both bytes, mode 2 (an interrupt per count).
const RATE_GENERATOR: u8 = 0x34;

/// As many ticks as leave time for something else: about 20,000 a second in ring 0, and 5,000 where some
/// instructions of each tick trap.
pub fn fast() -> u16 {
    if kernel_ring() == 0 { 60 } else { 240 }
}

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

/// Waits for at least `duration`, without an interrupt.
pub fn wait(duration: Duration) {
    let fraction = u64::from(duration.subsec_nanos()) * FREQUENCY / 1_000_000_000;
    let mut cycles = duration.as_secs().saturating_mul(FREQUENCY).saturating_add(fraction + 1);
    while cycles > 0 {
        let count = cycles.min(u16::MAX.into()) as u16;
        let [low, high] = count.to_le_bytes();
        SPEAKER.write(GATE);
        CONTROL.write(MEASURE);
        CHANNEL_2.write(low);
        CHANNEL_2.write(high);
        while SPEAKER.read() & OUTPUT == 0 {
            // In an emulator `pause` lets the other processors run, which takes time, and looking does too.
            core::hint::spin_loop();
            for turn in 0..1000 {
                core::hint::black_box(turn);
            }
        }
        cycles -= u64::from(count);
    }
}
