//! Registers as they are seen from outside the guest crate, where that shows the kernel's own.
//!
//! In ring 0 the instruction tells what a call has done. In ring 1 `sgdt`, `sidt`, `sldt` and `str` do not
//! trap and show what the hypervisor has loaded; there the call that reads has to do, and what a call did is
//! seen by its effect alone. Source: facts sheet, section 9.2.

use paravirt_vmi::abi::DescriptorTableRegister;
use paravirt_vmi::descriptor::{self, Selector, kernel_ring};

use crate::raw;

/// Whether the processor's registers are the kernel's own.
pub fn is_visible() -> bool {
    kernel_ring() == 0
}

/// The GDT register.
pub fn gdt() -> DescriptorTableRegister {
    if is_visible() { raw::gdt() } else { descriptor::gdt() }
}

/// The IDT register.
pub fn idt() -> DescriptorTableRegister {
    if is_visible() { raw::idt() } else { descriptor::idt() }
}

/// The selector in the LDT register.
pub fn ldt() -> Selector {
    if is_visible() { Selector(raw::ldt() as u16) } else { descriptor::ldt() }
}

/// The selector in the task register.
pub fn tr() -> Selector {
    if is_visible() { Selector(raw::tr() as u16) } else { descriptor::tr() }
}
