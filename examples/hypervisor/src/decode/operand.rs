//! Operands: the ModRM byte and what follows it.

use super::Error;
use super::prefix::Prefixes;
use super::reader::Reader;
use crate::frame::Frame;

/// A segment register, in the order of the encoding.
#[allow(missing_docs, reason = "the names are those of the manual")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
}

impl Segment {
    /// The registers that no ring needs.
    pub const DATA: [Self; 4] = [Self::Es, Self::Ds, Self::Fs, Self::Gs];

    /// The register with a number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Es,
            1 => Self::Cs,
            2 => Self::Ss,
            3 => Self::Ds,
            4 => Self::Fs,
            5 => Self::Gs,
            _ => return None,
        })
    }
}

/// A place in memory, by the registers that lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The segment, by the prefix or the base register.
    pub segment: Segment,
    /// A general register, by number.
    pub base: Option<u8>,
    /// A register and the power of two that it is multiplied by.
    pub index: Option<(u8, u8)>,
    /// What is added to the registers.
    pub displacement: u32,
    /// Bytes of the address: 2 or 4.
    pub address_size: u8,
}

impl Memory {
    /// The offset within the segment.
    pub fn offset(&self, frame: &Frame) -> u32 {
        let base = self.base.map_or(0, |base| frame.register(base));
        let index = self.index.map_or(0, |(index, shift)| frame.register(index) << shift);
        let offset = base.wrapping_add(index).wrapping_add(self.displacement);
        if self.address_size == 2 { offset & 0xFFFF } else { offset }
    }
}

/// A register or a place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A general register by number.
    Register(u8),
    /// A place in memory.
    Memory(Memory),
}

const EBX: u8 = 3;
const ESP: u8 = 4;
const EBP: u8 = 5;
const ESI: u8 = 6;
const EDI: u8 = 7;

/// The ModRM byte.
#[derive(Clone, Copy)]
pub(super) struct ModRm {
    /// The middle field: a register, or part of the opcode.
    pub(super) middle: u8,
    pub(super) operand: Operand,
}

impl ModRm {
    /// Reads the byte and the address that follows it.
    pub(super) fn read(reader: &mut Reader<'_>, prefixes: &Prefixes) -> Result<Self, Error> {
        let byte = reader.byte()?;
        let (mode, middle, last) = (byte >> 6, byte >> 3 & 7, byte & 7);
        let operand = match (mode, prefixes.address_size) {
            (3, _) => Operand::Register(last),
            (_, 2) => Operand::Memory(address_of_16_bits(reader, prefixes, mode, last)?),
            _ => Operand::Memory(address_of_32_bits(reader, prefixes, mode, last)?),
        };
        Ok(Self { middle, operand })
    }

    /// Reads a byte whose register fields alone count: MOV to and from control and debug registers.
    pub(super) fn read_registers(reader: &mut Reader<'_>) -> Result<(u8, u8), Error> {
        let byte = reader.byte()?;
        Ok((byte >> 3 & 7, byte & 7))
    }

    /// The operand, if it lies in memory.
    pub(super) const fn memory(&self) -> Option<Memory> {
        match self.operand {
            Operand::Memory(memory) => Some(memory),
            Operand::Register(_) => None,
        }
    }
}

fn address_of_16_bits(
    reader: &mut Reader<'_>,
    prefixes: &Prefixes,
    mode: u8,
    last: u8,
) -> Result<Memory, Error> {
    let (base, index) = match last {
        0 => (Some(EBX), Some(ESI)),
        1 => (Some(EBX), Some(EDI)),
        2 => (Some(EBP), Some(ESI)),
        3 => (Some(EBP), Some(EDI)),
        4 => (Some(ESI), None),
        5 => (Some(EDI), None),
        6 if mode == 0 => (None, None),
        6 => (Some(EBP), None),
        _ => (Some(EBX), None),
    };
    let displacement = match mode {
        0 if base.is_none() => reader.value(2)?,
        0 => 0,
        1 => reader.signed_byte()?,
        _ => reader.value(2)?,
    };
    let usual = if base == Some(EBP) { Segment::Ss } else { Segment::Ds };
    let (segment, index) = (prefixes.segment.unwrap_or(usual), index.map(|index| (index, 0)));
    Ok(Memory { segment, base, index, displacement, address_size: 2 })
}

fn address_of_32_bits(
    reader: &mut Reader<'_>,
    prefixes: &Prefixes,
    mode: u8,
    last: u8,
) -> Result<Memory, Error> {
    let (base, index) = if last == ESP {
        let byte = reader.byte()?;
        let (scale, index, base) = (byte >> 6, byte >> 3 & 7, byte & 7);
        (base, (index != ESP).then_some((index, scale)))
    } else {
        (last, None)
    };
    let base = (mode != 0 || base != EBP).then_some(base);
    let displacement = match mode {
        0 if base.is_none() => reader.value(4)?,
        0 => 0,
        1 => reader.signed_byte()?,
        _ => reader.value(4)?,
    };
    let usual = if matches!(base, Some(ESP | EBP)) { Segment::Ss } else { Segment::Ds };
    let segment = prefixes.segment.unwrap_or(usual);
    Ok(Memory { segment, base, index, displacement, address_size: 4 })
}
