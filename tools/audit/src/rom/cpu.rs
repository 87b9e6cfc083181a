//! [`Cpu`]: the instructions that are followed.

use iced_x86::{Decoder, DecoderOptions, Instruction, MemorySize, Mnemonic, OpKind, Register};

use super::error::{AskCause, AskError};
use super::flags::{Flags, cut};
use super::memory::Memory;
use crate::disassembly;

/// Where the code returns to: no address of the ROM or of the stack.
const RETURN: u32 = 0xFFFF_FFF0;

/// The longest instruction, in bytes.
const LENGTH_MAX: usize = 15;

/// The registers in the order of their numbers.
const REGISTERS: [Register; 8] = [
    Register::EAX,
    Register::ECX,
    Register::EDX,
    Register::EBX,
    Register::ESP,
    Register::EBP,
    Register::ESI,
    Register::EDI,
];
const EAX: usize = 0;
const EDX: usize = 2;
const ESP: usize = 4;

/// A processor that has been called at an address.
pub(super) struct Cpu<'a> {
    number: u32,
    memory: Memory<'a>,
    registers: [u32; 8],
    eip: u32,
    flags: Flags,
    instruction: Instruction,
}

impl<'a> Cpu<'a> {
    /// A processor in front of the instruction at `entry`, called with `number` in EAX.
    pub fn new(image: &'a [u8], base: u32, entry: u32, number: u32) -> Self {
        let mut memory = Memory::new(image, base);
        let mut registers = [0; 8];
        registers[EAX] = number;
        registers[ESP] = memory.stack_top() - 4;
        // The stack has room for a word.
        _ = memory.write(registers[ESP], 4, RETURN);
        let (flags, instruction) = (Flags::default(), Instruction::default());
        Self { number, memory, registers, eip: entry, flags, instruction }
    }

    /// EAX and EDX, if the code has returned.
    pub fn returned(&self) -> Option<(u32, u32)> {
        let has_returned = self.eip == RETURN && self.registers[ESP] == self.memory.stack_top();
        has_returned.then_some((self.registers[EAX], self.registers[EDX]))
    }

    /// The error for the instruction that is next.
    pub fn error(&self, cause: AskCause) -> AskError {
        let code = self.memory.code(self.eip);
        let instruction = disassembly::first(&code[..code.len().min(LENGTH_MAX)], self.eip);
        let instruction = instruction.map(|instruction| disassembly::text(&instruction)).unwrap_or_default();
        AskError { number: self.number, address: self.eip, instruction, cause }
    }

    /// Carries out one instruction.
    pub fn step(&mut self) -> Result<(), AskError> {
        if self.eip == RETURN {
            return Err(self.error(AskCause::Stack));
        }
        let code = self.memory.code(self.eip);
        if code.is_empty() {
            return Err(self.error(AskCause::OutsideRom));
        }
        let code = &code[..code.len().min(LENGTH_MAX)];
        let mut decoder = Decoder::with_ip(32, code, self.eip.into(), DecoderOptions::NONE);
        self.instruction = decoder.decode();
        if self.instruction.is_invalid() {
            return Err(self.error(AskCause::Undecodable));
        }
        let next = self.execute().map_err(|cause| self.error(cause))?;
        self.eip = next;
        Ok(())
    }

    /// Carries out the instruction, and returns where the next one is.
    fn execute(&mut self) -> Result<u32, AskCause> {
        let instruction = self.instruction;
        // A prefix that repeats changes nothing in what is followed: no string instruction is.
        if matches!(instruction.segment_prefix(), Register::FS | Register::GS) {
            return Err(AskCause::NotFollowed);
        }
        let next = instruction.next_ip32();
        match instruction.mnemonic() {
            Mnemonic::Nop | Mnemonic::Cld => {}
            // The flavour of the test ROM that traces tells the machine which call it was: nothing is read back.
            Mnemonic::Out => {}
            Mnemonic::Mov => {
                let value = self.get(1)?;
                self.set(0, value)?;
            }
            Mnemonic::Movzx => {
                let value = self.get(1)?;
                self.set(0, value)?;
            }
            Mnemonic::Movsx => {
                let unused = 32 - 8 * self.size(1)? as u32;
                let value = (self.get(1)? << unused) as i32 >> unused;
                self.set(0, value as u32)?;
            }
            Mnemonic::Lea => {
                let address = self.address()?;
                self.set(0, address)?;
            }
            Mnemonic::Xchg => {
                let (first, second) = (self.get(0)?, self.get(1)?);
                self.set(0, second)?;
                self.set(1, first)?;
            }
            Mnemonic::Add
            | Mnemonic::Adc
            | Mnemonic::Sub
            | Mnemonic::Sbb
            | Mnemonic::Cmp
            | Mnemonic::And
            | Mnemonic::Or
            | Mnemonic::Xor
            | Mnemonic::Test => self.binary()?,
            Mnemonic::Inc | Mnemonic::Dec | Mnemonic::Neg | Mnemonic::Not => self.unary()?,
            Mnemonic::Shl | Mnemonic::Sal | Mnemonic::Shr | Mnemonic::Sar => self.shift()?,
            Mnemonic::Push => {
                let value = self.get(0)?;
                self.push(value)?;
            }
            Mnemonic::Pop => {
                let value = self.pop()?;
                self.set(0, value)?;
            }
            Mnemonic::Pushfd => self.push(self.flags.image())?,
            Mnemonic::Popfd => self.flags = Flags::from_image(self.pop()?),
            Mnemonic::Pushad => {
                let before = self.registers;
                for value in before {
                    self.push(value)?;
                }
            }
            Mnemonic::Popad => {
                for index in (0..self.registers.len()).rev() {
                    let value = self.pop()?;
                    if index != ESP {
                        self.registers[index] = value;
                    }
                }
            }
            Mnemonic::Call if instruction.is_call_near() || instruction.is_call_near_indirect() => {
                let target = self.target()?;
                self.push(next)?;
                return Ok(target);
            }
            Mnemonic::Jmp if !instruction.is_jmp_far() && !instruction.is_jmp_far_indirect() => {
                return self.target();
            }
            Mnemonic::Ret => {
                let target = self.pop()?;
                if instruction.op_count() == 1 {
                    self.registers[ESP] = self.registers[ESP].wrapping_add(instruction.immediate16().into());
                }
                return Ok(target);
            }
            _ if instruction.is_jcc_short_or_near() => {
                let holds = self.flags.holds(instruction.condition_code());
                return Ok(if holds { instruction.near_branch32() } else { next });
            }
            _ => return Err(AskCause::NotFollowed),
        }
        Ok(next)
    }

    fn binary(&mut self) -> Result<(), AskCause> {
        let (first, second, size) = (self.get(0)?, self.get(1)?, self.size(0)?);
        let carry = self.flags.carry;
        let logic = |value| (value, Flags::of(value, size));
        let (value, flags) = match self.instruction.mnemonic() {
            Mnemonic::Add => Flags::add(first, second, false, size),
            Mnemonic::Adc => Flags::add(first, second, carry, size),
            Mnemonic::Sub | Mnemonic::Cmp => Flags::subtract(first, second, false, size),
            Mnemonic::Sbb => Flags::subtract(first, second, carry, size),
            Mnemonic::And | Mnemonic::Test => logic(first & second),
            Mnemonic::Or => logic(first | second),
            _ => logic(first ^ second),
        };
        if !matches!(self.instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test) {
            self.set(0, value)?;
        }
        self.flags = flags;
        Ok(())
    }

    fn unary(&mut self) -> Result<(), AskCause> {
        let (value, size) = (self.get(0)?, self.size(0)?);
        let carry = self.flags.carry;
        let (value, flags) = match self.instruction.mnemonic() {
            Mnemonic::Inc => {
                let (value, flags) = Flags::add(value, 1, false, size);
                (value, Flags { carry, ..flags })
            }
            Mnemonic::Dec => {
                let (value, flags) = Flags::subtract(value, 1, false, size);
                (value, Flags { carry, ..flags })
            }
            Mnemonic::Neg => Flags::subtract(0, value, false, size),
            _ => (!value, self.flags),
        };
        self.set(0, value)?;
        self.flags = flags;
        Ok(())
    }

    fn shift(&mut self) -> Result<(), AskCause> {
        let (value, count, size) = (self.get(0)?, self.get(1)? & 0x1F, self.size(0)?);
        if count == 0 {
            return Ok(());
        }
        let (value, flags) = match self.instruction.mnemonic() {
            Mnemonic::Shr => Flags::shift_right(value, count, size, false),
            Mnemonic::Sar => Flags::shift_right(value, count, size, true),
            _ => Flags::shift_left(value, count, size),
        };
        self.set(0, value)?;
        self.flags = flags;
        Ok(())
    }

    /// Where a branch leads.
    fn target(&self) -> Result<u32, AskCause> {
        match self.instruction.op0_kind() {
            OpKind::NearBranch32 => Ok(self.instruction.near_branch32()),
            _ if self.size(0)? == 4 => self.get(0),
            _ => Err(AskCause::NotFollowed),
        }
    }

    fn push(&mut self, value: u32) -> Result<(), AskCause> {
        if !matches!(self.instruction.stack_pointer_increment(), -4 | -32) {
            return Err(AskCause::NotFollowed);
        }
        let top = self.registers[ESP].wrapping_sub(4);
        self.memory.write(top, 4, value)?;
        self.registers[ESP] = top;
        Ok(())
    }

    fn pop(&mut self) -> Result<u32, AskCause> {
        if self.instruction.stack_pointer_increment() % 4 != 0 && self.instruction.mnemonic() != Mnemonic::Ret
        {
            return Err(AskCause::NotFollowed);
        }
        let value = self.memory.read(self.registers[ESP], 4)?;
        self.registers[ESP] = self.registers[ESP].wrapping_add(4);
        Ok(value)
    }

    /// The size of an operand in bytes: 1, 2 or 4.
    fn size(&self, operand: u32) -> Result<usize, AskCause> {
        match self.instruction.op_kind(operand) {
            OpKind::Register => Ok(self.instruction.op_register(operand).size()),
            OpKind::Memory => match self.instruction.memory_size() {
                MemorySize::UInt8 | MemorySize::Int8 => Ok(1),
                MemorySize::UInt16 | MemorySize::Int16 => Ok(2),
                MemorySize::UInt32 | MemorySize::Int32 | MemorySize::DwordOffset => Ok(4),
                _ => Err(AskCause::NotFollowed),
            },
            _ => Ok(4),
        }
    }

    /// The linear address of the operand in memory; all segments are flat.
    fn address(&self) -> Result<u32, AskCause> {
        let mut address = self.instruction.memory_displacement32();
        let (base, index) = (self.instruction.memory_base(), self.instruction.memory_index());
        if base != Register::None {
            address = address.wrapping_add(self.register(base)?);
        }
        if index != Register::None {
            let scale = self.instruction.memory_index_scale();
            address = address.wrapping_add(self.register(index)?.wrapping_mul(scale));
        }
        Ok(address)
    }

    /// The value of a register of 32 bits that an address is made of.
    fn register(&self, register: Register) -> Result<u32, AskCause> {
        let index = REGISTERS.iter().position(|known| *known == register).ok_or(AskCause::NotFollowed)?;
        Ok(self.registers[index])
    }

    /// Number, size and position in it of a general register.
    fn place(register: Register) -> Result<(usize, usize, u32), AskCause> {
        let full = register.full_register32();
        let index = REGISTERS.iter().position(|known| *known == full).ok_or(AskCause::NotFollowed)?;
        let is_high = matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
        Ok((index, register.size(), if is_high { 8 } else { 0 }))
    }

    /// The value of an operand, with zeros in front.
    fn get(&self, operand: u32) -> Result<u32, AskCause> {
        match self.instruction.op_kind(operand) {
            OpKind::Register => {
                let (index, size, shift) = Self::place(self.instruction.op_register(operand))?;
                Ok(cut(self.registers[index] >> shift, size))
            }
            OpKind::Memory => self.memory.read(self.address()?, self.size(operand)?),
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => Err(AskCause::NotFollowed),
            _ => self
                .instruction
                .try_immediate(operand)
                .map(|value| value as u32)
                .map_err(|_| AskCause::NotFollowed),
        }
    }

    /// Sets an operand.
    fn set(&mut self, operand: u32, value: u32) -> Result<(), AskCause> {
        match self.instruction.op_kind(operand) {
            OpKind::Register => {
                let (index, size, shift) = Self::place(self.instruction.op_register(operand))?;
                let mask = cut(u32::MAX, size) << shift;
                let register = &mut self.registers[index];
                *register = *register & !mask | value << shift & mask;
                Ok(())
            }
            OpKind::Memory => self.memory.write(self.address()?, self.size(operand)?, value),
            _ => Err(AskCause::NotFollowed),
        }
    }
}
