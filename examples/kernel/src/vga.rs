//! The video hardware: the kernel moves the cursor at each tick, unless it has handed the hardware over.
//!
//! A register of the VGA's controller is reached in two steps, index and data. Whoever is interrupted between
//! them by somebody who does the same goes on with the wrong register.
//!
//! # Safety
//!
//! The ports belong to the VGA, which shows what it shows and touches no memory.
#![allow(unsafe_code)]

use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::port::Port;

/// The ports of a VGA with a colour screen.
pub const PORTS: RangeInclusive<u16> = 0x3C0..=0x3DF;

// SAFETY: a register of the VGA.
const INDEX: Port = unsafe { Port::new(0x3D4) };
// SAFETY: a register of the VGA.
const DATA: Port = unsafe { Port::new(0x3D5) };
// SAFETY: a register of the VGA; reading it makes the attribute controller expect an index.
const STATUS: Port = unsafe { Port::new(0x3DA) };

/// STATUS: the beam returns to the top.
const RETRACE: u8 = 1 << 3;
/// How often the retrace is looked for: for longer than the screen takes to be drawn.
const LOOKS: u32 = 100_000;

/// Index: the low half of the cursor's place.
const CURSOR_LOW: u8 = 0x0F;

/// Whether the kernel moves the cursor at each tick.
static CURSOR_MOVES: AtomicBool = AtomicBool::new(false);
/// Whether a program has the hardware.
static HANDED_OVER: AtomicBool = AtomicBool::new(false);
/// How often the kernel moved the cursor, and how often it did not because the hardware was handed over.
static MOVES: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// Whether there is a VGA: a register keeps what is written to it.
pub fn is_present() -> bool {
    let holds = |value| {
        INDEX.write(CURSOR_LOW);
        DATA.write(value);
        DATA.read() == value
    };
    holds(0x55) && holds(0x2A)
}

/// Whether there is a screen whose beam returns: the status register changes, but not at each look. (An emulator
/// may change it at each look, to content programs that wait for that.)
pub fn has_retrace() -> bool {
    let mut last = STATUS.read() & RETRACE;
    let mut changes = 0;
    for _ in 0..LOOKS {
        for turn in 0..100 {
            core::hint::black_box(turn);
        }
        let now = STATUS.read() & RETRACE;
        changes += u32::from(now != last);
        last = now;
    }
    (1..LOOKS / 100).contains(&changes)
}

/// Makes the kernel move the cursor at each tick, or no longer. Counts from 0.
pub fn move_cursor(moves: bool) {
    for count in &MOVES {
        count.store(0, Relaxed);
    }
    CURSOR_MOVES.store(moves, Relaxed);
}

/// How often the kernel has moved the cursor, and how often it kept away from it.
pub fn moves() -> [u32; 2] {
    MOVES.each_ref().map(|count| count.load(Relaxed))
}

/// Moves the cursor, if that is wanted and the hardware is the kernel's.
pub fn on_tick(count: u32) {
    if !CURSOR_MOVES.load(Relaxed) {
        return;
    }
    let handed_over = HANDED_OVER.load(Relaxed);
    MOVES[usize::from(handed_over)].fetch_add(1, Relaxed);
    if !handed_over {
        INDEX.write(CURSOR_LOW);
        DATA.write(count as u8);
    }
}

/// Gives the hardware to a program; `false` if one has it already.
pub fn hand_over() -> bool {
    !HANDED_OVER.swap(true, Relaxed)
}

/// Takes the hardware back; `false` if no program has it.
pub fn give_back() -> bool {
    HANDED_OVER.swap(false, Relaxed)
}
