//! The calls, as the rest of the crate makes them.
//!
//! # Safety
//!
//! The functions are `unsafe` because their namesakes on the processor are; the module has no unsafe block.
#![allow(unsafe_code)]

use paravirt_vmi_abi::Call;
use std::vec::Vec;

use super::cpu::Flavour;
use super::explore::Step;
use super::journal::Event;
use super::operation::operation;
use super::run::stop;
use super::state::{self, State};
use super::{FlagCause, Linear, Misuse, Place, delivery, model, section};
use crate::irq::INTERRUPT_FLAG;

/// An argument: a value of 32 bits, or an address.
pub(crate) trait Argument {
    /// The argument, as wide as an address is here.
    fn to_word(self) -> Linear;
}

impl Argument for u32 {
    fn to_word(self) -> Linear {
        self as Linear
    }
}

impl Argument for Linear {
    fn to_word(self) -> Linear {
        self
    }
}

/// Makes `call`: EAX, EBX, ECX and EDX afterwards.
fn make(call: Call, arguments: &[Linear], place: Place) -> [u32; 4] {
    operation(Step::Call(call), place, || {
        let answer = state::with(|state| {
            note(state, call, arguments, place);
            state.checks(place);
            state.answers.get(&call.number()).copied()
        });
        match answer {
            Some(answer) => [answer as u32, 0, 0, (answer >> 32) as u32],
            None => model::perform(call, arguments, place),
        }
    })
}

/// Makes a call that sets the interrupt flag to `enabled`.
pub(super) fn set_flag(call: Call, arguments: &[Linear], enabled: bool, place: Place) {
    operation(Step::Call(call), place, || {
        let misuse = state::with(|state| {
            let section = state.frame().sections.innermost();
            // Natively an interrupt is taken no earlier than at the end of the instruction behind `sti`.
            let is_sti = call == Call::ENABLE_INTERRUPTS && state.flavour == Flavour::Native;
            state.shadow = is_sti && !state.interrupt_flag;
            state.set_flag(enabled, FlagCause::Call(call), place);
            note(state, call, arguments, place);
            section.filter(|_| enabled).map(|section| Misuse::UnmaskedInSection { call, place, section })
        });
        if let Some(misuse) = misuse {
            stop(misuse.into());
        }
    });
}

/// Writes a call down.
pub(super) fn note(state: &mut State, call: Call, arguments: &[Linear], place: Place) {
    let arguments: Vec<u32> = arguments.iter().map(|argument| *argument as u32).collect();
    state.note(Event::Call { call, arguments }, place);
}

/// The place of the caller's caller, or of the section whose end this is.
#[track_caller]
fn place() -> Place {
    let place = Place::caller();
    state::with(|state| state.ending.take()).unwrap_or(place)
}

/// The bits of an interrupt mask that have no meaning: they carry the number of the saved state, so that code
/// that looks at more than bit 9 is noticed, and a state is known again when it is restored.
mod mask {
    use super::INTERRUPT_FLAG;

    const LOW: u32 = INTERRUPT_FLAG - 1;

    /// The mask of a saved state.
    pub(super) fn encode(number: u32, enabled: bool) -> u32 {
        let flag = if enabled { INTERRUPT_FLAG } else { 0 };
        number & LOW | flag | (number & !LOW) << 1
    }

    /// The number of the saved state.
    pub(super) fn number(mask: u32) -> u32 {
        mask & LOW | (mask >> 1) & !LOW
    }
}

/// One function for each call.
macro_rules! mock_function {
    ($name:ident, { $n:literal ENABLE_INTERRUPTS $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name() {
            set_flag(Call::ENABLE_INTERRUPTS, &[], true, place());
        }
    };
    ($name:ident, { $n:literal DISABLE_INTERRUPTS $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name() {
            set_flag(Call::DISABLE_INTERRUPTS, &[], false, place());
        }
    };
    ($name:ident, { $n:literal GET_INTERRUPT_MASK $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name() -> u32 {
            let place = place();
            let call = Call::GET_INTERRUPT_MASK;
            operation(Step::Call(call), place, || {
                state::with(|state| {
                    note(state, call, &[], place);
                    let number = state.next_number();
                    state.frame().sections.save(number, place);
                    mask::encode(number, state.interrupt_flag)
                })
            })
        }
    };
    // Only bit 9 of the argument has a meaning.
    ($name:ident, { $n:literal SET_INTERRUPT_MASK $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name(mask: u32) {
            let (place, number) = (place(), mask::number(mask));
            if let Err(misuse) = state::with(|state| section::check_restore(state, number, place)) {
                stop(misuse.into());
            }
            set_flag(Call::SET_INTERRUPT_MASK, &[mask as Linear], mask & INTERRUPT_FLAG != 0, place);
        }
    };
    ($name:ident, { $n:literal HALT $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name() {
            let place = place();
            let call = Call::HALT;
            operation(Step::Call(call), place, || {
                let (masked, misuse) = state::with(|state| {
                    let masked = (!state.interrupt_flag).then_some(state.flag_change);
                    let section = state.frame().sections.innermost();
                    state.set_flag(true, FlagCause::Call(call), place);
                    note(state, call, &[], place);
                    (masked, section.map(|section| Misuse::UnmaskedInSection { call, place, section }))
                });
                match misuse {
                    Some(misuse) => stop(misuse.into()),
                    None => delivery::halt(place, masked),
                }
                state::with(|state| {
                    let frame = state.frame();
                    (frame.checked, frame.delivered) = (None, None);
                });
            });
        }
    };
    // The TSS, which 3.0 does not look at, travels along for 13.x.
    ($name:ident, { $n:literal UPDATE_KERNEL_STACK $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name(ss0: u32, esp0: u32, _tss: impl Argument) {
            make(Call::UPDATE_KERNEL_STACK, &[ss0 as Linear, esp0 as Linear], place());
        }
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in($($location:ident $argument:ident),*) out() $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name($($argument: impl Argument),*) {
            make(Call::$call, &[$($argument.to_word()),*], place());
        }
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in($($location:ident $argument:ident),*) out(!) $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name($($argument: impl Argument),*) -> ! {
            let place = place();
            make(Call::$call, &[$($argument.to_word()),*], place);
            panic!("{} at {place}: the processor stops here", Call::$call);
        }
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in($($location:ident $argument:ident),*) out($register:ident $result:ident) $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name($($argument: impl Argument),*) -> u32 {
            let [eax, ..] = make(Call::$call, &[$($argument.to_word()),*], place());
            eax
        }
    };
    ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
       in($($location:ident $argument:ident),*) out(eax $low:ident, edx $high:ident) $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name($($argument: impl Argument),*) -> u64 {
            let [eax, _, _, edx] = make(Call::$call, &[$($argument.to_word()),*], place());
            u64::from(edx) << 32 | u64::from(eax)
        }
    };
    ($name:ident, { $n:literal CPUID $abi:literal $group:ident
       in($($location:ident $argument:ident),*) $($row:tt)* }) => {
        #[track_caller]
        pub(crate) unsafe fn $name($($argument: impl Argument),*) -> [u32; 4] {
            make(Call::CPUID, &[$($argument.to_word()),*], place())
        }
    };
}
for_each_function!(mock_function);

/// EnableInterrupts, which is left out if bit 9 of `mask` is clear.
#[track_caller]
pub(crate) unsafe fn enable_interrupts_if(mask: u32) {
    if mask & INTERRUPT_FLAG != 0 {
        // SAFETY: passed on to the caller.
        unsafe { enable_interrupts() };
    }
}
