//! One instruction at a time: the instruction behind STI or a load of SS, and writes to descriptor tables.
//!
//! The processor's own trap flag does it; what the guest has in its place is kept meanwhile.

use crate::decode::Operation;
use crate::fault::Fault;
use crate::frame::eflags;
use crate::guest::Guest;
use crate::host::{Flush, Host};

/// Bits of DR6.
pub(crate) mod debug_status {
    /// BD: a debug register was touched that DR7 protects.
    pub const ACCESS: u32 = 1 << 13;
    /// BS: an instruction was traced.
    pub const STEP: u32 = 1 << 14;
}

/// The guest's trap flag while the processor's is in use.
#[derive(Clone, Copy, Debug)]
struct Step {
    trap_flag: u32,
    /// The instruction loads the flag itself.
    loads_flag: bool,
}

/// What is traced for the hypervisor's own purposes.
#[derive(Debug, Default)]
pub struct Stepping {
    step: Option<Step>,
    /// A page that is open to writes.
    open: Option<u32>,
    /// Where the instruction behind STI is.
    shadow: u32,
}

impl Stepping {
    /// Nothing is traced.
    pub const fn new() -> Self {
        Self { step: None, open: None, shadow: 0 }
    }

    /// The page that `linear` lies in is open until the next instruction is done.
    pub(crate) const fn open(&mut self, linear: u32) {
        self.open = Some(linear);
    }
}

impl<H: Host> Guest<H> {
    /// STI, or a load of SS: no interrupt is delivered before the instruction at EIP, which is the next one, is
    /// done.
    pub(crate) const fn begin_shadow(&mut self) {
        self.vcpu.interrupt_shadow = true;
        self.stepping.shadow = self.vcpu.frame.eip;
    }

    /// Ends the shadow of STI if the guest has left the instruction behind it.
    pub(crate) const fn check_shadow(&mut self) {
        if self.vcpu.frame.eip != self.stepping.shadow {
            self.vcpu.interrupt_shadow = false;
        }
    }

    /// Lets the next instruction trap, if somebody waits for its end.
    pub(crate) fn begin_step(&mut self) {
        let waits_for_shadow = self.vcpu.interrupt_shadow && self.vcpu.interrupt_pending;
        if self.stepping.open.is_none() && !waits_for_shadow {
            return;
        }
        let operation = self.next_instruction().ok().map(|instruction| instruction.operation);
        let loads_flag = matches!(operation, Some(Operation::PopFlags { .. } | Operation::Iret { .. }));
        let trap_flag = self.vcpu.frame.eflags & eflags::TRAP;
        self.stepping.step = Some(Step { trap_flag, loads_flag });
        self.vcpu.frame.eflags |= eflags::TRAP;
    }

    /// Whether the next instruction would show the trap flag that is not the guest's: PUSHF. It has to be
    /// emulated instead.
    pub(crate) fn next_shows_flags(&self) -> bool {
        let waits = self.vcpu.interrupt_shadow && self.vcpu.interrupt_pending;
        if self.stepping.open.is_none() && !waits {
            return false;
        }
        self.next_instruction().is_ok_and(|next| matches!(next.operation, Operation::PushFlags { .. }))
    }

    /// Takes the trap flag back, and closes the page that was open. Returns whether the instruction was traced
    /// for the guest, too, if it was traced at all.
    pub(crate) fn end_step(&mut self) -> Option<bool> {
        if let Some(page) = self.stepping.open.take() {
            self.host.flush(Flush::Page(page));
            self.descriptors_changed();
        }
        let step = self.stepping.step.take()?;
        if !step.loads_flag {
            let eflags = &mut self.vcpu.frame.eflags;
            *eflags = *eflags & !eflags::TRAP | step.trap_flag;
        }
        Some(step.trap_flag != 0)
    }

    /// #DB: an instruction was traced, for the hypervisor, for the guest, or for both. The breakpoints of the
    /// guest are never switched on.
    ///
    /// # Errors
    ///
    /// The guest is to get it.
    pub(crate) fn debug_exception(&mut self, stepped: Option<bool>) -> Result<(), Fault> {
        if stepped.is_some() {
            self.vcpu.interrupt_shadow = false;
        }
        if stepped == Some(false) {
            return Ok(());
        }
        if self.vcpu.frame.eflags & eflags::TRAP != 0 {
            self.vcpu.debug[6] |= debug_status::STEP;
        }
        Err(Fault::DEBUG)
    }
}
