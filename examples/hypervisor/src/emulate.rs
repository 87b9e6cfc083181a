//! What ring 1 and ring 3 may not do themselves is done here, as ring 0 of a processor would do it for the
//! guest's kernel, and as ring 3 would fail for its programs.

mod control;
mod descriptor_table;
mod interrupt_flag;
mod model_specific;
mod operand;
mod store;
#[cfg(test)]
mod tests;
mod transfer;

use crate::decode::{self, Instruction, Operation, Segment, decode};
use crate::fault::Fault;
use crate::frame::eflags;
use crate::guest::Guest;
use crate::host::Host;
use crate::linear::INSTRUCTION_SIZE;
use crate::stepping::debug_status;

/// Whether EIP goes on to the next instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It does.
    Advance,
    /// The instruction has set it, or is to be repeated.
    Elsewhere,
}

impl Next {
    /// Behind an instruction that may be done in parts.
    const fn after(finished: bool) -> Self {
        if finished { Self::Advance } else { Self::Elsewhere }
    }
}

impl<H: Host> Guest<H> {
    /// Decodes the instruction at EIP.
    pub(crate) fn next_instruction(&self) -> Result<Instruction, decode::Error> {
        let mut bytes = [0; INSTRUCTION_SIZE];
        let length = self.fetch(self.instruction_address(), &mut bytes);
        decode(&bytes[..length], self.is_code_big())
    }

    /// Answers #TS, #NP, #SS or #GP: carries the instruction out if it is one that the guest's kernel could
    /// use in ring 0, or else gives the guest the exception.
    ///
    /// # Errors
    ///
    /// The exception that the guest is to get.
    pub fn emulate(&mut self) -> Result<(), Fault> {
        let reflected = self.reflected(true);
        let Ok(instruction) = self.next_instruction() else {
            return Err(reflected);
        };
        if instruction.prefixes.lock && !instruction.operation.is_lockable() {
            return Err(Fault::INVALID_OPCODE);
        }
        let traced = self.vcpu.frame.eflags & eflags::TRAP != 0;
        let next = if self.vcpu.frame.is_user() {
            self.emulate_for_user(&instruction, reflected)
        } else {
            self.emulate_for_kernel(&instruction, reflected)
        }?;
        self.counters.emulated(instruction.operation.mnemonic());
        if next == Next::Advance {
            let frame = &mut self.vcpu.frame;
            frame.eip = frame.eip.wrapping_add(instruction.length.into());
            frame.eflags &= !eflags::RESUME;
            let holds_interrupts = matches!(
                instruction.operation,
                Operation::Sti
                    | Operation::MoveSegment { segment: Segment::Ss, .. }
                    | Operation::PopSegment { segment: Segment::Ss, .. }
            );
            if holds_interrupts && !frame.is_user() {
                self.begin_shadow();
            }
            if traced {
                self.vcpu.debug[6] |= debug_status::STEP;
                return Err(Fault::DEBUG);
            }
        }
        Ok(())
    }

    fn emulate_for_user(&mut self, instruction: &Instruction, reflected: Fault) -> Result<Next, Fault> {
        match instruction.operation {
            Operation::Cli | Operation::Sti => self.ignore_interrupt_flag(),
            Operation::In { .. } | Operation::Out { .. } | Operation::Ins { .. } | Operation::Outs { .. } => {
                self.port_instruction(instruction).map(Next::after)
            }
            Operation::Int(_) => self.interrupt_instruction(instruction),
            Operation::Sysenter => self.sysenter(),
            Operation::Rdtsc => self.read_cycles(),
            _ => Err(reflected),
        }
    }

    fn emulate_for_kernel(&mut self, instruction: &Instruction, reflected: Fault) -> Result<Next, Fault> {
        let advance = |result: Result<(), Fault>| result.map(|()| Next::Advance);
        match instruction.operation {
            Operation::Cli => self.clear_interrupt_flag(),
            Operation::Sti => self.set_interrupt_flag(),
            Operation::Hlt => self.halt(),
            Operation::Clts => {
                self.clear_task_switched();
                Ok(Next::Advance)
            }
            // Caches are the machine's and stay coherent.
            Operation::Invd | Operation::Wbinvd => Ok(Next::Advance),
            Operation::Rdmsr => advance(self.read_msr_instruction()),
            Operation::Wrmsr => advance(self.write_msr_instruction()),
            Operation::Rdtsc => self.read_cycles(),
            // The guest's processor has no such counter.
            Operation::Rdpmc => Err(Fault::general_protection(0)),
            Operation::Sysenter => self.sysenter(),
            Operation::Sysexit => self.sysexit(),
            Operation::Lgdt(from) => advance(self.lgdt(&from, instruction.prefixes.operand_size)),
            Operation::Lidt(from) => advance(self.lidt(&from, instruction.prefixes.operand_size)),
            Operation::Lldt(from) => advance(self.lldt(&from)),
            Operation::Ltr(from) => advance(self.ltr(&from)),
            Operation::Lmsw(from) => advance(self.lmsw(&from)),
            Operation::Invlpg(page) => advance(self.invlpg(&page)),
            Operation::WriteControl { control, register } => advance(self.write_control(control, register)),
            Operation::ReadControl { control, register } => advance(self.read_control(control, register)),
            Operation::WriteDebug { debug, register } => {
                advance(self.set_debug_register(debug, self.vcpu.frame.register(register)))
            }
            Operation::ReadDebug { debug, register } => {
                let value = self.debug_register(debug)?;
                *self.vcpu.frame.register_mut(register) = value;
                Ok(Next::Advance)
            }
            Operation::In { .. } | Operation::Out { .. } | Operation::Ins { .. } | Operation::Outs { .. } => {
                self.port_instruction(instruction).map(Next::after)
            }
            Operation::Int(_) => self.interrupt_instruction(instruction),
            Operation::Iret { width } => {
                self.interrupt_return_of(0, width)?;
                Ok(Next::Elsewhere)
            }
            Operation::Retf { width, release } => self.far_return(width, release),
            Operation::JumpFar { width, to } | Operation::CallFar { width, to } => {
                self.far_transfer(&to, width, reflected)
            }
            Operation::MoveSegment { segment, from } => advance(self.move_segment(segment, &from)),
            Operation::PopSegment { width, segment } => advance(self.pop_segment(width, segment)),
            Operation::LoadFar { width, segment, register, from } => {
                advance(self.load_far(width, segment, register, &from))
            }
            // These do not trap by themselves: the fault is that of their operands.
            Operation::Int3
            | Operation::Into
            | Operation::PushFlags { .. }
            | Operation::PopFlags { .. }
            | Operation::Store { .. }
            | Operation::Exchange { .. }
            | Operation::StoreString { .. }
            | Operation::MoveString { .. } => Err(reflected),
        }
    }
}
