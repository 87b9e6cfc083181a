//! The same in the styles of others, as assembly.
//!
//! * `native`: `cli` and `sti`, which nobody can patch.
//! * `paravirt_ops`, of 2007: each operation is an indirect call through a structure, 6 bytes, with a record of 8: address,
//!   type, length, clobbers.
//! * `static_keys`: each operation is a branch that is patched, 5 bytes, with a record of three words; behind it the
//!   native instruction, and out of the way a call and a jump back.
//!
//! # Safety
//!
//! Nothing here is run.
#![allow(unsafe_code)]

use core::arch::global_asm;

/// A function that consists of these lines.
macro_rules! function {
    ($name:literal: $($line:expr),+ $(,)?) => {
        global_asm!(
            concat!(".pushsection .text.", $name, ", \"ax\", @progbits"),
            concat!(".globl ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            $($line,)+
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
        );
    };
}

/// The store.
macro_rules! work {
    () => {
        "mov dword ptr [SIZE_WORK], 1\n"
    };
}
/// Tests the saved flag, and leaves out what follows up to `9:`.
macro_rules! if_enabled {
    () => {
        "test ah, 2\njz 9f\n"
    };
}

/// An operation of paravirt_ops, with its record.
macro_rules! indirect_call {
    ($records:literal, $slot:literal) => {
        concat!(
            // call dword ptr [operations + slot]
            "771: .byte 0xff, 0x15\n.long size_operations + ",
            $slot,
            "\n.pushsection ",
            $records,
            ", \"a\", @progbits\n",
            ".long 771b\n.byte ",
            $slot,
            " / 4, 6\n.short 0\n.popsection\n",
        )
    };
}

/// An operation behind a static key: `native`, or a call out of the way.
macro_rules! keyed {
    ($records:literal, $label:literal, $native:literal) => {
        concat!(
            ".L",
            $label,
            ": .byte 0x3e, 0x8d, 0x74, 0x26, 0x00\n",
            $native,
            "\n.L",
            $label,
            "_end:\n.pushsection ",
            $records,
            ", \"aw\", @progbits\n.balign 4\n.long .L",
            $label,
            " - .\n.long .L",
            $label,
            "_other - .\n.long size_key - .\n.popsection\n",
        )
    };
}

/// What lies out of the way for it.
macro_rules! keyed_other {
    ($label:literal) => {
        concat!(".L", $label, "_other: call size_operation\njmp .L", $label, "_end\n")
    };
}

function!("size_native_pair": "cli", work!(), "sti", "ret");
function!("size_native_section": "pushfd", "pop eax", "cli", work!(), if_enabled!(), "sti", "9: ret");

function!(
    "size_paravirt_ops_pair":
    indirect_call!("records_paravirt_ops_pair", "8"),
    work!(),
    indirect_call!("records_paravirt_ops_pair", "12"),
    "ret",
);
function!(
    "size_paravirt_ops_section":
    indirect_call!("records_paravirt_ops_section", "0"),
    indirect_call!("records_paravirt_ops_section", "8"),
    work!(),
    if_enabled!(),
    indirect_call!("records_paravirt_ops_section", "12"),
    "9: ret",
);

function!(
    "size_static_keys_pair":
    keyed!("records_static_keys_pair", "pair_disable", "cli"),
    work!(),
    keyed!("records_static_keys_pair", "pair_enable", "sti"),
    "ret",
    keyed_other!("pair_disable"),
    keyed_other!("pair_enable"),
);
function!(
    "size_static_keys_section":
    keyed!("records_static_keys_section", "section_save", "pushfd\npop eax"),
    keyed!("records_static_keys_section", "section_disable", "cli"),
    work!(),
    if_enabled!(),
    keyed!("records_static_keys_section", "section_enable", "sti"),
    "9: ret",
    keyed_other!("section_save"),
    keyed_other!("section_disable"),
    keyed_other!("section_enable"),
);
