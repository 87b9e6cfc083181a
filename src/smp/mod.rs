//! Starting the other processors.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`set_initial_ap_state`] | nothing | SetInitialAPState (62) |
//! | [`ProcessorStart::run`] | INIT, STARTUP, STARTUP | the same, with the state announced between |
//!
//! Under a hypervisor another processor begins in paravirtual mode at once, in exactly the state that
//! [`InitialState`] describes: paging on, segments loaded from the GDT given there. It makes no vmi_init; the
//! first thing it does is to declare its [linear mappings](crate::mmu::set_linear_mapping). Natively it begins
//! in real mode at a [page](TrampolinePage) of the kernel's, whose code brings it into the same state: it can
//! load the registers from the same [`ApStatePage`].
//!
//! A processor whose state is not right never starts and nobody says so: [`ProcessorStart::run`] ends after a
//! time-out. Source: facts sheet, section 7.5.
//!
//! # Safety
//!
//! The block below makes the call of the table. Another processor runs whatever its state says: giving it one
//! is `unsafe`.
#![allow(unsafe_code)]

mod start;
mod state;

use paravirt_vmi_abi::ApState;

use crate::arch;

pub use start::{ProcessorStart, StartError, StartErrorCause, TrampolinePage};
pub use state::{InitialState, StateError};

/// The state of a starting processor in memory, at the start of a page, as the specification wants it.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct ApStatePage(ApState);

impl ApStatePage {
    /// The page for the given state.
    ///
    /// # Errors
    ///
    /// If a processor cannot start in the state.
    pub fn new(state: &InitialState) -> Result<Self, StateError> {
        state.to_ap_state().map(Self)
    }

    /// The registers.
    pub fn state(&self) -> &ApState {
        &self.0
    }
}

/// Announces the state (linear address in EAX) in which the processor with the APIC id `apic_id` (EDX) starts
/// at the next STARTUP. Natively nothing.
///
/// # Safety
///
/// The processor is not running the kernel, and has had an INIT. The state is sound for it: its tables, its
/// stack and its code are there, and its own. It stays in place and as it is until the processor is up.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_initial_ap_state(state: &ApStatePage, apic_id: u8) {
    let state = arch::linear(state);
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_initial_ap_state(state, u32::from(apic_id)) };
}
