//! A program that measures how long the screen takes to be drawn: the time from one vertical retrace to the
//! next.
//!
//! An interrupt in between makes it see a retrace late, or miss one. So instead of masking interrupts the
//! program measures several times, keeps for each measurement the longest time between two looks at the VGA,
//! and takes the measurement for which that is the shortest.
//!
//! # Safety
//!
//! The assembly is a program for ring 3.
#![allow(unsafe_code)]

use super::{Entry, Outcome, run as run_program};

/// How often it measures.
pub const MEASUREMENTS: u32 = 12;
/// How many instructions it waits between two looks.
const PAUSE: u32 = 400;
/// How often it looks before it gives up.
const PATIENCE: u32 = 1_000_000;

/// What an answer is, by index; times are in cycles.
pub mod answer {
    /// The longest time between two looks of the best measurement.
    pub const BEST_GAP: usize = 0;
    /// The best measurement.
    pub const BEST: usize = 1;
    /// The shortest of all measurements.
    pub const SHORTEST: usize = 2;
    /// The longest of all measurements.
    pub const LONGEST: usize = 3;
    /// Ticks that passed meanwhile.
    pub const TICKS: usize = 4;
}

unsafe extern "C" {
    static user_dot_clock: u8;
}

user_program!(
    r#"
    # Looks as long as the retrace bit is set (jnz) or clear (jz). EDI = time of the last look, EBP = the
    # longest time between two.
    .macro LOOK_WHILE jump
2:  mov ecx, {pause} / 2
3:  dec ecx
    jnz 3b
    dec dword ptr [esp + 4]
    jz 9f
    mov edx, 0x3da
    in al, dx
    movzx ebx, al
    rdtsc
    mov ecx, eax
    sub ecx, edi
    mov edi, eax
    cmp ecx, ebp
    jbe 4f
    mov ebp, ecx
4:  test bl, 8
    \jump 2b
    .endm

    .globl user_dot_clock
user_dot_clock:
    CALL_VIDEO 1
    CALL_TICKS
    push eax
    # longest, shortest, best and the longest time between two looks of that, looks left, measurements left
    push 0
    push -1
    push 0
    push -1
    push {patience}
    push {measurements}
    # the start of a retrace
    rdtsc
    mov edi, eax
    LOOK_WHILE jnz
    LOOK_WHILE jz
5:  mov esi, edi
    xor ebp, ebp
    LOOK_WHILE jnz
    LOOK_WHILE jz
    mov eax, edi
    sub eax, esi
    cmp ebp, [esp + 8]
    jae 6f
    mov [esp + 8], ebp
    mov [esp + 12], eax
6:  cmp eax, [esp + 16]
    jae 7f
    mov [esp + 16], eax
7:  cmp eax, [esp + 20]
    jbe 8f
    mov [esp + 20], eax
8:  dec dword ptr [esp]
    jnz 5b
9:  add esp, 8
    POP_REPORT {best_gap}
    POP_REPORT {best}
    POP_REPORT {shortest}
    POP_REPORT {longest}
    CALL_TICKS
    sub eax, [esp]
    mov [esp], eax
    POP_REPORT {answer_ticks}
    CALL_VIDEO 0
    CALL_EXIT
"#,
    best_gap = const answer::BEST_GAP,
    best = const answer::BEST,
    shortest = const answer::SHORTEST,
    longest = const answer::LONGEST,
    answer_ticks = const answer::TICKS,
    pause = const PAUSE,
    patience = const PATIENCE,
    measurements = const MEASUREMENTS,
);

/// Runs the program.
pub fn run() -> Outcome {
    run_program(Entry::Iret, &raw const user_dot_clock)
}
