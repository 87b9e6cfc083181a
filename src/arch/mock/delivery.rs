//! The delivery of interrupts: in gaps, inside calls, and to a processor that is halted.

use paravirt_vmi_abi::Call;

use super::explore::{Point, Step};
use super::foreign;
use super::journal::Event;
use super::run::stop;
use super::state::{self, Choice, Frame, Handler, State};
use super::{FlagCause, FlagChange, Misuse, Place};

/// The gap in front of `step`: what is pending is delivered, and sources may interrupt. There is none in front of
/// what is part of an operation.
pub(super) fn gap(step: Step, place: Place) {
    if state::with(|state| state.frame().in_operation) {
        return;
    }
    let point = Point { step, place, halted: false, forced: false };
    loop {
        deliver_pending(place);
        let choice =
            state::with(|state| if state.interrupt_flag { state.choose(&point) } else { Choice::Nothing });
        match choice {
            Choice::Nothing => return,
            Choice::Interrupt(vector) => deliver(vector, place),
            Choice::Stop(why) => return stop(why),
        }
    }
}

/// Delivers what is pending, as long as the interrupt flag is set.
pub(super) fn deliver_pending(place: Place) {
    while let Some(vector) = state::with(State::take_pending) {
        deliver(vector, place);
    }
}

/// Delivers an interrupt to the code at `place`: calls its handler with interrupts masked.
fn deliver(vector: u8, place: Place) {
    let begun = state::with(|state| {
        let handler = find_handler(state, vector, place)?;
        let interrupted = Interrupted::enter(state, vector, place);
        Ok((handler, interrupted))
    });
    let (handler, interrupted) = match begun {
        Ok(begun) => begun,
        Err(misuse) => return stop(Misuse::into(misuse)),
    };
    // This may unwind, so the state must not be in use.
    state::with(|state| state.tell_watch(place));
    (handler.function)();
    foreign::notice(place);
    let misuse = state::with(|state| interrupted.misuse(state, vector));
    drop(interrupted);
    state::with(|state| {
        state.note(Event::Returned { vector }, place);
        state.tell_watch(place);
    });
    if let Some(misuse) = misuse {
        stop(misuse.into());
    }
}

/// The handler of an interrupt that comes now, if it may.
fn find_handler(state: &mut State, vector: u8, place: Place) -> Result<Handler, Misuse> {
    state.deliveries += 1;
    if state.deliveries > state.limits.operations {
        return Err(Misuse::TooManyInterrupts { limit: state.limits.operations, vector, place });
    }
    let limit = state.limits.nesting;
    if state.frames.len() > limit {
        return Err(Misuse::NestedTooDeep { vector, place, limit });
    }
    state.handlers.get(&vector).cloned().ok_or(Misuse::NoHandler { vector, place })
}

/// Code that is interrupted. When this is dropped it goes on as it was, also if the handler unwinds.
struct Interrupted {
    /// How many frames there were.
    depth: usize,
    /// What had unmasked interrupts.
    change: FlagChange,
    /// A reset in between leaves nothing to go back to.
    resets: usize,
}

impl Interrupted {
    /// Enters the handler of `vector`.
    fn enter(state: &mut State, vector: u8, place: Place) -> Self {
        let interrupted = Self { depth: state.frames.len(), change: state.flag_change, resets: state.resets };
        state.frame().delivered = Some(vector);
        state.frames.push(Frame::new(Some(vector), place));
        state.set_flag(false, FlagCause::Interrupt(vector), place);
        state.note(Event::Delivered { vector }, place);
        interrupted
    }

    /// What is wrong with the way in which the handler returns.
    fn misuse(&self, state: &mut State, vector: u8) -> Option<Misuse> {
        if state.resets != self.resets {
            return None;
        }
        let change = state.flag_change;
        match state.frame().sections.innermost() {
            _ if state.interrupt_flag => Some(Misuse::HandlerChangedFlag { vector, change }),
            section => section.map(|section| Misuse::HandlerLeftSection { vector, section }),
        }
    }
}

impl Drop for Interrupted {
    fn drop(&mut self) {
        state::with(|state| {
            if state.resets == self.resets {
                state.frames.truncate(self.depth);
                (state.interrupt_flag, state.flag_change, state.shadow) = (true, self.change, false);
            }
        });
    }
}

/// The processor is halted by the call at `place`, which has unmasked interrupts; `masked` is by what they were
/// masked before it. Comes back when an interrupt has been delivered.
pub(super) fn halt(place: Place, masked: Option<FlagChange>) {
    if let Some(vector) = state::with(State::take_pending) {
        return deliver(vector, place);
    }
    let lost = state::with(|state| {
        let frame = state.frame();
        let lost = frame.checked.zip(frame.delivered);
        lost.map(|(checked, vector)| Misuse::LostWakeUp { place, vector, checked })
    });
    if let Some(misuse) = lost {
        return stop(misuse.into());
    }
    let choice = state::with(|state| {
        let forced = !state.timer_will_interrupt();
        state.choose(&Point { step: Step::Call(Call::HALT), place, halted: true, forced })
    });
    match choice {
        Choice::Interrupt(vector) => return deliver(vector, place),
        Choice::Stop(why) => return stop(why),
        Choice::Nothing => {}
    }
    if let Some(vector) = state::with(|state| {
        state.wait_for_timer(place);
        state.take_pending()
    }) {
        return deliver(vector, place);
    }
    stop(match masked {
        Some(masked) => Misuse::HaltedMasked { place, masked }.into(),
        None => Misuse::HaltedForEver { place }.into(),
    });
}
