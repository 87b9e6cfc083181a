//! What the other processor does inside SetInitialAPState: it finds the state and takes it.
//!
//! Its segments are flat, paging is off, and it has no stack. Whatever is not right, it stops; the
//! calling processor stops waiting after a while.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;

use paravirt_vmi_abi::ApState;

use super::{ALIAS, ANSWER, MARK, physical};
use crate::private::APIC;
use crate::startup::begin::STACK;

/// Stops unless the page of ESI is present in the tables of EDI; EAX = physical address.
macro_rules! walk {
    () => {
        "leal 6f - 2b(%ebx), %ebp\n jmp rom_walk\n 6:"
    };
}

// EBX: physical address of label 2. ECX: of the copy. Registers 210 to 240 of the APIC are the requested
// vectors 20-3F, 40-5F, 60-7F, 80-9F: a word of the message has arrived when exactly one of the two
// vectors of each bit is there.
global_asm!(
    ".pushsection .rom.startup.2, \"ax\", @progbits",
    ".globl rom_capture",
    "rom_capture:",
    "movl $0x10, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    // movl $2f, %ebx
    ".byte 0xBB",
    "7: .long 2f - .",
    physical!("7b"),
    // CR4.OSFXSR, without which the registers are not there. An older state is no longer valid.
    "2: movl $0x200, %eax",
    "movl %eax, %cr4",
    "xorps %xmm6, %xmm6",
    "movl ${apic}, %ecx",
    "orl $0x100, 0xF0(%ecx)",
    "3: pause",
    "movl 0x210(%ecx), %esi",
    "movl 0x230(%ecx), %eax",
    "xorl %esi, %eax",
    "incl %eax",
    "jnz 3b",
    "movl 0x220(%ecx), %edi",
    "movl 0x240(%ecx), %eax",
    "xorl %edi, %eax",
    "incl %eax",
    "jnz 3b",
    walk!(),
    "movl %eax, %ecx",
    // Is it a state in which a processor can start?
    "movl {cr0}(%ecx), %eax",
    "andl $0x80000001, %eax",
    "cmpl $0x80000001, %eax",
    "jne rom_stop",
    "testl $0x500, {efer}(%ecx)",
    "jnz rom_stop",
    // Do its tables map what `begin` needs?
    "movl {cr4}(%ecx), %eax",
    "shrl $5, %eax",
    "andl $1, %eax",
    "movl {cr3}(%ecx), %edi",
    "andl $~1, %edi",
    "orl %eax, %edi",
    "leal rom_begin_mapped - 2b(%ebx), %esi",
    "addl {alias}(%ecx), %esi",
    walk!(),
    "subl {alias}(%ecx), %esi",
    "cmpl %esi, %eax",
    "jne rom_stop",
    "movl {esp}(%ecx), %esi",
    "decl %esi",
    walk!(),
    "subl ${stack} - 1, %esi",
    walk!(),
    "movl {eip}(%ecx), %esi",
    walk!(),
    "movl {gdtr_base}(%ecx), %esi",
    walk!(),
    "movups (%ecx), %xmm0",
    "movups 0x10(%ecx), %xmm1",
    "movups 0x20(%ecx), %xmm2",
    "movups 0x30(%ecx), %xmm3",
    "movups 0x40(%ecx), %xmm4",
    "movups 0x50(%ecx), %xmm5",
    "movl ${mark}, %eax",
    "movd %eax, %xmm6",
    "movl $1, {answer}(%ecx)",
    ".globl rom_stop",
    "rom_stop: cli",
    "hlt",
    "jmp rom_stop",
    ".popsection",
    apic = const APIC,
    cr0 = const offset_of!(ApState, cr0),
    cr3 = const offset_of!(ApState, cr3),
    cr4 = const offset_of!(ApState, cr4),
    efer = const offset_of!(ApState, efer),
    esp = const offset_of!(ApState, esp),
    eip = const offset_of!(ApState, eip),
    gdtr_base = const offset_of!(ApState, gdtr_base),
    alias = const ALIAS,
    answer = const ANSWER,
    mark = const MARK,
    stack = const STACK,
    options(att_syntax),
);

// rom_walk: ESI = linear address, EDI = CR3, bit 0: PAE, EBP = where to go on; EAX = physical address.
// EDX and flags are changed. Stops at a page that is not present or not below 4 GiB.
global_asm!(
    ".pushsection .rom.startup.2, \"ax\", @progbits",
    ".globl rom_walk",
    "rom_walk:",
    "testl $1, %edi",
    "jnz 4f",
    "movl %edi, %eax",
    "andl $~0xFFF, %eax",
    "movl %esi, %edx",
    "shrl $22, %edx",
    "movl (%eax, %edx, 4), %eax",
    "testb $1, %al",
    "jz rom_stop",
    "testb $0x80, %al",
    "jnz 3f",
    "andl $~0xFFF, %eax",
    "movl %esi, %edx",
    "shrl $12, %edx",
    "andl $0x3FF, %edx",
    "movl (%eax, %edx, 4), %eax",
    "testb $1, %al",
    "jz rom_stop",
    "2: movl $0xFFF, %edx",
    "jmp 6f",
    "3: movl $0x3FFFFF, %edx",
    "jmp 6f",
    "4: movl %edi, %eax",
    "andl $~0x1F, %eax",
    "movl %esi, %edx",
    "shrl $30, %edx",
    "leal (%eax, %edx, 8), %eax",
    "cmpl $0, 4(%eax)",
    "jne rom_stop",
    "movl (%eax), %eax",
    "testb $1, %al",
    "jz rom_stop",
    "andl $~0xFFF, %eax",
    "movl %esi, %edx",
    "shrl $21, %edx",
    "andl $0x1FF, %edx",
    "leal (%eax, %edx, 8), %eax",
    // All but the bit that forbids execution.
    "testl $0x7FFFFFFF, 4(%eax)",
    "jnz rom_stop",
    "movl (%eax), %eax",
    "testb $1, %al",
    "jz rom_stop",
    "testb $0x80, %al",
    "jnz 5f",
    "andl $~0xFFF, %eax",
    "movl %esi, %edx",
    "shrl $12, %edx",
    "andl $0x1FF, %edx",
    "leal (%eax, %edx, 8), %eax",
    "testl $0x7FFFFFFF, 4(%eax)",
    "jnz rom_stop",
    "movl (%eax), %eax",
    "testb $1, %al",
    "jz rom_stop",
    "jmp 2b",
    "5: movl $0x1FFFFF, %edx",
    // EDX: the part of the address inside the page.
    "6: notl %edx",
    "andl %edx, %eax",
    "notl %edx",
    "andl %esi, %edx",
    "orl %edx, %eax",
    "jmp *%ebp",
    ".popsection",
    options(att_syntax),
);
