//! The two entries at fixed offsets, vmi_init and GetRelocationInfo, and the table that the latter
//! reads.
//!
//! Both find their data relative to the instruction pointer. That takes AT&T syntax: the assembler's
//! Intel syntax has no form for the difference of two symbols in an address.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;

use paravirt_vmi_abi::{Call, RelocationInfo, RelocationKind, for_each_call};

// Offsets 0x80 and 0x88. The bodies lie in another section, so each jump is the five-byte one.
global_asm!(
    ".pushsection .rom.slots, \"ax\", @progbits",
    "jmp rom_vmi_init",
    ".balign 8, 0xCC",
    "jmp rom_get_relocation",
    ".balign 8, 0xCC",
    ".popsection",
);

// vmi_init: EAX = status, 0 for success. There is nothing to set up: the kernel keeps ring 0, and the
// interrupt flag is the processor's. The status is data, so that a failing ROM can be made from this.
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

// GetRelocationInfo: EAX = call number; EAX = linear address of the target at the alias through which
// the ROM was called, DL = kind, the rest of EDX 0. A number outside the table is a call that is not
// provided. EAX is 0 with NONE.
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
    "cmpl ${none}, %edx",
    "je 4f",
    "movl {eip}(%eax), %eax",
    "leal rom_start - 2b(%eax, %ecx), %eax",
    "ret",
    "3: movl ${none}, %edx",
    "4: xorl %eax, %eax",
    "ret",
    ".size rom_get_relocation, . - rom_get_relocation",
    ".popsection",
    count = const Call::COUNT,
    kind = const offset_of!(RelocationInfo, kind),
    eip = const offset_of!(RelocationInfo, eip),
    none = const RelocationKind::NONE.0,
    options(att_syntax),
);

/// How the ROM wants IRET and SYSEXIT to be reached.
const LEAVE: RelocationKind =
    if cfg!(feature = "jump") { RelocationKind::JUMP_REL } else { RelocationKind::CALL_REL };

/// Emits the relocation table from the rows of the call table: [`RelocationInfo`] with an offset in
/// the image in place of the address.
macro_rules! relocations {
    ($({ $number:literal $constant:ident $name:literal $($row:tt)* })*) => {
        global_asm!(
            ".pushsection .rom.tables, \"a\", @progbits",
            ".balign 8",
            ".globl rom_relocations",
            ".type rom_relocations, @object",
            "rom_relocations:",
            $(relocation!($constant $name),)*
            ".size rom_relocations, . - rom_relocations",
            ".popsection",
            call = const RelocationKind::CALL_REL.0,
            leave = const LEAVE.0,
            none = const RelocationKind::NONE.0,
        );
    };
}

/// One entry of the relocation table. The calls that the ROM provides are named here; the offset of
/// each is the value of its symbol, because the image is linked at 0.
macro_rules! relocation {
    (ENABLE_INTERRUPTS $name:literal) => { relocation!(@ $name "call") };
    (DISABLE_INTERRUPTS $name:literal) => { relocation!(@ $name "call") };
    (GET_INTERRUPT_MASK $name:literal) => { relocation!(@ $name "call") };
    (SET_INTERRUPT_MASK $name:literal) => { relocation!(@ $name "call") };
    (IRET $name:literal) => { relocation!(@ $name "leave") };
    (SYSEXIT $name:literal) => { relocation!(@ $name "leave") };
    (HALT $name:literal) => { relocation!(@ $name "call") };
    (REBOOT $name:literal) => { relocation!(@ $name "call") };
    (SHUTDOWN $name:literal) => { relocation!(@ $name "call") };
    ($other:ident $name:literal) => { ".long 0, {none}" };
    (@ $name:literal $kind:literal) => { concat!(".long vmi_", $name, ", {", $kind, "}") };
}

for_each_call!(relocations);
