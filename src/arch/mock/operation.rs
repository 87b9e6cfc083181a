//! Operations: what the code under test does that can be told apart, with a gap in front of each.

use paravirt_vmi_abi::Call;

use super::delivery::{deliver_pending, gap};
use super::explore::Step;
use super::foreign;
use super::run::stop;
use super::state;
use super::{Misuse, Place};

/// Carries an operation out: the gap in front of it, its `effect`, and what is delivered by it. `effect` writes
/// down what has happened.
///
/// What a device does while it is accessed is part of the access: operations in `effect` have no gaps.
pub(super) fn operation<R>(step: Step, place: Place, effect: impl FnOnce() -> R) -> R {
    let shadowed = begin(step, place);
    if !shadowed {
        gap(step, place);
    }
    let under_way = UnderWay::enter();
    let result = effect();
    drop(under_way);
    if !state::with(|state| state.frame().in_operation) {
        deliver_pending(place);
    }
    foreign::gap_behind(step, place);
    result
}

/// An operation begins; whether it is in the shadow of `sti`.
pub(super) fn begin(step: Step, place: Place) -> bool {
    foreign::notice(place);
    let (shadowed, misuse) = state::with(|state| {
        state.operations += 1;
        state.frame().operations += 1;
        state.tell_watch(place);
        if !state.frame().in_operation {
            state.pass_operation(place);
        }
        let limit = state.limits.operations;
        let misuse = (state.operations > limit).then(|| {
            let (handler, own) = (state.handler(), state.frame().operations);
            Misuse::TooManyOperations { limit, place, handler, own }
        });
        (!state.frame().in_operation && core::mem::take(&mut state.shadow), misuse)
    });
    if let Some(misuse) = misuse {
        stop(misuse.into());
    }
    // Halt is `sti; hlt`: the shadow of another `sti` in front of it ends between the two.
    shadowed && step != Step::Call(Call::HALT)
}

/// An operation is under way until this is dropped, also by unwinding.
struct UnderWay {
    /// Whether it is part of another one.
    outer: bool,
}

impl UnderWay {
    fn enter() -> Self {
        state::with(|state| Self { outer: core::mem::replace(&mut state.frame().in_operation, true) })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        state::with(|state| state.frame().in_operation = self.outer);
    }
}
