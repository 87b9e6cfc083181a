//! The program that started it all: `iopl(3)`, then again and again `cli`, a long loop, `sti`, sleep.
//!
//! It masks interrupts, as it believes, for longer than a kernel should allow. Nothing in it is changed for
//! the sake of the kernel, but that it comes to an end: the kernel counts by itself which ticks interrupted
//! the loop.
//!
//! # Safety
//!
//! The assembly is a program for ring 3.
#![allow(unsafe_code)]

use core::ops::Range;

use super::{Entry, Outcome, run as run_program};

/// How often it masks interrupts.
pub const ROUNDS: u32 = 20;
/// How many instructions its loop has.
const INSTRUCTIONS: u32 = 1_000_000;
/// How many ticks it sleeps.
const TICKS: u32 = 3;

unsafe extern "C" {
    static user_mail: u8;
    static user_mail_masked: u8;
    static user_mail_unmasked: u8;
}

user_program!(
    r#"
    .globl user_mail, user_mail_masked, user_mail_unmasked
user_mail:
    CALL_IOPL 3
    test eax, eax
    jnz 4f
    mov esi, {rounds}
2:  cli
user_mail_masked:
    mov ecx, {instructions} / 2
3:  dec ecx
    jnz 3b
    sti
user_mail_unmasked:
    CALL_SLEEP {asleep}
    dec esi
    jnz 2b
4:  mov ecx, {rounds}
    sub ecx, esi
    CALL_REPORT 0
    CALL_EXIT
"#,
    rounds = const ROUNDS,
    instructions = const INSTRUCTIONS,
    asleep = const TICKS,
);

/// The addresses at which the program takes interrupts to be masked.
pub fn masked() -> Range<u32> {
    &raw const user_mail_masked as u32..&raw const user_mail_unmasked as u32
}

/// Runs the program; its answer is the number of rounds that it made. The timer has to tick.
pub fn run() -> Outcome {
    run_program(Entry::Iret, &raw const user_mail)
}
