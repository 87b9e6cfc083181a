//! The interrupt descriptor table.
//!
//! # Safety
//!
//! The gates lead to the stubs in `traps`, which save every register.
#![allow(unsafe_code)]

use core::arch::asm;

use paravirt_vmi::abi::DescriptorTableRegister;
use paravirt_vmi::descriptor::Descriptor;

use crate::gdt::KERNEL_CODE;
use crate::traps::{ENTRY_SIZE, VECTORS, trap_entries};

/// Present, interrupt gate: masks interrupts on the way in.
const INTERRUPT_GATE: u64 = 0x8E << 40;
const DPL_3: u64 = 3 << 45;

/// A table, at the start of a page.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub struct Table(pub [Descriptor; VECTORS]);
static mut IDT: Table = Table([Descriptor(0); VECTORS]);

/// The kernel's table.
pub fn table() -> *mut Table {
    &raw mut IDT
}

/// What loads a table.
pub fn register(table: *const Table) -> DescriptorTableRegister {
    DescriptorTableRegister::new(size_of::<[Descriptor; VECTORS]>() as u16 - 1, table as u32)
}

/// An interrupt gate of ring 0 to the code at `entry`.
pub fn gate(entry: u32) -> Descriptor {
    let entry = u64::from(entry);
    let target = (entry & 0xFFFF) | (entry >> 16) << 48;
    Descriptor(INTERRUPT_GATE | u64::from(KERNEL_CODE) << 16 | target)
}

/// Loads a table with a gate for each vector; ring 3 can use only those of `for_user`.
///
/// # Safety
///
/// Called once, in ring 0, after the kernel's segments were loaded.
#[inline(never)]
#[unsafe(link_section = ".boot.text")]
pub unsafe fn load(for_user: &[u8]) {
    let table = &raw mut IDT;
    for vector in 0..VECTORS {
        let mut gate = gate(&raw const trap_entries as u32 + (vector * ENTRY_SIZE) as u32);
        if for_user.iter().any(|open| usize::from(*open) == vector) {
            gate.0 |= DPL_3;
        }
        // SAFETY: the table is not in use before it is loaded below.
        unsafe { (*table).0[vector] = gate };
    }
    let register = register(table);
    // SAFETY: the table is valid and stays where it is.
    unsafe { asm!("lidt [{}]", in(reg) &raw const register, options(nostack, preserves_flags)) };
}
