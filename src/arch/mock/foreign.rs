//! Sections of another implementation of `critical-section`, that of its feature `std`: see
//! [`provider`](super::provider).
//!
//! They exclude threads and do not know of processors. So the processor learns of them when it is used: in the
//! first operation inside a section interrupts become masked, and in the first one behind it they are what they
//! were. What a handler does between the last operation and the begin of the section can be told from what it does
//! in front of that operation, and the section itself is no operation; so in such programs there is a gap behind
//! each operation as well.

use paravirt_vmi_abi::Call;

use super::delivery::gap;
use super::explore::Step;
use super::{FlagCause, Place, provider, state};

/// Masks interrupts if the code at `place` is in a section, and makes them what they were if it has left it.
pub(super) fn notice(place: Place) {
    if !provider::is_overridden() {
        return;
    }
    let is_in_section = provider::is_in_section();
    state::with(|state| match (is_in_section, state.behind_foreign) {
        (true, None) => {
            state.behind_foreign = Some(state.interrupt_flag);
            state.set_flag(false, FlagCause::Call(Call::DISABLE_INTERRUPTS), place);
        }
        (false, Some(flag)) => {
            state.behind_foreign = None;
            state.set_flag(flag, FlagCause::Call(Call::ENABLE_INTERRUPTS), place);
        }
        _ => {}
    });
}

/// The gap behind `step`, if a section can begin unseen before the next one.
pub(super) fn gap_behind(step: Step, place: Place) {
    if provider::is_overridden() {
        notice(place);
        if !state::with(|state| state.shadow) {
            gap(step, place);
        }
    }
}
