//! The sections that are measured.
//!
//! All do the same work, one plain store. Each function is a loop around [`UNROLLED`] sections, so that the loop
//! itself costs next to nothing.
//!
//! # Safety
//!
//! Nothing relies on masking, and no interrupt comes. The flag's byte is in a page that stays mapped.
#![allow(unsafe_code)]

use std::arch::asm;
use std::cell::UnsafeCell;
use std::ptr;

use paravirt_vmi::irq;
use paravirt_vmi_abi::flags::InterruptMask;
use vmi_hypervisor::layout::{SHARED, shared};

/// Sections in one turn of a loop.
pub const UNROLLED: u32 = 16;

/// The byte with the flag, and the flag in it.
const FLAG_BYTE: u32 = InterruptMask::IF.bits().trailing_zeros() / 8;
const FLAG: u8 = (InterruptMask::IF.bits() >> (8 * FLAG_BYTE)) as u8;

/// What the sections store to.
struct Work(UnsafeCell<u32>);

// SAFETY: one thread uses it.
unsafe impl Sync for Work {}

static WORK: Work = Work(UnsafeCell::new(0));

/// The work in a section.
#[inline(always)]
fn work() {
    // SAFETY: nothing refers to it.
    unsafe { WORK.0.get().write_volatile(1) };
}

/// A function that makes `sections` sections of the given kind.
macro_rules! repeat {
    ($(#[$doc:meta])* $name:ident: $section:expr) => {
        $(#[$doc])*
        #[inline(never)]
        pub fn $name(sections: u32) {
            for _ in 0..sections / UNROLLED {
                repeat!(@ $section, $section, $section, $section);
                repeat!(@ $section, $section, $section, $section);
                repeat!(@ $section, $section, $section, $section);
                repeat!(@ $section, $section, $section, $section);
            }
        }
    };
    (@ $($section:expr),*) => {
        $($section;)*
    };
}

repeat!(
    /// What this crate offers.
    without_interrupts: irq::without_interrupts(work)
);

repeat!(
    /// Masking and unmasking, without the question of what was before.
    disable_enable: {
        irq::disable();
        work();
        // SAFETY: see the module.
        unsafe { irq::enable() };
    }
);

repeat!(
    /// Saving, masking, restoring.
    save_restore: {
        let state = irq::save();
        irq::disable();
        work();
        // SAFETY: see the module.
        unsafe { irq::restore(state) };
    }
);

repeat!(
    /// The limit: what a person would write who knows this hypervisor and no other. Two plain stores and a test.
    by_hand: {
        let was: u8;
        // SAFETY: see the module.
        unsafe {
            asm!(
                "mov {was}, [{flag_byte}]",
                "mov byte ptr [{flag_byte}], 0",
                was = out(reg_byte) was,
                flag_byte = const SHARED + shared::FLAG + FLAG_BYTE,
                options(nostack, preserves_flags),
            );
        }
        work();
        // SAFETY: see the module.
        unsafe {
            asm!(
                "test {was}, {flag}",
                "jz 2f",
                "mov byte ptr [{flag_byte}], {flag}",
                "2:",
                was = in(reg_byte) was,
                flag = const FLAG,
                flag_byte = const SHARED + shared::FLAG + FLAG_BYTE,
                options(nostack),
            );
        }
    }
);

repeat!(
    /// The same for masking and unmasking: two plain stores.
    stores_by_hand: {
        let flag = ptr::with_exposed_provenance_mut::<u8>((SHARED + shared::FLAG + FLAG_BYTE) as usize);
        // SAFETY: see the module.
        unsafe { flag.write_volatile(0) };
        work();
        // SAFETY: see the module.
        unsafe { flag.write_volatile(FLAG) };
    }
);

repeat!(
    /// The work alone.
    nothing: work()
);
