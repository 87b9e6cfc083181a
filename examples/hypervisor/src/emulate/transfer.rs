//! Instructions that go elsewhere: IRET, RETF, INT n, SYSENTER, SYSEXIT, and far jumps.
//!
//! Source: Intel manual, volume 2, "IRET", "RET", "SYSENTER", "SYSEXIT"; facts sheet, sections 8.5, 8.6, 8.9.

use super::Next;
use crate::decode::{Far, Instruction, Operation};
use crate::descriptor::{Descriptor, system};
use crate::fault::Fault;
use crate::frame::eflags;
use crate::guest::Guest;
use crate::host::Host;
use crate::layout::KERNEL_RING;
use crate::segment::{holds, in_kernel_ring, is_null, refused};
use crate::vcpu::Mode;

/// The flags that a return loads as they are: CF, PF, AF, ZF, SF, TF, DF, OF, NT, RF, AC, ID.
pub(crate) const LOADED_FLAGS: u32 = 0x24_4DD5 | eflags::RESUME;

impl<H: Host> Guest<H> {
    /// IRET: returns by the frame that lies `skip` bytes above ESP.
    ///
    /// To ring 3 interrupts are enabled, whatever the frame says. The I/O privilege level is loaded before
    /// vmi_init alone.
    ///
    /// # Errors
    ///
    /// The fault that IRET raises. A frame with VM set is #GP(0): there is no virtual-8086 mode.
    pub fn interrupt_return(&mut self, skip: u32) -> Result<(), Fault> {
        self.interrupt_return_of(skip, 4)
    }

    /// IRET with words of `width` bytes.
    pub(super) fn interrupt_return_of(&mut self, skip: u32, width: u8) -> Result<(), Fault> {
        self.sync_descriptors();
        if self.vcpu.frame.eflags & eflags::NESTED_TASK != 0 {
            // The task has no task to go back to.
            return Err(Fault::invalid_tss(0));
        }
        let word = |index| self.read_stack(skip + index * u32::from(width), width);
        let (eip, code, flags) = (word(0)?, word(1)? as u16, word(2)?);
        if width == 4 && flags & eflags::VM != 0 {
            self.counters.refused("virtual-8086");
            return Err(Fault::general_protection(0));
        }
        let descriptor = self.code_descriptor(code)?;
        let to_user = code & 3 == 3;
        let (esp, stack) = if to_user {
            let (esp, stack) = (word(3)?, word(4)? as u16);
            self.stack_descriptor(stack, 3)?;
            (esp, stack)
        } else {
            (self.stack_after(skip + 3 * u32::from(width)), self.vcpu.frame.stack_selector())
        };
        inside(descriptor, eip)?;

        self.load_flags(flags, width, to_user);
        let frame = &mut self.vcpu.frame;
        frame.cs = in_kernel_ring(code).into();
        frame.eip = eip;
        frame.esp = esp;
        frame.ss = stack.into();
        if to_user {
            self.drop_kernel_segments();
        }
        Ok(())
    }

    /// Loads the flags of a frame; those of 16 bits leave the upper half alone.
    fn load_flags(&mut self, image: u32, width: u8, to_user: bool) {
        let loaded = if width == 2 { LOADED_FLAGS & 0xFFFF } else { LOADED_FLAGS };
        let enabled = image & eflags::INTERRUPT != 0;
        let vcpu = &mut self.vcpu;
        vcpu.frame.eflags = vcpu.frame.eflags & !loaded | image & loaded;
        vcpu.interrupt_flag = enabled;
        if vcpu.mode == Mode::Hardware {
            self.set_io_privilege((image >> eflags::IOPL_SHIFT & 3) as u8);
        }
        if to_user {
            self.enable_for_user(enabled);
        }
    }

    /// RETF: to ring 0, which is ring 1, or to ring 3.
    pub(super) fn far_return(&mut self, width: u8, release: u16) -> Result<Next, Fault> {
        self.sync_descriptors();
        let release = u32::from(release);
        let word = |index, skip| self.read_stack(skip + index * u32::from(width), width);
        let (eip, code) = (word(0, 0)?, word(1, 0)? as u16);
        let descriptor = self.code_descriptor(code)?;
        let to_user = code & 3 == 3;
        let (esp, stack) = if to_user {
            let (esp, stack) = (word(2, release)?, word(3, release)? as u16);
            self.stack_descriptor(stack, 3)?;
            (esp.wrapping_add(release), stack)
        } else {
            (self.stack_after(2 * u32::from(width) + release), self.vcpu.frame.stack_selector())
        };
        inside(descriptor, eip)?;
        let frame = &mut self.vcpu.frame;
        frame.cs = in_kernel_ring(code).into();
        frame.eip = eip;
        frame.esp = esp;
        frame.ss = stack.into();
        frame.eflags &= !eflags::RESUME;
        if to_user {
            self.enable_for_user(self.vcpu.interrupt_flag);
            self.drop_kernel_segments();
        }
        Ok(Next::Elsewhere)
    }

    /// Ring 3 begins with interrupts enabled, whatever the kernel wanted.
    fn enable_for_user(&mut self, wanted: bool) {
        if !wanted {
            self.counters.refused("user-without-interrupts");
        }
        self.vcpu.interrupt_flag = true;
    }

    /// INT n.
    pub(super) fn interrupt_instruction(&mut self, instruction: &Instruction) -> Result<Next, Fault> {
        let Operation::Int(vector) = instruction.operation else {
            return Ok(Next::Elsewhere);
        };
        let eip = self.vcpu.frame.eip;
        self.vcpu.frame.eip = eip.wrapping_add(instruction.length.into());
        match self.software_interrupt(vector) {
            Ok(()) => Ok(Next::Elsewhere),
            Err(fault) => {
                self.vcpu.frame.eip = eip;
                Err(fault)
            }
        }
    }

    /// SYSENTER: to the kernel, masked. The segments have to be in the guest's table, since they are loaded from
    /// it each time that the guest is entered.
    pub(super) fn sysenter(&mut self) -> Result<Next, Fault> {
        self.sync_descriptors();
        let registers = self.vcpu.msr;
        let code = registers.sysenter_cs as u16 & !3;
        let eip = registers.sysenter_eip as u32;
        if is_null(code) {
            return Err(Fault::general_protection(0));
        }
        let code = code | KERNEL_RING;
        let stack = code.wrapping_add(8);
        inside(self.code_descriptor(code)?, eip)?;
        self.stack_descriptor(stack, KERNEL_RING)?;
        let vcpu = &mut self.vcpu;
        vcpu.interrupt_flag = false;
        let frame = &mut vcpu.frame;
        frame.cs = code.into();
        frame.ss = stack.into();
        frame.eip = eip;
        frame.esp = registers.sysenter_esp as u32;
        frame.eflags &= !(eflags::RESUME | eflags::VM);
        Ok(Next::Elsewhere)
    }

    /// SYSEXIT: to ring 3, where interrupts are enabled.
    pub(super) fn sysexit(&mut self) -> Result<Next, Fault> {
        self.sync_descriptors();
        if is_null(self.vcpu.msr.sysenter_cs as u16) {
            return Err(Fault::general_protection(0));
        }
        let [code, stack] = self.vcpu.sysexit_selectors();
        let (eip, esp) = (self.vcpu.frame.edx, self.vcpu.frame.ecx);
        inside(self.code_descriptor(code)?, eip)?;
        self.stack_descriptor(stack, 3)?;
        self.enable_for_user(self.vcpu.interrupt_flag);
        let frame = &mut self.vcpu.frame;
        frame.cs = code.into();
        frame.ss = stack.into();
        frame.eip = eip;
        frame.esp = esp;
        frame.eflags &= !(eflags::RESUME | eflags::VM);
        Ok(Next::Elsewhere)
    }

    /// A far jump or call that the processor refused: through a gate or to a task it is refused for good, or
    /// else the processor's answer stands.
    pub(super) fn far_transfer(&mut self, to: &Far, width: u8, reflected: Fault) -> Result<Next, Fault> {
        self.sync_descriptors();
        let selector = match to {
            Far::Immediate { selector, .. } => *selector,
            Far::Memory(memory) => self.far_operand(width, memory)?.1,
        };
        let what = match self.guest_descriptor(selector) {
            Some(found) if found.is_system() => match found.kind() {
                1 | 3 | system::AVAILABLE_TASK | system::BUSY_TASK => "task",
                system::TASK_GATE => "task gate",
                4 | system::CALL_GATE => "call gate",
                _ => return Err(reflected),
            },
            _ => return Err(reflected),
        };
        let eip = self.vcpu.frame.eip;
        self.host.log(format_args!("refused: a far jump or call to the {what} {selector:#06x} at {eip:08x}"));
        Err(refused(selector))
    }
}

/// The target of a jump has to lie inside the segment.
fn inside(code: Descriptor, eip: u32) -> Result<(), Fault> {
    if holds(code, eip, 1) { Ok(()) } else { Err(Fault::general_protection(0)) }
}
