//! The implementation of the crate `critical-section`: sections with interrupts masked.
//!
//! What it promises is what [`irq`] promises: interrupts of this processor stay away, other processors go
//! on. So it is for kernels that run on one processor. Nesting is seen by the interrupt flag alone, asked for by
//! GetInterruptMask (31) and never by `pushf` outside a site; restore states of type `bool` say whether the section
//! found interrupts unmasked, and has to unmask them.
//!
//! On other architectures the program is a test with threads, each with a processor of its own that shares memory
//! with the others. There a section masks the interrupts of its thread's mock processor, so that the mock sees it,
//! and excludes the other threads as well.
//!
//! # Safety
//!
//! `critical-section` asks for mutual exclusion and for acquire and release order. On one processor whoever is in
//! a section has interrupts masked until it leaves, so nobody else runs, let alone enters; non-maskable interrupts
//! and other processors are what the feature's documentation excludes. The compiler moves no load or store across
//! the calls of [`irq`], and one processor sees its own accesses in their order. On other architectures the lock
//! gives both.
#![allow(unsafe_code)]

use ::critical_section::{Impl, RawRestoreState};

use crate::irq;
#[cfg(not(target_arch = "x86"))]
use crate::mock::lock;

/// Sections with interrupts masked.
pub(crate) struct MaskedInterrupts;

// Elsewhere the mock offers it.
#[cfg(target_arch = "x86")]
::critical_section::set_impl!(MaskedInterrupts);

// SAFETY: see the module.
unsafe impl Impl for MaskedInterrupts {
    unsafe fn acquire() -> RawRestoreState {
        #[cfg(not(target_arch = "x86"))]
        if !lock::has_processor() {
            lock::acquire();
            return false;
        }
        let was_enabled = irq::is_enabled();
        irq::disable();
        #[cfg(not(target_arch = "x86"))]
        lock::acquire();
        was_enabled
    }

    unsafe fn release(was_enabled: RawRestoreState) {
        #[cfg(not(target_arch = "x86"))]
        lock::release(was_enabled);
        if was_enabled {
            // SAFETY: interrupts were unmasked when the section began, and by the contract of `release` every
            // section that began later has ended.
            unsafe { irq::enable() };
        }
    }
}
