//! Resetting the machine, and switching a processor off.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`reboot`] | the reset control register, the keyboard controller, a triple fault | Reboot (36) |
//! | [`shutdown`] | `cli; hlt`, again and again | Shutdown (37) |
//!
//! Source: facts sheet, section 4.1.
//!
//! # Safety
//!
//! The blocks below make the calls of the table. Neither comes back, so neither can break anything that
//! runs later; both natively need CPL 0.
#![allow(unsafe_code)]

use paravirt_vmi_abi::flags::RebootKind;

use crate::arch;

/// Resets the machine: kind in EAX.
///
/// ```no_run
/// use paravirt_vmi::abi::flags::RebootKind;
///
/// paravirt_vmi::power::reboot(RebootKind::HARD)
/// ```
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn reboot(kind: RebootKind) -> ! {
    // SAFETY: does not come back.
    unsafe { arch::call::reboot(kind.0) }
}

/// Switches this processor off: it takes no interrupt and runs nothing until it is reset. Under a hypervisor
/// the last processor that does so ends the virtual machine.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn shutdown() -> ! {
    // SAFETY: does not come back.
    unsafe { arch::call::shutdown() }
}
