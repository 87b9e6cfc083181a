//! A program that waits for ticks: it looks at EFLAGS, loops until some have come, and looks again.
//!
//! # Safety
//!
//! The assembly is a program for ring 3.
#![allow(unsafe_code)]

use core::arch::global_asm;

use super::call::{EXIT, REPORT, TICKS};
use super::{Entry, run as run_program};
use crate::traps::SYSTEM_CALL;

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

global_asm!(
    r#"
    .section .user.text, "ax", @progbits
    .globl user_ticking
user_ticking:
    pushfd
    pop ecx
    mov ebx, 0
    mov eax, {report}
    int {system_call}

    # loop without a system call for a while, then look at the ticks
    mov eax, {ticks}
    int {system_call}
    mov esi, eax
    mov edi, {patience}
2:  mov ecx, 1000
3:  dec ecx
    jnz 3b
    mov eax, {ticks}
    int {system_call}
    sub eax, esi
    cmp eax, {ticks_wanted}
    jae 4f
    dec edi
    jnz 2b

4:  mov ecx, eax
    mov ebx, 1
    mov eax, {report}
    int {system_call}
    pushfd
    pop ecx
    mov ebx, 2
    mov eax, {report}
    int {system_call}
    mov eax, {exit}
    int {system_call}
    .text
"#,
    system_call = const SYSTEM_CALL,
    ticks = const TICKS,
    report = const REPORT,
    exit = const EXIT,
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
