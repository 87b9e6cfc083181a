//! How the guest is interrupted: by the gates of its own IDT.
//!
//! Source: Intel manual, volume 3, sections 6.11 to 6.15; facts sheet, section 8.10.

#[cfg(test)]
mod tests;

use crate::descriptor::{Descriptor, system};
use crate::fault::{Class, Fault, selector_code, vector};
use crate::frame::eflags;
use crate::guest::Guest;
use crate::host::Host;
use crate::layout::KERNEL_RING;
use crate::paging::Privilege;
use crate::segment::{holds, in_kernel_ring, is_null};
use crate::stop::Stop;
use crate::vcpu::Mode;

/// The error code's bit that names the IDT.
const IDT: u32 = 2;
/// Offsets of ESP0 and SS0 in a task state segment of 32 bits.
const ESP0: u32 = 4;
const SS0: u32 = 8;

/// Why a gate is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A device.
    External,
    /// An exception.
    Exception,
    /// An instruction: INT n, INT3, INTO. The gate has to be open to it.
    Software,
}

/// A stack for the frame.
struct Stack {
    selector: u16,
    descriptor: Descriptor,
    pointer: u32,
    /// The error code if the frame does not fit.
    code: u32,
}

/// What a gate leads to.
struct Target {
    selector: u16,
    offset: u32,
    masks: bool,
}

impl<H: Host> Guest<H> {
    /// Delivers an interrupt: builds the frame and goes to the handler. Nothing has changed if it cannot be.
    ///
    /// # Errors
    ///
    /// The exception that comes up meanwhile.
    pub fn deliver(&mut self, vector: u8, error_code: Option<u32>, origin: Origin) -> Result<(), Fault> {
        self.sync_descriptors();
        let external = u32::from(origin != Origin::Software);
        let target = self.gate(vector, origin, external)?;
        let was_user = self.vcpu.frame.is_user();
        let stack = if was_user { self.kernel_stack(external)? } else { self.current_stack(external)? };

        let frame = &self.vcpu.frame;
        let mut words = [0; 6];
        let mut count = 0;
        let mut push = |word: u32| {
            words[count] = word;
            count += 1;
        };
        if let Some(code) = error_code {
            push(code);
        }
        push(frame.eip);
        push(self.shown_selector(frame.code_selector()).into());
        push(self.flags_image());
        if was_user {
            push(frame.esp);
            push(frame.stack_selector().into());
        }
        let pointer = self.push_words(&stack, &words[..count])?;

        let vcpu = &mut self.vcpu;
        if was_user {
            vcpu.interrupt_flag = true;
        }
        if target.masks {
            vcpu.interrupt_flag = false;
        }
        vcpu.interrupt_shadow = false;
        vcpu.halted = false;
        let frame = &mut vcpu.frame;
        frame.cs = target.selector.into();
        frame.eip = target.offset;
        frame.ss = stack.selector.into();
        frame.esp = pointer;
        frame.eflags &= !(eflags::TRAP | eflags::NESTED_TASK | eflags::RESUME | eflags::VM);
        Ok(())
    }

    /// Delivers an exception, and what comes up meanwhile.
    ///
    /// # Errors
    ///
    /// A triple fault.
    pub fn raise(&mut self, fault: Fault) -> Result<(), Stop> {
        let (first, eip) = (fault.vector, self.vcpu.frame.eip);
        let mut fault = fault;
        loop {
            if let Some(address) = fault.address {
                self.vcpu.cr2 = address;
            }
            let Err(second) = self.deliver(fault.vector, fault.error_code, Origin::Exception) else {
                return Ok(());
            };
            fault = match (Class::of(fault.vector), Class::of(second.vector)) {
                (Class::DoubleFault, _) => return Err(Stop::TripleFault { vector: first, eip }),
                (Class::Contributory, Class::Contributory)
                | (Class::PageFault, Class::Contributory | Class::PageFault) => {
                    // The address of the second page fault is in CR2 all the same.
                    Fault { vector: vector::DOUBLE_FAULT, error_code: Some(0), address: second.address }
                }
                _ => second,
            };
        }
    }

    /// EFLAGS as a frame shows them: the interrupt flag and the I/O privilege level are the virtual ones.
    pub(crate) fn flags_image(&self) -> u32 {
        let vcpu = &self.vcpu;
        let real = eflags::INTERRUPT
            | eflags::IOPL
            | eflags::VM
            | eflags::VIRTUAL_INTERRUPT
            | eflags::VIRTUAL_INTERRUPT_PENDING;
        let mut image = vcpu.frame.eflags & !real | eflags::ALWAYS;
        if vcpu.interrupt_flag || vcpu.frame.is_user() {
            image |= eflags::INTERRUPT;
        }
        image | u32::from(vcpu.iopl & 3) << eflags::IOPL_SHIFT
    }

    /// A selector as a frame shows it: before vmi_init the kernel's ring is 0.
    fn shown_selector(&self, selector: u16) -> u16 {
        let is_kernel = selector & 3 == KERNEL_RING;
        if is_kernel && self.vcpu.mode == Mode::Hardware { selector & !3 } else { selector }
    }

    /// Reads a vector's gate, and judges it.
    fn gate(&mut self, vector: u8, origin: Origin, external: u32) -> Result<Target, Fault> {
        let code = u32::from(vector) * 8 + IDT + external;
        let bad = Fault::general_protection(code);
        let offset = u32::from(vector) * 8;
        if offset + 7 > self.vcpu.idt.limit {
            return Err(bad);
        }
        let address = self.vcpu.idt.base.wrapping_add(offset);
        let gate = Descriptor(self.read_u64(address, Privilege::Supervisor)?);
        let is_gate = matches!(gate.kind(), system::INTERRUPT_GATE | system::TRAP_GATE);
        if !gate.is_system() || !is_gate {
            if gate.is_system() && gate.kind() == system::TASK_GATE {
                self.host.log(format_args!("refused: the task gate of vector {vector:#04x}"));
            }
            return Err(bad);
        }
        // The kernel is where ring 0 is on hardware: each gate is open to it.
        if origin == Origin::Software && self.vcpu.frame.is_user() && gate.dpl() < 3 {
            return Err(bad);
        }
        if !gate.is_present() {
            return Err(Fault::not_present(code));
        }
        let selector = self.handler(gate, external)?;
        let masks = gate.kind() == system::INTERRUPT_GATE;
        Ok(Target { selector, offset: gate.gate_offset(), masks })
    }

    /// The selector that CS gets by a gate: of code that runs in the kernel's ring.
    fn handler(&mut self, gate: Descriptor, external: u32) -> Result<u16, Fault> {
        let selector = gate.gate_selector();
        if is_null(selector) {
            return Err(Fault::general_protection(external));
        }
        let code = selector_code(selector) | external;
        let bad = Fault::general_protection(code);
        let descriptor = self.descriptor(selector).ok_or(bad)?;
        // Conforming code would run in the ring that was interrupted.
        let runs_in_user = descriptor.is_conforming() && self.vcpu.frame.is_user();
        if !descriptor.is_code() || u16::from(descriptor.dpl()) != KERNEL_RING || runs_in_user {
            return Err(bad);
        }
        if !descriptor.is_present() {
            return Err(Fault::not_present(code));
        }
        if !holds(descriptor, gate.gate_offset(), 1) {
            return Err(Fault::general_protection(external));
        }
        Ok(selector & !3 | KERNEL_RING)
    }

    /// The stack that is in use.
    fn current_stack(&self, external: u32) -> Result<Stack, Fault> {
        let selector = self.vcpu.frame.stack_selector();
        let descriptor = self.descriptor(selector).ok_or(Fault::stack(external))?;
        Ok(Stack { selector, descriptor, pointer: self.vcpu.frame.esp, code: external })
    }

    /// The stack on which ring 3 enters the kernel: that of the guest's task state segment.
    fn kernel_stack(&self, external: u32) -> Result<Stack, Fault> {
        let task = self.vcpu.task;
        if task.table.limit < SS0 + 1 {
            return Err(Fault::invalid_tss(selector_code(task.selector) | external));
        }
        let pointer = self.read_u32(task.table.base.wrapping_add(ESP0), Privilege::Supervisor)?;
        let selector = self.read_u16(task.table.base.wrapping_add(SS0), Privilege::Supervisor)?;
        let code = selector_code(selector) | external;
        let selector = in_kernel_ring(selector);
        match self.stack_descriptor(selector, KERNEL_RING) {
            Ok(descriptor) => Ok(Stack { selector, descriptor, pointer, code }),
            Err(fault) if fault.vector == vector::STACK_FAULT => Err(Fault::stack(code)),
            Err(_) => Err(Fault::invalid_tss(code)),
        }
    }

    /// Pushes words, the last one first; returns the stack pointer behind them.
    fn push_words(&mut self, stack: &Stack, words: &[u32]) -> Result<u32, Fault> {
        let mut bytes = [0; 24];
        let bytes = &mut bytes[..4 * words.len()];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let (length, mask) = (bytes.len() as u32, if stack.descriptor.is_big() { u32::MAX } else { 0xFFFF });
        let offset = stack.pointer.wrapping_sub(length) & mask;
        if !stack.descriptor.is_writable() || !holds(stack.descriptor, offset, length) {
            return Err(Fault::stack(stack.code));
        }
        let address = stack.descriptor.base().wrapping_add(offset);
        self.write_linear(address, bytes, Privilege::Supervisor)?;
        Ok(stack.pointer & !mask | offset)
    }

    /// INT n, INT3 and INTO: EIP is already behind the instruction.
    ///
    /// # Errors
    ///
    /// As for [`Self::deliver`].
    pub(crate) fn software_interrupt(&mut self, vector: u8) -> Result<(), Fault> {
        // The fault by which the instruction was noticed may have set it.
        self.vcpu.frame.eflags &= !eflags::RESUME;
        self.deliver(vector, None, Origin::Software)
    }
}
