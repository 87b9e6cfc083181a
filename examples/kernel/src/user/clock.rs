//! A program that reads the CMOS clock register by register, and again until two readings agree.
//!
//! # Safety
//!
//! The assembly is a program for ring 3.
#![allow(unsafe_code)]

use super::{Entry, Outcome, run as run_program};

/// How often it reads the clock.
pub const READINGS: u32 = 200;
/// How many instructions it waits between two registers, so that ticks come between them.
const PAUSE: u32 = 5_000;

/// What an answer is, by index.
pub mod answer {
    /// The last date and time, as [`Reading`](crate::cmos::Reading) has them.
    pub const DATE: usize = 0;
    pub const TIME: usize = 1;
    /// How many readings disagreed with the one before.
    pub const DISAGREED: usize = 2;
    /// How many readings were earlier than the one before.
    pub const BACKWARDS: usize = 3;
    /// Ticks that passed meanwhile.
    pub const TICKS: usize = 4;
}

unsafe extern "C" {
    static user_clock: u8;
}

user_program!(
    r#"
    # Appends a register of the clock to ECX.
    .macro READ_REGISTER register
    mov eax, {pause} / 2
2:  dec eax
    jnz 2b
    mov al, \register
    out 0x70, al
    in al, 0x71
    shl ecx, 8
    mov cl, al
    .endm

    .globl user_clock
user_clock:
    CALL_IOPL 3
    CALL_TICKS
    push eax
    # backwards, disagreed, last time, last date, readings left
    push 0
    push 0
    push 0
    push 0
    push {readings}
3:  call read_clock
4:  mov esi, ecx
    mov edi, edx
    call read_clock
    cmp ecx, esi
    jne 5f
    cmp edx, edi
    je 6f
5:  inc dword ptr [esp + 12]
    jmp 4b
6:  cmp edx, [esp + 4]
    ja 7f
    jb 8f
    cmp ecx, [esp + 8]
    jae 7f
8:  inc dword ptr [esp + 16]
7:  mov [esp + 4], edx
    mov [esp + 8], ecx
    dec dword ptr [esp]
    jnz 3b
    pop eax
    POP_REPORT {date}
    POP_REPORT {time}
    POP_REPORT {disagreed}
    POP_REPORT {backwards}
    CALL_TICKS
    sub eax, [esp]
    mov [esp], eax
    POP_REPORT {answer_ticks}
    CALL_EXIT

# the time to ECX, the date to EDX
read_clock:
    xor ecx, ecx
    READ_REGISTER 9
    READ_REGISTER 8
    READ_REGISTER 7
    mov edx, ecx
    xor ecx, ecx
    READ_REGISTER 4
    READ_REGISTER 2
    READ_REGISTER 0
    ret
"#,
    date = const answer::DATE,
    time = const answer::TIME,
    disagreed = const answer::DISAGREED,
    backwards = const answer::BACKWARDS,
    answer_ticks = const answer::TICKS,
    readings = const READINGS,
    pause = const PAUSE,
);

/// Runs the program.
pub fn run() -> Outcome {
    run_program(Entry::Iret, &raw const user_clock)
}
