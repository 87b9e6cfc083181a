//! Starting another processor: SetInitialAPState, and what a STARTUP command leads to.
//!
//! The state has to be kept from SetInitialAPState until the STARTUP command, for each processor, and
//! the guest may reuse its memory at once; but the image holds no writable data. It is kept in the SSE
//! registers of the processor that is to start, because an INIT does not change them:
//!
//! 1. SetInitialAPState ([`state`]) copies the state to the stack of the calling processor, sends INIT
//!    and STARTUP to the other one, and tells it where the copy is. It has nothing but interrupts to
//!    tell it with: each bit of the message is one of two vectors, which the other processor finds in
//!    the request register of its own local APIC.
//! 2. The other processor ([`capture`]) finds the copy by walking the page tables of the calling one with
//!    paging off, checks it, takes it into XMM0 to XMM5, answers in the copy, and stops.
//! 3. SetInitialAPState sends INIT again, which empties the request register, and returns. The processor
//!    now waits for a STARTUP command as after the guest's own INIT. The guest may send that before or
//!    after SetInitialAPState, or not at all.
//! 4. APICWrite replaces the vector of the guest's STARTUP command by that of [`begin`], which finds the
//!    state in the registers, loads it and goes to its CS:EIP. A second STARTUP command does nothing, as
//!    on every processor that runs. Without a state the processor stops.
//!
//! What the guest has to provide: page tables (CR3 of the state) that map the image where it is called,
//! the code at EIP, the GDT, and 108 bytes of stack below ESP. The alias must differ from the physical
//! address by a multiple of 4 MiB; at any other one these tables must map the image at its physical
//! address. CR0.PE and CR0.PG must be 1, EFER.LME and LMA 0. Otherwise the processor does not start. The
//! calling processor needs 400 bytes of stack, below 4 GiB of physical memory, and afterwards the high
//! word of its interrupt command register names the other processor. All need SSE2, and their APICs at
//! the power-on address.
//!
//! A STARTUP vector is the number of a page. Images begin at multiples of 2 KiB, so each entry exists
//! twice: one of the two lies at the start of a page.
//!
//! Source: facts sheet, section 7.5; Intel's manual, volume 3, on INIT, STARTUP and the local APIC.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use core::arch::global_asm;

mod begin;
mod capture;
mod post;
mod state;

/// XMM6 holds this while a state is in the registers: "VMIa" in memory order.
const MARK: u32 = u32::from_le_bytes(*b"VMIa");

/// What follows the state in its copy: linear address of the image minus its physical address.
const ALIAS: usize = 0x5C;
const _: () = assert!(size_of::<paravirt_vmi_abi::ApState>() == ALIAS);

/// The other processor makes this 1 when it has the state.
const ANSWER: usize = 0x60;

/// Lists the place at a label as a difference `symbol - .`, to which the initialisation adds the physical
/// address of the place. So the place then holds the physical address of the symbol.
macro_rules! physical {
    ($label:literal) => {
        concat!(".pushsection .rom.fixups, \"a\", @progbits\n .long ", $label, " - .\n .popsection")
    };
}
use physical;

/// The first code of a processor after STARTUP, in real mode at the start of a page: goes to `target` in
/// flat 32-bit segments, with paging off.
macro_rules! first_page {
    ($section:literal, $align:literal, $symbol:literal, $target:literal) => {
        global_asm!(
            concat!(".pushsection .rom.startup.", $section, ", \"ax\", @progbits"),
            concat!(".p2align ", $align, ", 0"),
            concat!(".globl ", $symbol),
            concat!($symbol, ":"),
            ".code16",
            "cli",
            // lgdtl %cs:7f
            ".byte 0x2E, 0x66, 0x0F, 0x01, 0x16",
            concat!(".word 7f - ", $symbol),
            "movl %cr0, %eax",
            "orb $1, %al",
            "movl %eax, %cr0",
            // ljmpl $8, $target
            ".byte 0x66, 0xEA",
            concat!("8: .long ", $target, " - ."),
            ".word 8",
            "7: .word 3 * 8 - 1",
            "9: .long rom_gdt - .",
            ".code32",
            physical!("8b"),
            physical!("9b"),
            ".popsection",
            options(att_syntax),
        );
    };
}

first_page!("1", "12", "rom_capture_even", "rom_capture");
first_page!("3", "11", "rom_capture_odd", "rom_capture");
first_page!("4", "12", "rom_begin_even", "rom_begin");
first_page!("6", "11", "rom_begin_odd", "rom_begin");

// Flat segments, already marked as accessed: the processor could not do that in the image. Then the
// places of the first pages, each for an image at a multiple of 4 KiB and for one 2 KiB above that.
global_asm!(
    ".pushsection .rom.tables, \"a\", @progbits",
    ".balign 8",
    "rom_gdt: .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF",
    ".globl rom_gdt",
    ".globl rom_capture_pages",
    "rom_capture_pages:",
    "7: .long rom_capture_even - .",
    physical!("7b"),
    "7: .long rom_capture_odd - .",
    physical!("7b"),
    ".globl rom_begin_pages",
    "rom_begin_pages:",
    "7: .long rom_begin_even - .",
    physical!("7b"),
    "7: .long rom_begin_odd - .",
    physical!("7b"),
    ".popsection",
    options(att_syntax),
);

// rom_startup_vector: EDX = a STARTUP command; EAX = the vector to use instead. Without initialisation
// that is the guest's own. Only EAX and flags are changed.
global_asm!(
    ".pushsection .rom.text, \"ax\", @progbits",
    ".balign 16, 0xCC",
    ".globl rom_startup_vector",
    ".type rom_startup_vector, @function",
    "rom_startup_vector:",
    "pushl %ebx",
    "call 2f",
    "2: popl %ebx",
    "movl rom_physical - 2b(%ebx), %eax",
    "testl %eax, %eax",
    "js 4f",
    "testl $0x800, %eax",
    "movl rom_begin_pages - 2b(%ebx), %eax",
    "jz 3f",
    "movl rom_begin_pages - 2b + 4(%ebx), %eax",
    "3: shrl $12, %eax",
    "popl %ebx",
    "ret",
    "4: movl %edx, %eax",
    "popl %ebx",
    "ret",
    ".size rom_startup_vector, . - rom_startup_vector",
    ".popsection",
    options(att_syntax),
);
