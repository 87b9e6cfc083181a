//! What the other processor does at the guest's STARTUP command: it loads the state and goes on there.
//!
//! Paging is turned on with the private tables, in which the image has its physical address and the
//! alias at which it was called; the processor goes to the alias, and from there to the tables of the state.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;

use paravirt_vmi_abi::ApState;

use super::{ALIAS, MARK, physical};

/// The frame of the last instruction lies behind the state: EIP, CS, EFLAGS.
const FRAME: usize = ALIAS + 4;

/// What is used of the stack of the state.
pub const STACK: usize = FRAME + 12;

/// Loads 32-bit word n of the registers that hold the state.
macro_rules! word {
    ($index:literal, $register:literal, $target:literal) => {
        concat!("pshufd $", $index, ", %", $register, ", %xmm7\n movd %xmm7, %", $target)
    };
}

// The words of XMM0: CR0 CR2 CR3 CR4; XMM1: EFER (2), EIP, EFLAGS; XMM3: ESP first; XMM5: the alias last.
// EBP: physical address of label 2, then the value that was there.
global_asm!(
    ".pushsection .rom.startup.5, \"ax\", @progbits",
    ".globl rom_begin",
    "rom_begin:",
    "movl $0x10, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    // movl $2f, %ebp
    ".byte 0xBD",
    "7: .long 2f - .",
    physical!("7b"),
    "2: movl $0x200, %eax",
    "movl %eax, %cr4",
    "movd %xmm6, %eax",
    "cmpl ${mark}, %eax",
    "jne rom_stop",
    "xorps %xmm6, %xmm6",
    // EFER exists if the processor has SYSCALL, NX or long mode.
    "movl $0x80000000, %eax",
    "cpuid",
    "cmpl $0x80000001, %eax",
    "jb 3f",
    "movl $0x80000001, %eax",
    "cpuid",
    "testl $0x20100800, %edx",
    "jz 3f",
    word!(1, "xmm1", "edx"),
    "movd %xmm1, %eax",
    "movl $0xC0000080, %ecx",
    "wrmsr",
    // CR4: PAE as in the state, PSE, OSFXSR.
    "3:",
    word!(3, "xmm0", "eax"),
    "movl rom_page_directory - 2b(%ebp), %edx",
    "andl $0x20, %eax",
    "jz 4f",
    "movl rom_pointer_table - 2b(%ebp), %edx",
    "4: orl $0x210, %eax",
    "movl %eax, %cr4",
    "movl %edx, %cr3",
    "movl %cr0, %eax",
    "orl $0x80000000, %eax",
    "movl %eax, %cr0",
    word!(3, "xmm5", "edx"),
    "leal rom_begin_mapped - 2b(%ebp, %edx), %eax",
    "jmp *%eax",
    ".globl rom_begin_mapped",
    "rom_begin_mapped:",
    word!(2, "xmm0", "eax"),
    "movl %eax, %cr3",
    // The state, on its own stack.
    "movd %xmm3, %esp",
    "subl ${stack}, %esp",
    "movups %xmm0, (%esp)",
    "movups %xmm1, 0x10(%esp)",
    "movups %xmm2, 0x20(%esp)",
    "movups %xmm3, 0x30(%esp)",
    "movups %xmm4, 0x40(%esp)",
    "movups %xmm5, 0x50(%esp)",
    "xorps %xmm0, %xmm0",
    "xorps %xmm1, %xmm1",
    "xorps %xmm2, %xmm2",
    "xorps %xmm3, %xmm3",
    "xorps %xmm4, %xmm4",
    "xorps %xmm5, %xmm5",
    "xorps %xmm7, %xmm7",
    "movl {eip}(%esp), %eax",
    "movl %eax, {frame}(%esp)",
    "movzwl {cs}(%esp), %eax",
    "movl %eax, {frame} + 4(%esp)",
    "movl {eflags}(%esp), %eax",
    "movl %eax, {frame} + 8(%esp)",
    // Limit and base of the GDT are in the order that the instruction wants, those of the IDT are not.
    "lgdt {gdtr_limit}(%esp)",
    "movl {idtr_base}(%esp), %eax",
    "movl %eax, {alias}(%esp)",
    "movw {idtr_limit}(%esp), %ax",
    "movw %ax, {alias} - 2(%esp)",
    "lidt {alias} - 2(%esp)",
    "movl {cr2}(%esp), %eax",
    "movl %eax, %cr2",
    "movl {cr4}(%esp), %eax",
    "movl %eax, %cr4",
    "movl {cr0}(%esp), %eax",
    "movl %eax, %cr0",
    "lldtw {ldtr}(%esp)",
    "movw {ss}(%esp), %ss",
    "movw {ds}(%esp), %ds",
    "movw {es}(%esp), %es",
    "movw {fs}(%esp), %fs",
    "movw {gs}(%esp), %gs",
    "movl {eax}(%esp), %eax",
    "movl {ebx}(%esp), %ebx",
    "movl {ecx}(%esp), %ecx",
    "movl {edx}(%esp), %edx",
    "movl {ebp}(%esp), %ebp",
    "movl {esi}(%esp), %esi",
    "movl {edi}(%esp), %edi",
    "addl ${frame}, %esp",
    "iretl",
    ".popsection",
    mark = const MARK,
    alias = const ALIAS,
    frame = const FRAME,
    stack = const STACK,
    cr0 = const offset_of!(ApState, cr0),
    cr2 = const offset_of!(ApState, cr2),
    cr4 = const offset_of!(ApState, cr4),
    eip = const offset_of!(ApState, eip),
    eflags = const offset_of!(ApState, eflags),
    eax = const offset_of!(ApState, eax),
    ebx = const offset_of!(ApState, ebx),
    ecx = const offset_of!(ApState, ecx),
    edx = const offset_of!(ApState, edx),
    ebp = const offset_of!(ApState, ebp),
    esi = const offset_of!(ApState, esi),
    edi = const offset_of!(ApState, edi),
    cs = const offset_of!(ApState, cs),
    ss = const offset_of!(ApState, ss),
    ds = const offset_of!(ApState, ds),
    es = const offset_of!(ApState, es),
    fs = const offset_of!(ApState, fs),
    gs = const offset_of!(ApState, gs),
    ldtr = const offset_of!(ApState, ldtr),
    gdtr_limit = const offset_of!(ApState, gdtr_limit),
    idtr_base = const offset_of!(ApState, idtr_base),
    idtr_limit = const offset_of!(ApState, idtr_limit),
    options(att_syntax),
);
