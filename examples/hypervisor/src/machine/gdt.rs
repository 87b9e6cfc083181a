//! The hypervisor's descriptors: in the GDT behind those of the guest.
//!
//! # Safety
//!
//! The segments are flat, as those of the loader.
#![allow(unsafe_code)]

use core::arch::global_asm;

use vmi_hypervisor::layout::{KERNEL_RING, LAST_ADDRESS, START_CODE, START_DATA};

use super::monitor::{self, ENTRIES, Monitor, TASK_LIMIT};

/// The first selector that is the hypervisor's.
const FIRST: u16 = (ENTRIES * 8) as u16;
/// Code of ring 0.
pub const CODE: u16 = FIRST;
/// Data of ring 0.
pub const DATA: u16 = FIRST + 8;
const TASK: u16 = FIRST + 0x10;
const LDT: u16 = FIRST + 0x18;
/// A present segment: `access` are the DPL and type of its fifth byte. With the accessed bit set, so that the
/// processor never writes to the table.
const fn descriptor(base: u32, limit: u32, access: u64) -> u64 {
    let (base, limit) = (base as u64, limit as u64);
    let limits = limit & 0xFFFF | (limit >> 16 & 0xF) << 48;
    limits | (base & 0xFF_FFFF) << 16 | (base >> 24) << 56 | (0x80 | access) << 40
}

/// A 32-bit segment at address 0 up to `last`, the last byte of a page.
const fn flat(last: u32, access: u64) -> u64 {
    const PAGES_OF_32_BITS: u64 = 0xC << 52;
    descriptor(0, last >> 12, access) | PAGES_OF_32_BITS
}

/// Types of segments, for ring 0.
const CODE_SEGMENT: u64 = 0x1B;
const DATA_SEGMENT: u64 = 0x13;
const LDT_SEGMENT: u64 = 0x02;
const AVAILABLE_TASK: u64 = 0x09;
const KERNEL_DPL: u64 = (KERNEL_RING as u64) << 5;

unsafe extern "C" {
    fn load_descriptor_tables(gdt: *const PseudoDescriptor, idt: *const PseudoDescriptor);
}

/// The operand of LGDT and LIDT.
#[repr(C, packed)]
struct PseudoDescriptor {
    limit: u16,
    base: u32,
}

global_asm!(
    r#"
    .text
    .globl load_descriptor_tables
load_descriptor_tables:
    mov eax, [esp + 4]
    lgdt [eax]
    mov eax, [esp + 8]
    lidt [eax]
    mov eax, {data}
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    push {code}
    mov eax, offset .Ldescriptors_loaded
    push eax
    retf
.Ldescriptors_loaded:
    mov eax, {task}
    ltr ax
    mov eax, {ldt}
    lldt ax
    ret
"#,
    data = const DATA,
    code = const CODE,
    task = const TASK,
    ldt = const LDT,
);

/// Writes the descriptors.
pub fn fill(monitor: &mut Monitor) {
    let mut set = |selector: u16, descriptor| {
        monitor.own_gdt[usize::from((selector - FIRST) / 8)] = descriptor;
    };
    set(CODE, flat(u32::MAX, CODE_SEGMENT));
    set(DATA, flat(u32::MAX, DATA_SEGMENT));
    set(TASK, descriptor(monitor::TASK, TASK_LIMIT, AVAILABLE_TASK));
    set(LDT, descriptor(monitor::LDT, (ENTRIES * 8 - 1) as u32, LDT_SEGMENT));
    set(START_CODE, flat(LAST_ADDRESS, CODE_SEGMENT | KERNEL_DPL));
    set(START_DATA, flat(LAST_ADDRESS, DATA_SEGMENT | KERNEL_DPL));
}

/// Loads the tables and the registers that refer to them.
///
/// # Safety
///
/// Called once, in ring 0, with the monitor's area mapped, and its tables filled.
pub unsafe fn load() {
    let gdt = PseudoDescriptor { limit: (2 * ENTRIES * 8 - 1) as u16, base: monitor::GDT };
    let idt = PseudoDescriptor { limit: (monitor::VECTORS * 8 - 1) as u16, base: monitor::IDT };
    // Writes the busy bit of the task's descriptor, which is read-only where the table is used.
    // SAFETY: CR0.WP is still clear, so the processor may do that in ring 0.
    unsafe { load_descriptor_tables(&gdt, &idt) };
}
