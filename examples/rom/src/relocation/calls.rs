//! The relocation table of generation 3.0, from the rows of the call table and the answers that
//! [`PROVISION`] gives.
//!
//! # Safety
//!
//! The unsafe code is assembly. It defines one symbol in a section that only `rom.ld` places.
#![allow(unsafe_code)]

use core::arch::global_asm;

use paravirt_vmi_abi::{Call, RelocationKind, for_each_call};

use super::PROVISION;

/// Emits the table: [`RelocationInfo`](paravirt_vmi_abi::RelocationInfo) with an offset in the image in
/// place of the address. The offset of a call's code is the value of its symbol, because the image is
/// linked at 0.
macro_rules! relocations {
    ($({ $number:literal $constant:ident $name:literal $($row:tt)* })*) => {
        global_asm!(
            ".pushsection .rom.tables, \"a\", @progbits",
            // An answer that leads nowhere has no code to name.
            ".macro rom_relocation code, kind",
            ".if \\kind == {call} || \\kind == {jump}",
            ".long \\code, \\kind",
            ".else",
            ".long 0, \\kind",
            ".endif",
            ".endm",
            ".balign 8",
            ".globl rom_relocations",
            ".type rom_relocations, @object",
            "rom_relocations:",
            $(concat!("rom_relocation vmi_", $name, ", {", stringify!($constant), "}"),)*
            ".size rom_relocations, . - rom_relocations",
            ".purgem rom_relocation",
            ".popsection",
            call = const RelocationKind::CALL_REL.0,
            jump = const RelocationKind::JUMP_REL.0,
            $($constant = const PROVISION.answer(Call::$constant.number()).0,)*
        );
    };
}

for_each_call!(relocations);
