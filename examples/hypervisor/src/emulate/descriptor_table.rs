//! LGDT, LIDT, LLDT, LTR, and segment registers that ring 1 cannot load itself.

use crate::decode::{Memory, Operand, Segment};
use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::paging::Intent;
use crate::vcpu::TableRegister;

impl<H: Host> Guest<H> {
    pub(super) fn lgdt(&mut self, from: &Memory, operand_size: u8) -> Result<(), Fault> {
        let table = self.table_operand(from, operand_size)?;
        self.load_gdt(table);
        Ok(())
    }

    pub(super) fn lidt(&mut self, from: &Memory, operand_size: u8) -> Result<(), Fault> {
        let table = self.table_operand(from, operand_size)?;
        self.load_idt(table);
        Ok(())
    }

    /// A limit of 16 bits and a base, of which an operand size of 16 bits leaves out the highest byte.
    fn table_operand(&self, from: &Memory, operand_size: u8) -> Result<TableRegister, Fault> {
        let address = self.operand_address(from, 6, Intent::Read)?;
        let limit = self.read_u16(address, self.privilege())?.into();
        let base = self.read_u32(address.wrapping_add(2), self.privilege())?;
        let base = if operand_size == 2 { base & 0xFF_FFFF } else { base };
        Ok(TableRegister { base, limit })
    }

    pub(super) fn lldt(&mut self, from: &Operand) -> Result<(), Fault> {
        let selector = self.read_word(from)?;
        self.load_ldt(selector)
    }

    pub(super) fn ltr(&mut self, from: &Operand) -> Result<(), Fault> {
        let selector = self.read_word(from)?;
        self.load_task(selector)
    }

    pub(super) fn move_segment(&mut self, segment: Segment, from: &Operand) -> Result<(), Fault> {
        let selector = self.read_word(from)?;
        self.load_segment(segment, selector)
    }

    pub(super) fn pop_segment(&mut self, width: u8, segment: Segment) -> Result<(), Fault> {
        let selector = self.read_stack(0, width)? as u16;
        // ESP is that of the old stack segment.
        let esp = self.stack_after(width.into());
        self.load_segment(segment, selector)?;
        self.vcpu.frame.esp = esp;
        Ok(())
    }

    /// An offset of `width` bytes, and the selector behind it.
    pub(super) fn load_far(
        &mut self,
        width: u8,
        segment: Segment,
        register: u8,
        from: &Memory,
    ) -> Result<(), Fault> {
        let (offset, selector) = self.far_operand(width, from)?;
        self.load_segment(segment, selector)?;
        self.vcpu.frame.set_part(register, width, offset);
        Ok(())
    }

    pub(super) fn far_operand(&self, width: u8, from: &Memory) -> Result<(u32, u16), Fault> {
        let address = self.operand_address(from, u32::from(width) + 2, Intent::Read)?;
        let mut offset = [0; 4];
        self.read_linear(address, &mut offset[..width.into()], self.privilege())?;
        let selector = self.read_u16(address.wrapping_add(width.into()), self.privilege())?;
        Ok((u32::from_le_bytes(offset), selector))
    }
}
