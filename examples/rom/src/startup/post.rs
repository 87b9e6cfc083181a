//! The initialisation that the firmware calls, in real mode, while the image is still writable.
//!
//! It makes the addresses in the image physical ones, builds the page tables of [`crate::private`], and
//! makes the checksum right again. Firmware that does not call it, or write-protects the image before,
//! leaves `rom_physical` negative, and the ROM does without what depends on it.
//!
//! The entries of the page tables are marked as accessed and written, because a processor could not do
//! that later. In the four pointers of PAE these bits are reserved on processors and set by QEMU, which
//! tries for ever when it cannot. So the initialisation turns paging on and uses each pointer once: what
//! the processor wants to write there it writes then.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;

use paravirt_vmi_abi::RomHeader;

use super::physical;
use crate::private::APIC;

/// A page-directory entry of a large page at 0: present, writable, accessed, written.
const LARGE: u32 = 0xE3;

/// The same, not cached.
const LARGE_UNCACHED: u32 = 0xFB;

// An even image begins at a multiple of 4 KiB. The directory is the first page of the area in an even
// image, in an odd one it begins 2 KiB later; the PAE directory follows it.
global_asm!(
    ".pushsection .rom.startup.7, \"a\", @progbits",
    ".p2align 12, 0",
    ".globl rom_directories",
    "rom_directories: .zero 0x2800",
    ".popsection",
    ".pushsection .rom.tables, \"a\", @progbits",
    ".balign 32",
    "rom_pdpt: .zero 32",
    // Physical addresses: of the image, of the page directory, of the PAE pointer table.
    ".globl rom_physical",
    "rom_physical: .long rom_start - .",
    physical!("rom_physical"),
    ".globl rom_gdt_register",
    ".word 0",
    "rom_gdt_register: .word 3 * 8 - 1",
    "8: .long rom_gdt - .",
    physical!("8b"),
    ".globl rom_page_directory",
    "rom_page_directory: .long 0",
    ".globl rom_pointer_table",
    "rom_pointer_table: .long rom_pdpt - .",
    physical!("rom_pointer_table"),
    ".popsection",
    options(att_syntax),
);

// A far call in real mode, CS:3. Offsets in the image are offsets in the segment.
// EBX: physical address of the image. EBP: offset of label 2.
global_asm!(
    ".pushsection .rom.post, \"ax\", @progbits",
    ".globl rom_post",
    "rom_post:",
    ".code16",
    "pushfl",
    "pushal",
    "pushw %ds",
    "pushw %es",
    "cld",
    "pushw %cs",
    "popw %ds",
    "pushw %cs",
    "popw %es",
    "xorl %ebx, %ebx",
    "movw %cs, %bx",
    "shll $4, %ebx",
    "callw 2f",
    "2: popw %ax",
    "movzwl %ax, %ebp",
    // The addresses.
    "leal rom_fixups - 2b(%ebp), %esi",
    "leal rom_fixups_end - 2b(%ebp), %ecx",
    "3: movl (%esi), %edi",
    "addl %esi, %edi",
    "leal (%ebx, %edi), %eax",
    "addl %eax, (%edi)",
    "addl $4, %esi",
    "cmpl %ecx, %esi",
    "jb 3b",
    // The page directory, the PAE directory, the pointers to the latter.
    "leal rom_directories - 2b(%ebp), %edi",
    "movl %ebx, %eax",
    "andl $0x800, %eax",
    "addl %eax, %edi",
    "movl %edi, %edx",
    "movl ${large}, %eax",
    "movl $1024, %ecx",
    "rep stosl",
    "movl ${apic_4m}, (({apic} >> 22) * 4)(%edx)",
    "movl $512, %ecx",
    "4: movl %eax, (%edi)",
    "addl $8, %edi",
    "decl %ecx",
    "jnz 4b",
    "movl ${apic_2m}, (0x1000 + (({apic} >> 21) & 0x1FF) * 8)(%edx)",
    "addl %ebx, %edx",
    // Not relative to EBP itself, which would mean the firmware's stack segment.
    "leal rom_page_directory - 2b(%ebp), %edi",
    "movl %edx, (%edi)",
    "leal 0x1001(%edx), %eax",
    "leal rom_pdpt - 2b(%ebp), %edi",
    "movl %eax, (%edi)",
    "movl %eax, 8(%edi)",
    "movl %eax, 16(%edi)",
    "movl %eax, 24(%edi)",
    // Every pointer is used once.
    "movl $1, %eax",
    "cpuid",
    "testb $0x40, %dl",
    "jz 7f",
    "cli",
    "leal rom_gdt_register - 2b(%ebp), %edi",
    "subw $8, %sp",
    "movw %sp, %si",
    "sgdtl %ss:(%si)",
    "lgdtl (%edi)",
    "movl %cr3, %ecx",
    "movl %cr4, %edx",
    "movl %edx, %eax",
    "orb $0x20, %al",
    "movl %eax, %cr4",
    "leal rom_pointer_table - 2b(%ebp), %edi",
    "movl (%edi), %eax",
    "movl %eax, %cr3",
    "movl %cr0, %eax",
    "movl %eax, %edi",
    "orl $0x80000001, %eax",
    "movl %eax, %cr0",
    "movw $0x10, %ax",
    "movw %ax, %es",
    "xorl %eax, %eax",
    "6: movl %es:(%eax), %ebx",
    "addl $0x40000000, %eax",
    "jnc 6b",
    "movl %edi, %cr0",
    "movl %edx, %cr4",
    "movl %ecx, %cr3",
    "lgdtl %ss:(%si)",
    "addw $8, %sp",
    "7:",
    // The checksum.
    "xorl %esi, %esi",
    "movzbl {length}(%esi), %ecx",
    "shll $9, %ecx",
    "xorl %eax, %eax",
    "5: addb (%esi), %al",
    "incl %esi",
    "decl %ecx",
    "jnz 5b",
    "subb %al, -1(%esi)",
    "popw %es",
    "popw %ds",
    "popal",
    "popfl",
    "lretw",
    ".code32",
    ".popsection",
    large = const LARGE,
    apic = const APIC,
    apic_4m = const APIC & 0xFFC0_0000 | LARGE_UNCACHED,
    apic_2m = const APIC & 0xFFE0_0000 | LARGE_UNCACHED,
    length = const offset_of!(RomHeader, rom_length),
    options(att_syntax),
);
