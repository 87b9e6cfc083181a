//! The interrupt descriptor table.
//!
//! # Safety
//!
//! The gates lead to the stubs in `traps`, which save every register.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::gdt::{KERNEL_CODE, TableRegister};
use crate::traps::{ENTRY_SIZE, VECTORS, trap_entries};

/// Present, interrupt gate: masks interrupts on the way in.
const INTERRUPT_GATE: u64 = 0x8E << 40;
const DPL_3: u64 = 3 << 45;

#[repr(C, align(4096))]
struct Table([u64; VECTORS]);
static mut IDT: Table = Table([0; VECTORS]);

/// Loads a table with a gate for each vector; ring 3 can use only that of `system_call`.
///
/// # Safety
///
/// Called once, in ring 0, after the kernel's segments were loaded.
#[unsafe(link_section = ".boot.text")]
pub unsafe fn load(system_call: u8) {
    let table = &raw mut IDT;
    for vector in 0..VECTORS {
        let entry = u64::from(&raw const trap_entries as u32) + (vector * ENTRY_SIZE) as u64;
        let mut gate = INTERRUPT_GATE | u64::from(KERNEL_CODE) << 16;
        gate |= (entry & 0xFFFF) | (entry >> 16) << 48;
        if vector == usize::from(system_call) {
            gate |= DPL_3;
        }
        // SAFETY: the table is not in use before it is loaded below.
        unsafe { (*table).0[vector] = gate };
    }
    let register = TableRegister { limit: size_of::<Table>() as u16 - 1, base: table as u32 };
    // SAFETY: the table is valid and stays where it is.
    unsafe { asm!("lidt [{}]", in(reg) &raw const register, options(nostack, preserves_flags)) };
}
