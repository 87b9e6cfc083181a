//! The ROM's own address space, in which it reaches the local APIC.
//!
//! Only the guest knows where it has mapped the APIC, and a bare register offset does not tell. So the
//! ROM has page tables of its own, which the initialisation in [`crate::startup`] builds before the image
//! becomes read-only: every 4 MiB of linear addresses (2 MiB with PAE) are the first 4 MiB of memory, and
//! FEC00000-FEFFFFFF (FEE00000-FEFFFFFF with PAE, and the same in each GiB) are what is there, the APIC.
//! The code stays where it is while CR3 changes if its alias differs from its physical address by a
//! multiple of 4 MiB, and does not lie in that range. There is no stack meanwhile, and interrupts are
//! off; an NMI would find no handler.
//!
//! The fallback, at any other alias and on firmware that has not run the initialisation: the guest has
//! to map the APIC at its physical address. The address is the APIC's power-on one, FEE00000.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use core::arch::global_asm;

/// Physical address of the local APIC, after reset.
pub const APIC: u32 = 0xFEE0_0000;

// rom_private_apic: EAX = register offset, EDX = value, ECX = 1 to write and 0 to read; EAX = value read.
// ECX and EDX are changed, flags too; everything else is kept.
//
// Global translations would hide the private tables, so CR4.PGE is off; CR4.PSE means nothing with PAE.
global_asm!(
    ".pushsection .rom.text, \"ax\", @progbits",
    ".balign 16, 0xCC",
    ".globl rom_private_apic",
    ".type rom_private_apic, @function",
    "rom_private_apic:",
    "pushfl",
    "pushl %ebx",
    "pushl %esi",
    "pushl %edi",
    "cli",
    "andl $0xFFF, %eax",
    "addl ${apic}, %eax",
    "pushl %eax",
    "call rom_alias",
    "popl %eax",
    "jnc 5f",
    "call 2f",
    "2: popl %ebx",
    "movl rom_page_directory - 2b(%ebx), %esi",
    "movl %cr4, %edi",
    "testl $0x20, %edi",
    "jz 3f",
    "movl rom_pointer_table - 2b(%ebx), %esi",
    "3: movl %edi, %ebx",
    "andl $~0x80, %ebx",
    "orl $0x10, %ebx",
    "movl %ebx, %cr4",
    "movl %cr3, %ebx",
    "movl %esi, %cr3",
    "testl %ecx, %ecx",
    "jz 3f",
    "movl %edx, (%eax)",
    "jmp 4f",
    "3: movl (%eax), %eax",
    "4: movl %ebx, %cr3",
    "movl %edi, %cr4",
    "jmp 7f",
    "5: testl %ecx, %ecx",
    "jz 6f",
    "movl %edx, (%eax)",
    "jmp 7f",
    "6: movl (%eax), %eax",
    "7: popl %edi",
    "popl %esi",
    "popl %ebx",
    "popfl",
    "ret",
    ".size rom_private_apic, . - rom_private_apic",
    ".popsection",
    apic = const APIC,
    options(att_syntax),
);

// rom_alias: EAX = linear address of the image minus its physical address. CF = 1 if the private tables
// can be used at this alias; else EAX is 0. Only EAX and flags are changed.
global_asm!(
    ".pushsection .rom.text, \"ax\", @progbits",
    ".balign 16, 0xCC",
    ".globl rom_alias",
    ".type rom_alias, @function",
    "rom_alias:",
    "pushl %ebx",
    "call 2f",
    "2: popl %ebx",
    "leal rom_start - 2b(%ebx), %eax",
    // Negative if the initialisation has not run, see `post`.
    "movl rom_physical - 2b(%ebx), %ebx",
    "testl %ebx, %ebx",
    "js 3f",
    "subl %ebx, %eax",
    "testl $0x3FFFFF, %eax",
    "jnz 3f",
    "stc",
    "popl %ebx",
    "ret",
    "3: xorl %eax, %eax",
    "popl %ebx",
    "ret",
    ".size rom_alias, . - rom_alias",
    ".popsection",
    options(att_syntax),
);
