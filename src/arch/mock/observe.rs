//! The calls of the interrupt flag, made for [`Vmi::self_test`](crate::boot::Vmi::self_test).
//!
//! # Safety
//!
//! A function is `unsafe` because its namesake on the processor is; the module has no unsafe block.
#![allow(unsafe_code)]

use paravirt_vmi_abi::Call;

use super::Place;
use super::call::{note, set_flag};
use super::explore::Step;
use super::operation::operation;
use super::state;
use crate::boot::Registers;
use crate::irq::INTERRUPT_FLAG;
use crate::patch::Relocation;

/// Makes a call of the interrupt flag; there is no code of a ROM here, and every register is kept.
///
/// # Safety
///
/// None is needed here; unsafe like its namesake on the processor.
#[track_caller]
pub(crate) unsafe fn observe(call: Call, relocation: Relocation, before: &mut Registers) -> Registers {
    observe_at(call, relocation, before, Place::caller())
}

/// The same, for a caller at `place`.
///
/// The mask is that of the flag alone: it is no state that is saved, and restoring it ends no section.
pub(super) fn observe_at(
    call: Call,
    _relocation: Relocation,
    before: &mut Registers,
    place: Place,
) -> Registers {
    let mut eax = before.eax;
    match call {
        Call::GET_INTERRUPT_MASK => {
            eax = operation(Step::Call(call), place, || {
                state::with(|state| {
                    note(state, call, &[], place);
                    if state.interrupt_flag { INTERRUPT_FLAG } else { 0 }
                })
            });
        }
        Call::SET_INTERRUPT_MASK => set_flag(call, &[eax as usize], eax & INTERRUPT_FLAG != 0, place),
        call => set_flag(call, &[], call == Call::ENABLE_INTERRUPTS, place),
    }
    Registers { eax, ..*before }
}
