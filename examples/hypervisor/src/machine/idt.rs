//! The interrupt descriptor table: every gate leads to `switch`, in ring 0, with interrupts masked.

use vmi_hypervisor::fault::vector;
use vmi_hypervisor::layout::{HYPERCALL, KERNEL_RING};

use super::monitor::{CODE, Monitor, VECTORS};
use super::{gdt, switch};

/// Present, interrupt gate of 32 bits.
const INTERRUPT_GATE: u64 = 0x8E << 40;

/// Writes the gates. The guest can use those of INT3 and INTO, as user code can on most kernels, and its kernel
/// that of the hypercalls.
pub fn fill(monitor: &mut Monitor) {
    for number in 0..VECTORS {
        let entry = u64::from(CODE) + (number * switch::STUB_SIZE) as u64;
        let ring: u64 = match number as u8 {
            vector::BREAKPOINT | vector::OVERFLOW => 3,
            HYPERCALL => KERNEL_RING.into(),
            _ => 0,
        };
        let target = (entry & 0xFFFF) | (entry >> 16) << 48;
        monitor.idt[number] = INTERRUPT_GATE | ring << 45 | u64::from(gdt::CODE) << 16 | target;
    }
}
