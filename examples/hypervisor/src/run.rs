//! Into the guest, and out of it: what happens each time.

#[cfg(test)]
mod tests;

use crate::deliver::Origin;
use crate::fault::{Fault, vector};
use crate::frame::eflags;
use crate::guest::Guest;
use crate::host::Host;
use crate::layout::{HYPERCALL, PAGE_SIZE, ROM};
use crate::paging::{Access, Intent, Privilege};
use crate::stop::Stop;

/// What the guest does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It runs with the registers in [`Vcpu::frame`](crate::vcpu::Vcpu::frame).
    Run,
    /// It waits for an interrupt; [`Guest::deadline`] is when to come back at
    /// the latest.
    Wait,
}

/// The first vector that is not an exception's.
const FIRST_INTERRUPT: u8 = 32;
/// #AC.
const ALIGNMENT_CHECK: u8 = 17;
/// Bytes of `int HYPERCALL`.
const HYPERCALL_SIZE: u32 = 2;

impl<H: Host> Guest<H> {
    /// Prepares the guest to run: the devices' time passes, exceptions and interrupts are delivered.
    ///
    /// # Errors
    ///
    /// The guest does not go on.
    pub fn enter(&mut self) -> Result<Entry, Stop> {
        self.poll_devices();
        self.deliver_events()?;
        while self.next_shows_flags() {
            if let Err(fault) = self.push_flags() {
                self.vcpu.exception = Some(fault);
            }
            self.end_step();
            self.deliver_events()?;
        }
        if self.vcpu.halted {
            return if self.deadline().is_some() { Ok(Entry::Wait) } else { Err(Stop::Asleep) };
        }
        self.check_segments()?;
        self.choose_user_code();
        self.begin_step();
        let virtual_flags =
            eflags::IOPL | eflags::VM | eflags::VIRTUAL_INTERRUPT | eflags::VIRTUAL_INTERRUPT_PENDING;
        let flags = &mut self.vcpu.frame.eflags;
        *flags = *flags & !virtual_flags | eflags::INTERRUPT | eflags::ALWAYS;
        Ok(Entry::Run)
    }

    /// Delivers the exception and the interrupt that the guest is to get before it goes on.
    fn deliver_events(&mut self) -> Result<(), Stop> {
        if let Some(fault) = self.vcpu.exception.take() {
            self.raise(fault)?;
        }
        self.check_shadow();
        // A trap gate leaves the flag set, and the next one comes before the handler's first instruction.
        while self.has_interrupt() && self.vcpu.is_interruptible() {
            let vector = self.acknowledge_interrupt();
            self.vcpu.halted = false;
            if let Err(fault) = self.deliver(vector, None, Origin::External) {
                self.raise(fault)?;
            }
        }
        self.vcpu.interrupt_pending = self.has_interrupt();
        Ok(())
    }

    /// Answers what the guest was left for.
    ///
    /// # Errors
    ///
    /// The guest does not go on.
    pub fn exit(&mut self) -> Result<(), Stop> {
        let vector = self.vcpu.frame.vector as u8;
        self.counters.exit(vector);
        if self.vcpu.frame.eflags & eflags::VM != 0 {
            // A processor ignores the bit in a frame that ring 1 returns by; not every emulator does.
            let (what, value) = ("virtual-8086 mode", self.vcpu.frame.eflags);
            return Err(Stop::Refused { what, value, eip: self.vcpu.frame.eip });
        }
        let stepped = self.end_step();
        self.sync_descriptors();
        let eip = self.vcpu.frame.eip;
        let window_start = self.roll_back();
        match (self.answer(vector, stepped), window_start) {
            (Err(fault), _) => self.vcpu.exception = Some(fault),
            // The guest has not noticed: the return is begun anew, as it is behind an interrupt.
            (Ok(()), Some(start)) if self.vcpu.frame.eip == eip => {
                self.vcpu.frame.eip = start;
                self.counters.rolled_back();
            }
            (Ok(()), _) => {}
        }
        self.board.stop.take().map_or(Ok(()), Err)
    }

    fn answer(&mut self, vector: u8, stepped: Option<bool>) -> Result<(), Fault> {
        match vector {
            vector::DEBUG => self.debug_exception(stepped),
            vector::BREAKPOINT | vector::OVERFLOW => self.trap_instruction(vector),
            vector::PAGE_FAULT => self.page_fault(),
            vector::INVALID_TSS..=vector::GENERAL_PROTECTION => self.emulate(),
            vector::DOUBLE_FAULT | ALIGNMENT_CHECK => Err(self.reflected(true)),
            0..FIRST_INTERRUPT => Err(self.reflected(false)),
            HYPERCALL => self.call_hypervisor(),
            // The real machine's interrupts have been answered by now; the board is asked on the way back.
            _ => Ok(()),
        }
    }

    /// The exception that the guest was left for, as it is.
    pub(crate) fn reflected(&self, has_error_code: bool) -> Fault {
        let frame = &self.vcpu.frame;
        let error_code = has_error_code.then_some(frame.error_code);
        Fault { vector: frame.vector as u8, error_code, address: None }
    }

    /// INT3 and INTO: the real gates are open to every ring, and the guest's are judged now.
    fn trap_instruction(&mut self, vector: u8) -> Result<(), Fault> {
        let after = self.vcpu.frame.eip;
        let result = self.software_interrupt(vector);
        if result.is_err() {
            // CC and CE have one byte, CD 03 and CD 04 two.
            let mut last = [0];
            let address = self.instruction_address().wrapping_sub(1);
            let is_short = self.read_linear(address, &mut last, Privilege::Supervisor).is_ok()
                && matches!(last, [0xCC | 0xCE]);
            self.vcpu.frame.eip = after.wrapping_sub(if is_short { 1 } else { 2 });
        }
        result
    }

    /// `push NUMBER; int HYPERCALL`. A fault is one of the second instruction, which can be repeated.
    fn call_hypervisor(&mut self) -> Result<(), Fault> {
        let eip = self.vcpu.frame.eip;
        let result = self.stack_word(0).and_then(|number| self.hypercall(number));
        if result.is_err() {
            self.vcpu.frame.eip = eip.wrapping_sub(HYPERCALL_SIZE);
        }
        result
    }

    /// Undoes half of a return: the ROM's code has looked whether an interrupt waits, and may have set the
    /// flag, but has not gone back yet. The flag is clear again; returns where to begin anew, unless the guest is
    /// to get an exception, which stays where it is. Source: facts sheet, section 5.7.
    fn roll_back(&mut self) -> Option<u32> {
        let windows = self.windows;
        let frame = &self.vcpu.frame;
        // The ROM is mapped page by page: the lower bits are the same at any linear address.
        let passed = frame.eip.wrapping_sub(windows.iret_start) & (PAGE_SIZE - 1);
        let offset = windows.iret_start + passed;
        if frame.is_user() || passed == 0 || !windows.contains(offset) {
            return None;
        }
        let access = Access { intent: Intent::Execute, privilege: Privilege::Supervisor };
        let translation = self.translate(self.instruction_address(), access).ok()?;
        if translation.physical != u64::from(ROM + offset) {
            return None;
        }
        if offset >= windows.iret_or {
            self.vcpu.interrupt_flag = false;
        }
        Some(self.vcpu.frame.eip.wrapping_sub(passed))
    }
}
