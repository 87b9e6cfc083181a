//! Descriptor tables, the kernel's stack, and the states of processors that are to start.
//!
//! # Safety
//!
//! The unsafe blocks read and write memory that [`descriptor`](crate::descriptor) and [`smp`](crate::smp) were given
//! for it.
#![allow(unsafe_code)]

use std::boxed::Box;
use std::collections::BTreeMap;

use paravirt_vmi_abi::{ApState, Call, DescriptorTableRegister};
use zerocopy::{FromZeros, IntoBytes};

use super::{Invocation, NOTHING, Outcome, eax, memory};
use crate::arch::mock::Cpu;
use crate::arch::mock::state::{self, State};
use crate::descriptor::Selector;

/// The stack on which the kernel is entered from user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelStack {
    /// SS.
    pub ss0: Selector,
    /// ESP.
    pub esp0: u32,
}

/// The registers that name tables, and what was announced of stacks and processors.
pub(super) struct Descriptors {
    gdt: DescriptorTableRegister,
    idt: DescriptorTableRegister,
    ldt: Selector,
    tr: Selector,
    kernel_stack: Option<KernelStack>,
    ap_states: BTreeMap<u8, Box<ApState>>,
}

impl Default for Descriptors {
    /// As after a reset: the tables lie at 0, and as long as no GDT is loaded every selector lies in it.
    fn default() -> Self {
        Self {
            gdt: DescriptorTableRegister::new(0xffff, 0),
            idt: DescriptorTableRegister::new(0xffff, 0),
            ldt: Selector::NULL,
            tr: Selector::NULL,
            kernel_stack: None,
            ap_states: BTreeMap::new(),
        }
    }
}

impl Descriptors {
    /// Looks whether the LDT or task register can be loaded with a selector that is not null.
    fn check_system_segment(&self, selector: Selector) -> Result<(), &'static str> {
        if selector.is_ldt() {
            return Err("#GP: the selector of a system segment names the LDT");
        }
        // An entry has eight bytes, all of which are inside the table.
        if selector.0 | 7 > self.gdt.limit.get() {
            return Err("#GP: the selector lies outside the GDT");
        }
        Ok(())
    }

    fn set_ldt(&mut self, selector: Selector) -> Result<(), &'static str> {
        if !selector.is_null() {
            self.check_system_segment(selector)?;
        }
        self.ldt = selector;
        Ok(())
    }

    fn set_tr(&mut self, selector: Selector) -> Result<(), &'static str> {
        if selector.is_null() {
            return Err("#GP: the task register is loaded with a null selector");
        }
        self.check_system_segment(selector)?;
        self.tr = selector;
        Ok(())
    }
}

/// Carries a call of [`descriptor`](crate::descriptor) out, or SetInitialAPState.
pub(super) fn perform(state: &mut State, invocation: &Invocation<'_>) -> Outcome {
    let descriptors = &mut state.model.descriptors;
    match invocation.call {
        Call::GET_LDT => return Ok(eax(descriptors.ldt.0.into())),
        Call::GET_TR => return Ok(eax(descriptors.tr.0.into())),
        Call::SET_GDT => descriptors.gdt = load_register(invocation),
        Call::SET_IDT => descriptors.idt = load_register(invocation),
        Call::GET_GDT => store_register(invocation, descriptors.gdt),
        Call::GET_IDT => store_register(invocation, descriptors.idt),
        Call::SET_LDT => {
            let set = descriptors.set_ldt(Selector(invocation.word(0) as u16));
            set.map_err(|reason| invocation.exception(reason, invocation.word(0)))?;
        }
        Call::SET_TR => {
            let set = descriptors.set_tr(Selector(invocation.word(0) as u16));
            set.map_err(|reason| invocation.exception(reason, invocation.word(0)))?;
        }
        Call::WRITE_GDT_ENTRY | Call::WRITE_LDT_ENTRY | Call::WRITE_IDT_ENTRY => store_entry(invocation),
        Call::UPDATE_KERNEL_STACK => {
            let (ss0, esp0) = (Selector(invocation.word(0) as u16), invocation.word(1));
            descriptors.kernel_stack = Some(KernelStack { ss0, esp0 });
        }
        Call::SET_INITIAL_AP_STATE => {
            let mut ap_state = Box::new(ApState::new_zeroed());
            // SAFETY: the address is that of an `ApStatePage`.
            unsafe { memory::load(invocation.address(0), ap_state.as_mut_bytes()) };
            descriptors.ap_states.insert(invocation.word(1) as u8, ap_state);
        }
        _ => {}
    }
    Ok(NOTHING)
}

/// The register image that the call names.
fn load_register(invocation: &Invocation<'_>) -> DescriptorTableRegister {
    let mut register = DescriptorTableRegister::new(0, 0);
    // SAFETY: the address is that of a register image.
    unsafe { memory::load(invocation.address(0), register.as_mut_bytes()) };
    register
}

/// Stores to the register image that the call names.
fn store_register(invocation: &Invocation<'_>, register: DescriptorTableRegister) {
    // SAFETY: the address is that of a register image which may be written.
    unsafe { memory::store(invocation.address(0), register.as_bytes()) };
}

/// Stores an entry of a table, low half first.
fn store_entry(invocation: &Invocation<'_>) {
    let entry = invocation.address(0) + invocation.address(1) * size_of::<u64>();
    // SAFETY: the caller of the function vouches for the table and the entry.
    unsafe { memory::store(entry, &invocation.word(2).to_le_bytes()) };
    // SAFETY: as above.
    unsafe { memory::store(entry + 4, &invocation.word(3).to_le_bytes()) };
}

impl Cpu {
    /// The stack that [`update_kernel_stack`](crate::descriptor::update_kernel_stack) has announced last.
    pub fn kernel_stack(self) -> Option<KernelStack> {
        state::with(|state| state.model.descriptors.kernel_stack)
    }

    /// The state that [`set_initial_ap_state`](crate::smp::set_initial_ap_state) has announced for the processor with
    /// this APIC id: a copy. No processor starts here.
    pub fn initial_ap_state(self, apic_id: u8) -> Option<Box<ApState>> {
        state::with(|state| state.model.descriptors.ap_states.get(&apic_id).cloned())
    }
}
