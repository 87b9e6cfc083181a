//! A program that writes a register of the VGA in two steps, index and data, with a pause between them.
//!
//! # Safety
//!
//! The assembly is a program for ring 3.
#![allow(unsafe_code)]

use super::{Entry, Outcome, run as run_program};

/// How often it writes the register.
pub const ROUNDS: u32 = 20;
/// How many instructions it pauses between index and data; longer than from tick to tick.
const PAUSE: u32 = 250_000;

/// By what right the program uses the VGA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// None.
    None,
    /// It may use every port, and the kernel uses the VGA as well.
    Ports,
    /// The kernel has handed the VGA over.
    HandOver,
}

/// What an answer is, by index.
pub mod answer {
    /// How often the register did not hold what was written.
    pub const RACED: usize = 0;
    /// Ticks that passed between taking the hardware and giving it back.
    pub const TICKS: usize = 1;
    /// What the calls for the hardware returned, added up: 0 if none was refused.
    pub const CALLS: usize = 2;
}

unsafe extern "C" {
    static user_video: u8;
    static user_video_ports: u8;
    static user_video_hand_over: u8;
}

user_program!(
    r#"
    .macro PAUSE_PROGRAM
    mov ecx, {pause} / 2
2:  dec ecx
    jnz 2b
    .endm

    .globl user_video, user_video_ports, user_video_hand_over
user_video_ports:
    CALL_IOPL 3
    jmp user_video
user_video_hand_over:
    CALL_VIDEO 1
    push eax
    call write_register
    CALL_VIDEO 0
    pop ecx
    or ecx, eax
    CALL_REPORT {answer_calls}
    CALL_EXIT
user_video:
    call write_register
    CALL_EXIT

# writes the upper half of the cursor's place, which is register E, and reads it back
write_register:
    CALL_TICKS
    push eax
    xor edi, edi
    mov esi, {rounds}
3:  mov dx, 0x3d4
    mov al, 0x0e
    out dx, al
    PAUSE_PROGRAM
    mov dx, 0x3d5
    mov eax, esi
    out dx, al
    PAUSE_PROGRAM
    in al, dx
    movzx eax, al
    cmp eax, esi
    je 4f
    inc edi
4:  dec esi
    jnz 3b
    mov ecx, edi
    CALL_REPORT {answer_raced}
    CALL_TICKS
    pop ecx
    sub eax, ecx
    mov ecx, eax
    CALL_REPORT {answer_ticks}
    ret
"#,
    answer_raced = const answer::RACED,
    answer_ticks = const answer::TICKS,
    answer_calls = const answer::CALLS,
    rounds = const ROUNDS,
    pause = const PAUSE,
);

/// Runs the program.
pub fn run(right: Right) -> Outcome {
    let program = match right {
        Right::None => &raw const user_video,
        Right::Ports => &raw const user_video_ports,
        Right::HandOver => &raw const user_video_hand_over,
    };
    run_program(Entry::Iret, program)
}
