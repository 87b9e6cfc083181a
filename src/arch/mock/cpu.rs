//! [`Cpu`]: the handle to a thread's processor.

use core::marker::PhantomData;
use std::rc::Rc;
use std::vec::Vec;

use paravirt_vmi_abi::Call;

use super::delivery::{deliver_pending, gap};
use super::explore::Step;
use super::foreign;
use super::journal::{Entry, Event};
use super::operation::operation;
use super::run::stop;
use super::state::{self, Handler, Source, State};
use super::{FlagCause, Limits, Misuse, Place};
use crate::descriptor::came_from_user;
use crate::irq::INTERRUPT_FLAG;
use crate::user::UserFrame;

/// What a processor runs on, as far as it can be told by when interrupts arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// The machine: interrupts wait in the shadow of `sti` for the end of the next operation.
    #[default]
    Native,
    /// A VMI hypervisor: EnableInterrupts delivers inside the call.
    Vmi,
}

impl Flavour {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Native, Self::Vmi];
}

/// What an IRET site finds on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptFrame {
    /// EIP.
    pub eip: u32,
    /// CS, in bits 15 to 0.
    pub cs: u32,
    /// EFLAGS.
    pub eflags: u32,
}

impl From<UserFrame> for InterruptFrame {
    fn from(frame: UserFrame) -> Self {
        Self { eip: frame.eip(), cs: frame.cs().0.into(), eflags: frame.flags().bits() }
    }
}

/// This thread's processor.
///
/// A handle: copies are the same processor, and it stays on its thread. [`run`](super::run()) and
/// [`explore`](super::explore()) hand out that of a test; [`Cpu::current`] that of any thread, on which interrupts are
/// masked first, as after a reset.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    not_send: PhantomData<*mut ()>,
}

impl Cpu {
    /// The processor of the thread that asks.
    pub fn current() -> Self {
        Self { not_send: PhantomData }
    }

    /// Resets the processor: interrupts masked, nothing pending, no handlers, everything else as at power-on, an
    /// empty journal. The flavour and the limits stay.
    ///
    /// For threads outside [`run`](super::run()), whose processors are not fresh. A handler that resets the
    /// processor returns to nothing: the code that it has interrupted goes on with interrupts masked.
    #[track_caller]
    pub fn reset(self) {
        let place = Place::caller();
        let old = state::with(|state| {
            let mut fresh = State::new(state.flavour, FlagCause::Reset, place);
            fresh.limits = state.limits;
            fresh.script = state.script.take();
            fresh.watch = state.watch.take();
            fresh.stop = state.stop.take();
            fresh.stop_while_unwinding = state.stop_while_unwinding.take();
            (fresh.numbers, fresh.resets) = (state.numbers, state.resets + 1);
            core::mem::replace(state, fresh)
        });
        // Handlers may use the processor when they are dropped.
        drop(old);
    }

    /// What the processor runs on.
    pub fn flavour(self) -> Flavour {
        state::with(|state| state.flavour)
    }

    /// Makes the processor run on something else.
    pub fn set_flavour(self, flavour: Flavour) {
        state::with(|state| state.flavour = flavour);
    }

    /// When the test is given up.
    pub fn limits(self) -> Limits {
        state::with(|state| state.limits)
    }

    /// The interrupt flag; reading it here is no call.
    #[track_caller]
    pub fn interrupt_flag(self) -> bool {
        foreign::notice(Place::caller());
        state::with(|state| state.interrupt_flag)
    }

    /// Makes `handler` the handler of a vector, in place of any other. It runs with interrupts masked, as behind an
    /// interrupt gate, and not while it is under way: the vector stays pending until it has returned.
    pub fn handle(self, vector: u8, handler: impl Fn() + 'static) {
        self.set_handler(vector, Handler { function: Rc::new(handler), reentrant: false });
    }

    /// Like [`handle`](Self::handle), of a device that interrupts again while its handler is under way: once the
    /// handler has unmasked interrupts, it can be interrupted by itself.
    pub fn handle_reentrant(self, vector: u8, handler: impl Fn() + 'static) {
        self.set_handler(vector, Handler { function: Rc::new(handler), reentrant: true });
    }

    fn set_handler(self, vector: u8, handler: Handler) {
        let old = state::with(|state| state.handlers.insert(vector, handler));
        drop(old);
    }

    /// Makes an interrupt pending, as a device would; it is delivered as soon as the processor takes one.
    #[track_caller]
    pub fn raise(self, vector: u8) {
        let place = Place::caller();
        foreign::notice(place);
        let in_operation = state::with(|state| {
            state.raise(vector, place);
            state.frame().in_operation
        });
        if !in_operation {
            deliver_pending(place);
        }
    }

    /// Whether an interrupt is pending.
    pub fn is_pending(self, vector: u8) -> bool {
        state::with(|state| state.pending.contains(&vector))
    }

    /// There is a device that may interrupt with this vector at any time from now on, any number of times. In
    /// [`explore`](super::explore()) it does, everywhere; elsewhere only when the processor is halted, nothing is
    /// pending, and no timer is set. In place of any other with this vector.
    pub fn source(self, vector: u8) {
        self.set_source(Source { vector, left: None });
    }

    /// The same of a device that interrupts no more than `times` times.
    pub fn source_limited(self, vector: u8, times: usize) {
        self.set_source(Source { vector, left: Some(times) });
    }

    fn set_source(self, source: Source) {
        state::with(|state| {
            state.sources.retain(|other| other.vector != source.vector);
            state.sources.push(source);
        });
    }

    /// A place where an interrupt could arrive, in code that has no operation there.
    #[track_caller]
    pub fn point(self) {
        let place = Place::caller();
        operation(Step::Mark, place, || ());
    }

    /// What an [IRET site](crate::iret_site) does with `frame`: the interrupt flag becomes that of the frame, and
    /// what is pending is delivered. Entering user mode with IF clear is a misuse; a
    /// [`UserFrame`] cannot ask for it.
    ///
    /// For the Rust code around a kernel's way out; the assembly itself does not run here.
    #[track_caller]
    pub fn iret(self, frame: impl Into<InterruptFrame>) {
        let (place, frame) = (Place::caller(), frame.into());
        let InterruptFrame { eip, cs, eflags } = frame;
        let enabled = eflags & INTERRUPT_FLAG != 0;
        let misuse =
            (came_from_user(cs, eflags) && !enabled).then_some(Misuse::MaskedUserMode { place, eflags });
        leave(Call::IRET, &[eip, cs, eflags], enabled, misuse, place);
    }

    /// What a [SYSEXIT site](crate::sysexit_site) does: interrupts are unmasked, and what is pending is delivered.
    #[track_caller]
    pub fn sysexit(self, eip: u32, esp: u32) {
        leave(Call::SYSEXIT, &[eip, esp], true, None, Place::caller());
    }

    /// What has happened since the processor was reset.
    pub fn journal(self) -> Vec<Entry> {
        state::with(|state| state.journal.clone())
    }

    /// The calls that were made since the processor was reset.
    pub fn calls(self) -> Vec<Call> {
        state::with(|state| state.journal.iter().filter_map(Entry::call).collect())
    }

    /// Makes `call` answer `value` from now on, whatever is known of the processor: bits 31 to 0 in EAX, bits 63 to
    /// 32 in EDX. The call then does nothing else.
    ///
    /// The calls of [`irq`](crate::irq) are not answered by this.
    ///
    /// ```
    /// use paravirt_vmi::abi::Call;
    /// use paravirt_vmi::{mock::Cpu, time::Clock};
    ///
    /// Cpu::current().answer(Call::GET_CYCLE_FREQUENCY, 3_000_000_000);
    /// assert_eq!(Clock::find().unwrap().frequency().get(), 3_000_000_000);
    /// ```
    pub fn answer(self, call: Call, value: u64) {
        state::with(|state| state.answers.insert(call.number(), value));
    }

    /// The end of a test: the last gap, in no shadow, and the flag as it was at the start.
    pub(super) fn end(self, place: Place) {
        foreign::notice(place);
        state::with(|state| state.shadow = false);
        gap(Step::End, place);
        let masked = state::with(|state| (!state.interrupt_flag).then_some(state.flag_change));
        if let Some(masked) = masked {
            stop(Misuse::EndedMasked { masked }.into());
        }
    }
}

/// Leaves the code at `place` by `call`, which is a misuse for the given reason, if for any.
fn leave(call: Call, arguments: &[u32], enabled: bool, misuse: Option<Misuse>, place: Place) {
    operation(Step::Call(call), place, || {
        let misuse = state::with(|state| {
            let section = state.frame().sections.innermost().filter(|_| enabled);
            state.set_flag(enabled, FlagCause::Call(call), place);
            state.note(Event::Call { call, arguments: arguments.to_vec() }, place);
            misuse.or(section.map(|section| Misuse::UnmaskedInSection { call, place, section }))
        });
        if let Some(misuse) = misuse {
            stop(misuse.into());
        }
    });
}
