//! The first instructions: a multiboot1 header, a stack, and the way into Rust.
//!
//! The loader leaves flat segments, paging off and interrupts masked, EAX = 2BADB002 and EBX = address
//! of its information structure. Source: Multiboot Specification 0.6.96, sections 3.1 and 3.2.
//!
//! # Safety
//!
//! The assembly below is all that runs before Rust has a stack.
#![allow(unsafe_code)]

use core::arch::global_asm;

/// What EAX holds at entry if a multiboot1 loader started the hypervisor.
pub const BOOTLOADER_MAGIC: u32 = 0x2BAD_B002;

unsafe extern "C" {
    static hypervisor_start: u8;
    static read_only_end: u8;
    static hypervisor_end: u8;
}

/// The address of the hypervisor's first byte.
pub fn start() -> u32 {
    &raw const hypervisor_start as u32
}

/// The end of its code and constants.
pub fn end_of_constants() -> u32 {
    &raw const read_only_end as u32
}

/// The end of all its memory.
pub fn end() -> u32 {
    &raw const hypervisor_end as u32
}

global_asm!(
    r#"
    .section .multiboot, "a", @progbits
    .set MULTIBOOT_MAGIC, 0x1BADB002
    # modules on page boundaries, memory sizes in the information structure
    .set MULTIBOOT_FLAGS, 0x3
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .globl multiboot_entry
multiboot_entry:
    mov esp, offset boot_stack_top
    xor ebp, ebp
    cld
    # two arguments and 8 bytes, so that the stack is aligned to 16 at the call
    sub esp, 8
    push ebx
    push eax
    call hypervisor_main

    .section .bss.boot_stack, "aw", @nobits
    .balign 16
    .skip 65536
boot_stack_top:

    .text
"#
);
