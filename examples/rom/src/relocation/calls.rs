//! The relocation table of generation 3.0, from the rows of the call table.
//!
//! # Safety
//!
//! The unsafe code is assembly. It defines one symbol in a section that only `rom.ld` places.
#![allow(unsafe_code)]

use core::arch::global_asm;

use paravirt_vmi_abi::{RelocationKind, for_each_call};

use super::LEAVE;

/// Emits the table: [`RelocationInfo`](paravirt_vmi_abi::RelocationInfo) with an offset in the image in
/// place of the address.
macro_rules! relocations {
    ($({ $number:literal $constant:ident $name:literal $($row:tt)* })*) => {
        global_asm!(
            ".pushsection .rom.tables, \"a\", @progbits",
            ".balign 8",
            ".globl rom_relocations",
            ".type rom_relocations, @object",
            "rom_relocations:",
            // The names of the answers; a style does not use every one.
            ".set rom_kind_call, {call}",
            ".set rom_kind_leave, {leave}",
            ".set rom_kind_none, {none}",
            ".set rom_kind_nop, {nop}",
            $(relocation!($constant $name),)*
            ".size rom_relocations, . - rom_relocations",
            ".popsection",
            call = const RelocationKind::CALL_REL.0,
            leave = const LEAVE.0,
            none = const RelocationKind::NONE.0,
            nop = const RelocationKind::NOP.0,
        );
    };
}

/// One entry of the table. The offset of a call's code is the value of its symbol, because the image is
/// linked at 0.
macro_rules! relocation {
    // Provided in every style.
    (ENABLE_INTERRUPTS $name:literal) => { code!($name "call") };
    (DISABLE_INTERRUPTS $name:literal) => { code!($name "call") };
    (GET_INTERRUPT_MASK $name:literal) => { code!($name "call") };
    (SET_INTERRUPT_MASK $name:literal) => { code!($name "call") };
    (IRET $name:literal) => { code!($name "leave") };
    (SYSEXIT $name:literal) => { code!($name "leave") };
    (HALT $name:literal) => { code!($name "call") };
    (REBOOT $name:literal) => { code!($name "call") };
    (SHUTDOWN $name:literal) => { code!($name "call") };
    // There is no time interface, as a whole.
    (GET_CYCLE_FREQUENCY $name:literal) => { no_code!("none") };
    (GET_CYCLE_COUNTER $name:literal) => { no_code!("none") };
    (SET_ALARM $name:literal) => { no_code!("none") };
    (CANCEL_ALARM $name:literal) => { no_code!("none") };
    (GET_WALLCLOCK_TIME $name:literal) => { no_code!("none") };
    (WALLCLOCK_UPDATED $name:literal) => { no_code!("none") };
    // Nobody knows what it does.
    (SET_CALLBACKS $name:literal) => { no_code!("none") };
    // On bare hardware they have nothing to do.
    (UPDATE_KERNEL_STACK $name:literal) => { style!($name "nop") };
    (UPDATE_PXE $name:literal) => { style!($name "nop") };
    (UPDATE_PXE_LONG $name:literal) => { style!($name "nop") };
    (ALLOCATE_PAGE $name:literal) => { style!($name "nop") };
    (RELEASE_PAGE $name:literal) => { style!($name "nop") };
    (SET_LINEAR_MAPPING $name:literal) => { style!($name "nop") };
    (SET_LAZY_MODE $name:literal) => { style!($name "nop") };
    // Native code does them as well.
    ($other:ident $name:literal) => { style!($name "none") };
}

/// A call that is provided in the full style, and has another answer in the minimal one.
#[cfg(not(feature = "minimal"))]
macro_rules! style {
    ($name:literal $minimal:literal) => { code!($name "call") };
}

/// The same in the minimal style, where the code is left out.
#[cfg(feature = "minimal")]
macro_rules! style {
    ($name:literal $minimal:literal) => {
        no_code!($minimal)
    };
}

/// The entry of a call with code.
macro_rules! code {
    ($name:literal $kind:literal) => {
        concat!(".long vmi_", $name, ", rom_kind_", $kind)
    };
}

/// The entry of a call without code.
macro_rules! no_code {
    ($kind:literal) => {
        concat!(".long 0, rom_kind_", $kind)
    };
}

for_each_call!(relocations);
