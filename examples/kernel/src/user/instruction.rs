//! Programs of one instruction each: what it does in ring 3.
//!
//! # Safety
//!
//! The assembly is a program for ring 3.
#![allow(unsafe_code)]

use super::Outcome;

/// The port that the programs use: the mask of the second interrupt controller, all of whose lines are masked.
pub const PORT: u16 = 0xA1;
/// What the program writes to it.
pub const VALUE: u8 = 0xA5;

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// `cli`.
    Cli,
    /// `sti`; before it, the program clears IF by `popf`, if that can.
    Sti,
    /// `popf`, with IF clear.
    Popf,
    /// `in` from [`PORT`].
    In,
    /// `out` of [`VALUE`] to [`PORT`].
    Out,
}

unsafe extern "C" {
    static user_cli: u8;
    static user_cli_itself: u8;
    static user_sti: u8;
    static user_sti_itself: u8;
    static user_popf: u8;
    static user_in: u8;
    static user_out: u8;
}

user_program!(
    r#"
    .macro CLEAR_IF
    pushfd
    and dword ptr [esp], ~0x200
    popfd
    .endm
    # EFLAGS to ESI, the instruction, EFLAGS to EDI
    .macro PROGRAM instruction, label
    pushfd
    pop esi
\label:
    \instruction
    pushfd
    pop edi
    jmp user_report
    .endm

    .globl user_cli, user_cli_itself, user_sti, user_sti_itself, user_popf, user_in, user_out
user_cli:
    PROGRAM cli, user_cli_itself
user_sti:
    CLEAR_IF
    PROGRAM sti, user_sti_itself
user_popf:
    PROGRAM CLEAR_IF, user_popf_itself
user_in:
    xor eax, eax
    PROGRAM "in al, {port}", user_in_itself
user_out:
    mov al, {value}
    PROGRAM "out {port}, al", user_out_itself

user_report:
    movzx ecx, al
    CALL_REPORT 2
    mov ecx, esi
    CALL_REPORT 0
    mov ecx, edi
    CALL_REPORT 1
    CALL_EXIT
"#,
    port = const PORT,
    value = const VALUE,
);

impl Instruction {
    /// The program that shows it.
    pub fn program(self) -> *const u8 {
        match self {
            Self::Cli => &raw const user_cli,
            Self::Sti => &raw const user_sti,
            Self::Popf => &raw const user_popf,
            Self::In => &raw const user_in,
            Self::Out => &raw const user_out,
        }
    }

    /// Where `cli` or `sti` itself lies in its program.
    pub fn address(self) -> Option<u32> {
        match self {
            Self::Cli => Some(&raw const user_cli_itself as u32),
            Self::Sti => Some(&raw const user_sti_itself as u32),
            _ => None,
        }
    }
}

/// EFLAGS before and behind the instruction, and AL behind it, of a program that ended by itself.
pub fn answers(outcome: &Outcome) -> (u32, u32, u8) {
    let [before, behind, al, ..] = outcome.answers;
    (before, behind, al as u8)
}
