//! Segments: flat code and data for the kernel and for ring 3, and the entry of the task state segment.
//!
//! The order is the one that SYSEXIT needs: it takes the user's code and stack segments to be the
//! second and the third after the kernel's code segment. The entries behind the task state segment are
//! for the conformance suite.
//!
//! # Safety
//!
//! The processor reads the tables for as long as the kernel runs; they are statics and never move.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};

use paravirt_vmi::abi::DescriptorTableRegister;
use paravirt_vmi::descriptor::{Descriptor, Selector};

use crate::task;

/// Selector of the kernel's code segment, for ring 0.
pub const KERNEL_CODE: u16 = 0x08;
/// Selector of the kernel's data and stack segment, for ring 0.
pub const KERNEL_DATA: u16 = 0x10;
/// Selector of the user's code segment.
pub const USER_CODE: u16 = 0x18 | 3;
/// Selector of the user's data and stack segment.
pub const USER_DATA: u16 = 0x20 | 3;
/// Selector of the task state segment.
pub const TASK_STATE: u16 = 0x28;
/// Index of the first entry that the kernel itself does not use.
pub const FIRST_SPARE: u16 = 6;
/// The number of entries.
pub const ENTRIES: usize = 16;

/// The MSR from which SYSEXIT derives the user's segments.
const IA32_SYSENTER_CS: u32 = 0x174;
/// CPUID leaf 1, EDX: SYSENTER and SYSEXIT exist.
const CPUID_SEP: u32 = 1 << 11;

/// The stack on which the processor enters the kernel from ring 3.
#[repr(C, align(4096))]
struct Stack([u8; 16384]);
static mut INTERRUPT_STACK: Stack = Stack([0; 16384]);

/// A descriptor table, at the start of a page.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub struct Table(pub [Descriptor; ENTRIES]);

/// Base 0, limit FFFFFFFF. The bytes from the fifth on: access rights (present, DPL, type), flags and
/// the rest of the limit.
const FLAT: u64 = 0x00CF_0000_0000_FFFF;
const CODE: u64 = 0x9B << 40;
const DATA: u64 = 0x93 << 40;
const DPL_3: u64 = 3 << 45;

pub static mut GDT: Table = Table({
    let mut entries = [Descriptor(0); ENTRIES];
    entries[1] = Descriptor(FLAT | CODE);
    entries[2] = Descriptor(FLAT | DATA);
    entries[3] = Descriptor(FLAT | CODE | DPL_3);
    entries[4] = Descriptor(FLAT | DATA | DPL_3);
    entries
});

/// A descriptor of flat data that no segment register has been loaded with.
pub const FLAT_DATA: Descriptor = Descriptor(FLAT | DATA & !(1 << 40));

/// The descriptor of a present segment that starts at `base`: `access` are its fifth byte's DPL and type.
const fn segment(base: u32, limit: u32, access: u64) -> Descriptor {
    let (base, limit) = (base as u64, limit as u64);
    let limits = limit & 0xFFFF | (limit >> 16 & 0xF) << 48;
    Descriptor(limits | (base & 0xFF_FFFF) << 16 | (base >> 24) << 56 | (0x80 | access) << 40)
}

/// The descriptor of a writable data segment of `limit + 1` bytes at `base`, 32 bits wide.
pub const fn data_segment(base: u32, limit: u32) -> Descriptor {
    Descriptor(segment(base, limit, 0x12).0 | 1 << 54)
}

/// The descriptor of a segment of the given system type.
pub const fn system_segment(base: u32, limit: u32, kind: u64) -> Descriptor {
    segment(base, limit, kind)
}

/// The kernel's table.
pub fn table() -> *mut Descriptor {
    (&raw mut GDT).cast()
}

/// The end of the stack on which the kernel is entered from ring 3.
pub fn interrupt_stack() -> u32 {
    (&raw const INTERRUPT_STACK as u32) + size_of::<Stack>() as u32
}

/// What loads the kernel's table.
pub fn register() -> DescriptorTableRegister {
    let limit = size_of::<[Descriptor; ENTRIES]>() as u16 - 1;
    DescriptorTableRegister::new(limit, table() as u32)
}

/// The selector of an entry of the kernel's table.
pub const fn selector(index: u16) -> Selector {
    Selector::gdt(index)
}

unsafe extern "C" {
    fn load_segments(table: &DescriptorTableRegister);
}

global_asm!(
    r#"
    .section .boot.text, "ax", @progbits
    .globl load_segments
load_segments:
    mov eax, [esp + 4]
    lgdt [eax]
    mov eax, {kernel_data}
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    push {kernel_code}
    mov eax, offset .Lsegments_loaded
    push eax
    retf
.Lsegments_loaded:
    mov eax, {task_state}
    ltr ax
    ret
    .text
"#,
    kernel_data = const KERNEL_DATA,
    kernel_code = const KERNEL_CODE,
    task_state = const TASK_STATE,
);

/// Replaces the loader's segments by the kernel's own.
///
/// # Safety
///
/// Called once, in ring 0, with flat segments loaded.
#[inline(never)]
#[unsafe(link_section = ".boot.text")]
pub unsafe fn load() {
    // SAFETY: the task register is loaded below.
    unsafe { task::prepare(interrupt_stack()) };
    let table = &raw mut GDT;
    // SAFETY: nothing uses the table before it is loaded below.
    unsafe { (*table).0[usize::from(TASK_STATE / 8)] = task::descriptor() };

    let register = register();
    // SAFETY: the table is valid, and flat segments replace flat segments.
    unsafe { load_segments(&register) };
}

/// Prepares SYSEXIT; returns whether the processor has it.
///
/// # Safety
///
/// Called in ring 0, on a processor with CPUID (a 486 of 1993 or later).
#[inline(never)]
#[unsafe(link_section = ".boot.text")]
pub unsafe fn prepare_sysexit() -> bool {
    if core::arch::x86::__cpuid(1).edx & CPUID_SEP == 0 {
        return false;
    }
    // SAFETY: SEP says that the MSR exists; its value only says which segments SYSEXIT loads.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") IA32_SYSENTER_CS,
            in("eax") u32::from(KERNEL_CODE),
            in("edx") 0,
            options(nostack, preserves_flags),
        );
    }
    true
}
