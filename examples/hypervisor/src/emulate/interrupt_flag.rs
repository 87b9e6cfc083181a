//! CLI, STI, HLT.

use super::Next;
use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::stop::Stop;

impl<H: Host> Guest<H> {
    pub(super) fn clear_interrupt_flag(&mut self) -> Result<Next, Fault> {
        self.vcpu.interrupt_flag = false;
        Ok(Next::Advance)
    }

    /// STI: the shadow begins if the flag was clear.
    pub(super) fn set_interrupt_flag(&mut self) -> Result<Next, Fault> {
        self.vcpu.interrupt_flag = true;
        Ok(Next::Advance)
    }

    /// HLT. Without an interrupt that could end it, the guest has turned its processor off.
    pub(super) fn halt(&mut self) -> Result<Next, Fault> {
        if self.vcpu.interrupt_flag {
            self.vcpu.halted = true;
        } else {
            self.board.stop = Some(Stop::PowerOff);
        }
        Ok(Next::Advance)
    }

    /// CLI and STI in ring 3: nothing for a program that was granted I/O privilege, since interrupts are
    /// always enabled there. Source: facts sheet, section 8.11.
    pub(super) fn ignore_interrupt_flag(&mut self) -> Result<Next, Fault> {
        if self.vcpu.iopl == 3 {
            self.counters.refused("interrupt-flag-of-user");
            Ok(Next::Advance)
        } else {
            Err(Fault::general_protection(0))
        }
    }
}
