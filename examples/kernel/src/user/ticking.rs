//! A program that waits for ticks: it looks at EFLAGS, loops until some have come, and looks again.
//!
//! # Safety
//!
//! The assembly is a program for ring 3.
#![allow(unsafe_code)]

use super::{Entry, run as run_program};

/// How many ticks the program waits for.
pub const TICKS_WANTED: u32 = 20;
/// How often the program looks before it gives up.
const PATIENCE: u32 = 20_000;

/// What the program saw.
#[derive(Debug)]
pub struct Answers {
    /// EFLAGS before its loop.
    pub flags_at_start: u32,
    /// Ticks that it saw pass during its loop.
    pub ticks_in_loop: u32,
    /// EFLAGS after its loop.
    pub flags_at_end: u32,
}

unsafe extern "C" {
    static user_ticking: u8;
}

user_program!(
    r#"
    .globl user_ticking
user_ticking:
    pushfd
    pop ecx
    CALL_REPORT 0

    # loop without a system call for a while, then look at the ticks
    CALL_TICKS
    mov esi, eax
    mov edi, {patience}
2:  mov ecx, 1000
3:  dec ecx
    jnz 3b
    CALL_TICKS
    sub eax, esi
    cmp eax, {ticks_wanted}
    jae 4f
    dec edi
    jnz 2b

4:  mov ecx, eax
    CALL_REPORT 1
    pushfd
    pop ecx
    CALL_REPORT 2
    CALL_EXIT
"#,
    ticks_wanted = const TICKS_WANTED,
    patience = const PATIENCE,
);

/// Runs the program to its end; interrupts are masked before and after.
///
/// # Panics
///
/// If interrupts are enabled, or the program raises an exception.
pub fn run(entry: Entry) -> Answers {
    let outcome = run_program(entry, &raw const user_ticking);
    if let Some(fault) = outcome.fault {
        panic!("the program in ring 3 raised {fault:?}");
    }
    let [flags_at_start, ticks_in_loop, flags_at_end, ..] = outcome.answers;
    Answers { flags_at_start, ticks_in_loop, flags_at_end }
}
