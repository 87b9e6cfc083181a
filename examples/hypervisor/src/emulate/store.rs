//! Stores to pages that are not memory: the ROM, holes, the registers of the local APIC, and the page that the ROM
//! shares with the hypervisor.

use crate::decode::{Instruction, Memory, Operation, Repeat, Segment, Source};
use crate::fault::Fault;
use crate::frame::{Frame, eflags};
use crate::guest::Guest;
use crate::host::Host;
use crate::layout::{LOCAL_APIC, SHARED, is_shared, shared};
use crate::paging::{Access, Intent};
use crate::physical::{self, Area};

/// Numbers of the registers of string instructions.
const ECX: u8 = 1;
const ESI: u8 = 6;
const EDI: u8 = 7;

impl<H: Host> Guest<H> {
    /// Carries out the store at EIP, part of which goes to a page that is not memory. A string instruction is
    /// done once, and goes on in the guest.
    ///
    /// # Errors
    ///
    /// The fault of the store; #GP(0) if it is an instruction that is not known here.
    pub fn emulate_store(&mut self) -> Result<(), Fault> {
        let instruction = self.next_instruction().map_err(|error| {
            let (eip, address) = (self.vcpu.frame.eip, self.vcpu.fault_address);
            self.host.log(format_args!("refused: a store at {eip:08x} to {address:08x}: {error}"));
            Fault::general_protection(0)
        })?;
        let frame = &self.vcpu.frame;
        let done = match instruction.operation {
            Operation::Store { width, to, from } => {
                let value = match from {
                    Source::Register(number) => frame.part(number, width),
                    Source::Immediate(value) => value,
                };
                self.store_operand(&to, width, value)?;
                true
            }
            Operation::Exchange { width, with, register } => {
                let value = frame.part(register, width);
                let address = self.operand_address(&with, width.into(), Intent::Read)?;
                let old = self.load(address, width)?;
                self.store_operand(&with, width, value)?;
                self.vcpu.frame.set_part(register, width, old);
                true
            }
            Operation::StoreString { width } => {
                let value = frame.part(0, width);
                self.store_string(&instruction, width, |_| Ok(value))?
            }
            Operation::MoveString { width } => {
                let source = instruction.prefixes.segment.unwrap_or(Segment::Ds);
                let offset = frame.register(ESI) & address_mask(&instruction);
                let done = self.store_string(&instruction, width, |guest| {
                    let address = guest.segment_address(source, offset, width.into(), Intent::Read)?;
                    guest.load(address, width)
                })?;
                self.step_index(&instruction, ESI, width);
                done
            }
            _ => return Err(Fault::general_protection(0)),
        };
        self.counters.emulated("store");
        let frame = &mut self.vcpu.frame;
        frame.eflags &= !eflags::RESUME;
        if done {
            frame.eip = frame.eip.wrapping_add(instruction.length.into());
        }
        Ok(())
    }

    /// Stores what `value` gives at ES:EDI, and goes on to the next place; whether the instruction is done.
    fn store_string(
        &mut self,
        instruction: &Instruction,
        width: u8,
        value: impl FnOnce(&Self) -> Result<u32, Fault>,
    ) -> Result<bool, Fault> {
        let mask = address_mask(instruction);
        let offset = self.vcpu.frame.register(EDI) & mask;
        let address = self.segment_address(Segment::Es, offset, width.into(), Intent::Write)?;
        let value = value(self)?;
        self.store(address, width, value)?;
        self.step_index(instruction, EDI, width);
        if !matches!(instruction.prefixes.repeat, Some(Repeat::Equal | Repeat::NotEqual)) {
            return Ok(true);
        }
        let count = (self.vcpu.frame.register(ECX) & mask).wrapping_sub(1) & mask;
        self.vcpu.frame.set_part(ECX, instruction.prefixes.address_size, count);
        Ok(count == 0)
    }

    /// Goes on to the next place of a string.
    fn step_index(&mut self, instruction: &Instruction, register: u8, width: u8) {
        let frame: &mut Frame = &mut self.vcpu.frame;
        let step = u32::from(width);
        let step = if frame.eflags & eflags::DIRECTION == 0 { step } else { step.wrapping_neg() };
        let value = frame.register(register).wrapping_add(step);
        frame.set_part(register, instruction.prefixes.address_size, value);
    }

    fn store_operand(&mut self, to: &Memory, width: u8, value: u32) -> Result<(), Fault> {
        let address = self.operand_address(to, width.into(), Intent::Write)?;
        self.store(address, width, value)
    }

    fn load(&self, address: u32, width: u8) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.read_linear(address, &mut bytes[..width.into()], self.privilege())?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Stores to memory or to what is in its place. A store to the APIC that is not one of a whole register is
    /// lost, as the manual lets it be.
    fn store(&mut self, linear: u32, width: u8, value: u32) -> Result<(), Fault> {
        if is_shared(linear) {
            self.store_flag(linear, width, value);
            return Ok(());
        }
        let access = Access { intent: Intent::Write, privilege: self.privilege() };
        let translation = self.translate(linear, access)?;
        match physical::area(translation.physical) {
            Some(Area::LocalApic) => {
                let offset = translation.physical - u64::from(LOCAL_APIC);
                if width == 4 && offset.is_multiple_of(16) {
                    self.write_apic_register(offset as u16, value);
                }
                Ok(())
            }
            Some(Area::Hole) => Ok(()),
            _ => self.write_linear(linear, &value.to_le_bytes()[..width.into()], access.privilege),
        }
    }

    /// Stores to the shared page, of which nothing but the virtual interrupt flag is the guest's to change.
    fn store_flag(&mut self, linear: u32, width: u8, value: u32) {
        const FLAG: u32 = eflags::INTERRUPT;
        let written = u64::from(u32::MAX >> (32 - 8 * u32::from(width)));
        let shift = 8 * (linear - SHARED - shared::FLAG);
        let place = |bits: u64| bits.checked_shl(shift).unwrap_or(0) as u32;
        if place(written) & FLAG != 0 {
            self.vcpu.interrupt_flag = place(value.into()) & FLAG != 0;
        }
    }
}

fn address_mask(instruction: &Instruction) -> u32 {
    if instruction.prefixes.address_size == 2 { 0xFFFF } else { u32::MAX }
}
