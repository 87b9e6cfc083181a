//! A program with ports that nests masked sections as kernels do: `pushf; cli`, and `popf` at the end. It
//! shows EFLAGS at each step.
//!
//! # Safety
//!
//! The assembly is a program for ring 3.
#![allow(unsafe_code)]

use core::ops::Range;

use super::{Entry, Outcome, run as run_program};

/// What the program does before each of its answers.
pub const STEPS: [&str; 7] = [
    "before",
    "in the outer section",
    "in the inner section",
    "behind the inner section",
    "behind the outer section",
    "after popf with IF = 0",
    "after popf with IF = 1",
];

/// How many instructions it loops inside the sections.
const INSTRUCTIONS: u32 = 1_000_000;

unsafe extern "C" {
    static user_nested: u8;
    static user_nested_masked: u8;
    static user_nested_unmasked: u8;
}

user_program!(
    r#"
    .macro SHOW_FLAGS index
    pushfd
    pop ecx
    CALL_REPORT \index
    .endm
    .macro POP_FLAGS flag
    pushfd
    and dword ptr [esp], ~0x200
    or dword ptr [esp], \flag
    popfd
    .endm

    .globl user_nested, user_nested_masked, user_nested_unmasked
user_nested:
    CALL_IOPL 3
    SHOW_FLAGS 0
    pushfd
    cli
user_nested_masked:
    SHOW_FLAGS 1
    pushfd
    cli
    mov ecx, {instructions} / 2
2:  dec ecx
    jnz 2b
    SHOW_FLAGS 2
    popfd
    SHOW_FLAGS 3
    popfd
user_nested_unmasked:
    SHOW_FLAGS 4
    POP_FLAGS 0
    SHOW_FLAGS 5
    POP_FLAGS 0x200
    SHOW_FLAGS 6
    CALL_EXIT
"#,
    instructions = const INSTRUCTIONS,
);

/// The addresses at which the program takes interrupts to be masked.
pub fn masked() -> Range<u32> {
    &raw const user_nested_masked as u32..&raw const user_nested_unmasked as u32
}

/// Runs the program; its answers are EFLAGS at each of [`STEPS`].
pub fn run() -> Outcome {
    run_program(Entry::Iret, &raw const user_nested)
}
