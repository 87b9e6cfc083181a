//! GetRelocationInfo, and the table that it reads: by call number in 3.0, by slot number in 13.3.
//!
//! What is answered is [`PROVISION`]: in the full style every call that has code is CALL_REL, in the minimal
//! one a guest is left with as much of its native code as the interface allows. 13.0 has no such query.
//!
//! Source: facts sheet, sections 4.1, 4.4, 6.1 and 6.2.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;

use paravirt_vmi_abi::{Generation, Provision, RelocationInfo, RelocationKind, Style};

#[cfg(not(legacy))]
mod calls;
#[cfg(legacy)]
mod slots;

/// The answers.
const PROVISION: Provision = Provision {
    generation: if cfg!(legacy) { Generation::V13_3 } else { Generation::V3_0 },
    style: if cfg!(feature = "minimal") { Style::Minimal } else { Style::Full },
    leave: if cfg!(feature = "jump") { RelocationKind::JUMP_REL } else { RelocationKind::CALL_REL },
};

/// The number of entries in the table.
const COUNT: usize = PROVISION.generation.relocations() as usize;

// EAX = number; EAX = linear address of the target at the alias through which the ROM was called, DL =
// kind, the rest of EDX 0. A number outside the table is a call that is not provided. EAX is 0 with NONE
// and with NOP.
global_asm!(
    ".pushsection .rom.text, \"ax\", @progbits",
    ".balign 16, 0xCC",
    ".globl rom_get_relocation",
    ".type rom_get_relocation, @function",
    "rom_get_relocation:",
    "cmpl ${count}, %eax",
    "jae 3f",
    "call 2f",
    "2: popl %ecx",
    "leal rom_relocations - 2b(%ecx, %eax, 8), %eax",
    "movzbl {kind}(%eax), %edx",
    "movl {eip}(%eax), %eax",
    "cmpl ${call}, %edx",
    "je 4f",
    "cmpl ${jump}, %edx",
    "je 4f",
    "xorl %eax, %eax",
    "ret",
    "3: movl ${none}, %edx",
    "xorl %eax, %eax",
    "ret",
    // A target is an offset in the image.
    "4: leal rom_start - 2b(%eax, %ecx), %eax",
    "ret",
    ".size rom_get_relocation, . - rom_get_relocation",
    ".popsection",
    count = const COUNT,
    kind = const offset_of!(RelocationInfo, kind),
    eip = const offset_of!(RelocationInfo, eip),
    call = const RelocationKind::CALL_REL.0,
    jump = const RelocationKind::JUMP_REL.0,
    none = const RelocationKind::NONE.0,
    options(att_syntax),
);
