//! Operands of emulated instructions, and the stack.

use crate::decode::{Memory, Operand, Segment};
use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::paging::{Intent, Privilege};

impl<H: Host> Guest<H> {
    /// The privilege of the ring that the guest is in.
    pub(crate) const fn privilege(&self) -> Privilege {
        if self.vcpu.frame.is_user() { Privilege::User } else { Privilege::Supervisor }
    }

    /// The linear address of `length` bytes of an operand.
    pub(super) fn operand_address(&self, memory: &Memory, length: u32, intent: Intent) -> Result<u32, Fault> {
        let offset = memory.offset(&self.vcpu.frame);
        self.segment_address(memory.segment, offset, length, intent)
    }

    /// Reads an operand of 16 bits.
    pub(super) fn read_word(&self, operand: &Operand) -> Result<u16, Fault> {
        match operand {
            Operand::Register(number) => Ok(self.vcpu.frame.register(*number) as u16),
            Operand::Memory(memory) => {
                let address = self.operand_address(memory, 2, Intent::Read)?;
                self.read_u16(address, self.privilege())
            }
        }
    }

    /// Reads `width` bytes, 2 or 4, at an offset from ESP.
    pub(super) fn read_stack(&self, offset: u32, width: u8) -> Result<u32, Fault> {
        let pointer = self.vcpu.frame.esp.wrapping_add(offset) & self.stack_mask();
        let address = self.segment_address(Segment::Ss, pointer, width.into(), Intent::Read)?;
        if width == 2 {
            self.read_u16(address, self.privilege()).map(u32::from)
        } else {
            self.read_u32(address, self.privilege())
        }
    }

    /// Reads the double word at an offset from ESP.
    pub(crate) fn stack_word(&self, offset: u32) -> Result<u32, Fault> {
        self.read_stack(offset, 4)
    }

    /// ESP after `length` bytes were taken from the stack.
    pub(super) fn stack_after(&self, length: u32) -> u32 {
        let (esp, mask) = (self.vcpu.frame.esp, self.stack_mask());
        esp & !mask | esp.wrapping_add(length) & mask
    }

    /// PUSHF, as the processor does it in the guest's ring, but for a trap flag that is not the guest's.
    pub(crate) fn push_flags(&mut self) -> Result<(), Fault> {
        let Ok(instruction) = self.next_instruction() else {
            return Ok(());
        };
        let width = instruction.prefixes.operand_size;
        let esp = self.stack_after(u32::from(width).wrapping_neg());
        let pointer = esp & self.stack_mask();
        let address = self.segment_address(Segment::Ss, pointer, width.into(), Intent::Write)?;
        let flags = self.vcpu.frame.eflags & !(crate::frame::eflags::RESUME | crate::frame::eflags::VM);
        self.write_linear(address, &flags.to_le_bytes()[..width.into()], self.privilege())?;
        let frame = &mut self.vcpu.frame;
        frame.esp = esp;
        frame.eip = frame.eip.wrapping_add(instruction.length.into());
        Ok(())
    }
}
