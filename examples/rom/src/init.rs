//! vmi_init, which is slot 4 in 13.x.
//!
//! It finds its data relative to the instruction pointer. That takes AT&T syntax: the assembler's Intel
//! syntax has no form for the difference of two symbols in an address.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use core::arch::global_asm;

// Offsets 0x80 and 0x88. The bodies lie in another section, so each jump is the five-byte one.
#[cfg(not(legacy))]
global_asm!(
    ".pushsection .rom.slots, \"ax\", @progbits",
    "jmp rom_vmi_init",
    ".balign 8, 0xCC",
    "jmp rom_get_relocation",
    ".balign 8, 0xCC",
    ".popsection",
);

#[cfg(legacy)]
slot_entry!("Init", crate::slot::dropped("Init"), ["jmp rom_vmi_init"]);

// EAX = status, 0 for success. There is nothing to set up: the kernel keeps ring 0, and the interrupt
// flag is the processor's. The status is data, so that a failing ROM can be made from this.
global_asm!(
    ".pushsection .rom.text, \"ax\", @progbits",
    ".balign 16, 0xCC",
    ".globl rom_vmi_init",
    ".type rom_vmi_init, @function",
    "rom_vmi_init:",
    "call 2f",
    "2: popl %eax",
    "movl rom_init_status - 2b(%eax), %eax",
    "ret",
    ".size rom_vmi_init, . - rom_vmi_init",
    ".popsection",
    ".pushsection .rom.tables, \"a\", @progbits",
    ".balign 8",
    ".globl rom_init_status",
    ".type rom_init_status, @object",
    "rom_init_status: .long 0",
    ".size rom_init_status, 4",
    ".popsection",
    options(att_syntax),
);
