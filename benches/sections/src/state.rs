//! The states in which the one kernel is measured: patched in two ways, and native.
//!
//! # Safety
//!
//! One thread, no interrupt, and a ROM that stays mapped: what [`boot::activate`] and the plan ask for. Ring 3 will do,
//! since the monitor carries out what traps.
#![allow(unsafe_code)]

use paravirt_vmi::boot::{self, Backend, Options, Vmi};
use vmi_hypervisor::rom::Leave;

use crate::machine::{Text, Window};

/// A kernel that can be patched again and again.
pub struct Kernel {
    text: Text,
    inline: Vmi,
    calls: Vmi,
}

/// How it is patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The ROM's own code stands at the sites of calls 29 to 31.
    Inline,
    /// Every site is a call; in the `indirect` build an indirect one, as always.
    Calls,
    /// No site is patched.
    Native,
}

impl Kernel {
    /// Finds the ROM, and plans.
    pub fn boot() -> Self {
        let window = Window::map(Leave::ByCall);
        let mut text = Text::default();
        let mut plan = |inline| {
            let options = Options {
                enabled: true,
                physical_offset: window.physical_offset(),
                linear_mapping: None,
                inline,
            };
            // SAFETY: see the module.
            let backend = unsafe { boot::activate(&options, &mut text) };
            let Backend::Vmi(vmi) = backend.expect("the ROM's answers can be used") else {
                panic!("the ROM is not found");
            };
            // SAFETY: see the module.
            unsafe { vmi.plan.revert(&mut text) }.expect("text can be written");
            vmi
        };
        let (inline, calls) = (plan(true), plan(false));
        Self { text, inline, calls }
    }

    /// Changes the state from native to another one, runs `measure`, and makes it native again.
    pub fn run_in(&mut self, state: State, measure: impl FnOnce()) {
        let plan = match state {
            State::Inline => &self.inline.plan,
            State::Calls => &self.calls.plan,
            State::Native => return measure(),
        };
        // SAFETY: see the module.
        unsafe { plan.commit(&mut self.text) }.expect("text can be written");
        measure();
        // SAFETY: see the module.
        unsafe { plan.revert(&mut self.text) }.expect("text can be written");
    }
}
