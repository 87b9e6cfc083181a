//! The test of a ROM that has been patched in, and the way back from one that fails it.
//!
//! # Safety
//!
//! See [`passes`].
#![allow(unsafe_code)]

use paravirt_vmi::boot::{Options, Vmi};

use crate::activation::stay_native;
use crate::sensitive;
use crate::serial::line;
use crate::text;

/// Whether the ROM keeps to the interface after activation with `options`; if not, it is said what is wrong, and the
/// kernel is native again.
///
/// # Panics
///
/// If the ROM does not keep to the interface, and the kernel is not in ring 0.
///
/// # Safety
///
/// As for [`Vmi::self_test`].
pub unsafe fn passes(vmi: &Vmi, options: &Options) -> bool {
    // SAFETY: passed on to the caller.
    let Err(error) = (unsafe { vmi.self_test(options) }) else { return true };
    line!("@error {error}");
    stay_native(vmi.kernel_ring);
    // By the instruction: in ring 0 it is known what that does.
    sensitive::cli();
    // SAFETY: interrupts are masked, no other processor runs, and the kernel is in ring 0.
    let reverted = unsafe { vmi.plan.revert(&mut text::writer()) };
    assert!(reverted.is_ok(), "the sites cannot be made native again: {reverted:?}");
    false
}
