//! From opcodes to operations.

use super::operand::{ModRm, Segment};
use super::prefix::Prefixes;
use super::reader::Reader;
use super::{Error, Far, Instruction, Memory, Operation, Port, Source};

/// Decodes the instruction that `bytes` begin with; `big` says whether the code segment is one of 32 bits.
///
/// # Errors
///
/// The bytes end too early, or it is not one of the instructions of [`Operation`].
pub fn decode(bytes: &[u8], big: bool) -> Result<Instruction, Error> {
    let mut reader = Reader::new(bytes);
    let (prefixes, opcode) = Prefixes::read(&mut reader, big)?;
    let mut decoder = Decoder { reader, prefixes };
    let operation = match opcode {
        0x0F => decoder.two_bytes()?,
        _ => decoder.one_byte(opcode)?,
    };
    Ok(Instruction { length: decoder.reader.position(), prefixes, operation })
}

struct Decoder<'a> {
    reader: Reader<'a>,
    prefixes: Prefixes,
}

impl Decoder<'_> {
    /// The width of an operand: opcodes with bit 0 clear are those for bytes.
    const fn width(&self, opcode: u8) -> u8 {
        if opcode & 1 == 0 { 1 } else { self.prefixes.operand_size }
    }

    fn modrm(&mut self) -> Result<ModRm, Error> {
        ModRm::read(&mut self.reader, &self.prefixes)
    }

    /// The offset of MOV between memory and the accumulator.
    fn direct(&mut self) -> Result<Memory, Error> {
        let address_size = self.prefixes.address_size;
        let displacement = self.reader.value(address_size)?;
        let segment = self.prefixes.segment.unwrap_or(Segment::Ds);
        Ok(Memory { segment, base: None, index: None, displacement, address_size })
    }

    fn far_pointer(&mut self) -> Result<Far, Error> {
        let offset = self.reader.value(self.prefixes.operand_size)?;
        Ok(Far::Immediate { offset, selector: self.reader.value(2)? as u16 })
    }

    /// A selector and an offset from memory, into a segment register and a general one.
    fn load_far(&mut self, segment: Segment, opcode: u16) -> Result<Operation, Error> {
        let modrm = self.modrm()?;
        let from = modrm.memory().ok_or(Error::Unknown(opcode))?;
        Ok(Operation::LoadFar { width: self.prefixes.operand_size, segment, register: modrm.middle, from })
    }

    fn one_byte(&mut self, opcode: u8) -> Result<Operation, Error> {
        let unknown = Error::Unknown(opcode.into());
        let (wide, width) = (self.prefixes.operand_size, self.width(opcode));
        Ok(match opcode {
            0x07 => Operation::PopSegment { width: wide, segment: Segment::Es },
            0x17 => Operation::PopSegment { width: wide, segment: Segment::Ss },
            0x1F => Operation::PopSegment { width: wide, segment: Segment::Ds },
            0x6C | 0x6D => Operation::Ins { width },
            0x6E | 0x6F => Operation::Outs { width },
            0x86 | 0x87 => {
                let modrm = self.modrm()?;
                let with = modrm.memory().ok_or(unknown)?;
                Operation::Exchange { width, with, register: modrm.middle }
            }
            0x88 | 0x89 => {
                let modrm = self.modrm()?;
                let to = modrm.memory().ok_or(unknown)?;
                Operation::Store { width, to, from: Source::Register(modrm.middle) }
            }
            0x8E => {
                let modrm = self.modrm()?;
                match Segment::from_number(modrm.middle) {
                    None | Some(Segment::Cs) => return Err(unknown),
                    Some(segment) => Operation::MoveSegment { segment, from: modrm.operand },
                }
            }
            0x9A => Operation::CallFar { width: wide, to: self.far_pointer()? },
            0x9C => Operation::PushFlags { width: wide },
            0x9D => Operation::PopFlags { width: wide },
            0xA2 | 0xA3 => Operation::Store { width, to: self.direct()?, from: Source::Register(0) },
            0xA4 | 0xA5 => Operation::MoveString { width },
            0xAA | 0xAB => Operation::StoreString { width },
            0xC4 => self.load_far(Segment::Es, 0xC4)?,
            0xC5 => self.load_far(Segment::Ds, 0xC5)?,
            0xC6 | 0xC7 => {
                let modrm = self.modrm()?;
                let (to, 0) = (modrm.memory().ok_or(unknown)?, modrm.middle) else {
                    return Err(unknown);
                };
                Operation::Store { width, to, from: Source::Immediate(self.reader.value(width)?) }
            }
            0xCA => Operation::Retf { width: wide, release: self.reader.value(2)? as u16 },
            0xCB => Operation::Retf { width: wide, release: 0 },
            0xCC => Operation::Int3,
            0xCD => Operation::Int(self.reader.byte()?),
            0xCE => Operation::Into,
            0xCF => Operation::Iret { width: wide },
            0xE4 | 0xE5 => Operation::In { width, port: Port::Immediate(self.reader.byte()?) },
            0xE6 | 0xE7 => Operation::Out { width, port: Port::Immediate(self.reader.byte()?) },
            0xEA => Operation::JumpFar { width: wide, to: self.far_pointer()? },
            0xEC | 0xED => Operation::In { width, port: Port::Dx },
            0xEE | 0xEF => Operation::Out { width, port: Port::Dx },
            0xF4 => Operation::Hlt,
            0xFA => Operation::Cli,
            0xFB => Operation::Sti,
            0xFF => {
                let modrm = self.modrm()?;
                let to = Far::Memory(modrm.memory().ok_or(unknown)?);
                match modrm.middle {
                    3 => Operation::CallFar { width: wide, to },
                    5 => Operation::JumpFar { width: wide, to },
                    _ => return Err(unknown),
                }
            }
            _ => return Err(unknown),
        })
    }

    fn two_bytes(&mut self) -> Result<Operation, Error> {
        let opcode = self.reader.byte()?;
        let unknown = Error::Unknown(0x0F00 | u16::from(opcode));
        let wide = self.prefixes.operand_size;
        Ok(match opcode {
            0x00 => {
                let modrm = self.modrm()?;
                match modrm.middle {
                    2 => Operation::Lldt(modrm.operand),
                    3 => Operation::Ltr(modrm.operand),
                    _ => return Err(unknown),
                }
            }
            0x01 => {
                let modrm = self.modrm()?;
                match (modrm.middle, modrm.memory()) {
                    (2, Some(from)) => Operation::Lgdt(from),
                    (3, Some(from)) => Operation::Lidt(from),
                    (6, _) => Operation::Lmsw(modrm.operand),
                    (7, Some(page)) => Operation::Invlpg(page),
                    _ => return Err(unknown),
                }
            }
            0x06 => Operation::Clts,
            0x08 => Operation::Invd,
            // With a repeat prefix it is WBNOINVD, which does less.
            0x09 => Operation::Wbinvd,
            0x20..=0x23 => {
                let (system, register) = ModRm::read_registers(&mut self.reader)?;
                match opcode {
                    0x20 => Operation::ReadControl { control: system, register },
                    0x21 => Operation::ReadDebug { debug: system, register },
                    0x22 => Operation::WriteControl { control: system, register },
                    _ => Operation::WriteDebug { debug: system, register },
                }
            }
            0x30 => Operation::Wrmsr,
            0x31 => Operation::Rdtsc,
            0x32 => Operation::Rdmsr,
            0x33 => Operation::Rdpmc,
            0x34 => Operation::Sysenter,
            0x35 => Operation::Sysexit,
            0xA1 => Operation::PopSegment { width: wide, segment: Segment::Fs },
            0xA9 => Operation::PopSegment { width: wide, segment: Segment::Gs },
            0xB2 => self.load_far(Segment::Ss, 0x0FB2)?,
            0xB4 => self.load_far(Segment::Fs, 0x0FB4)?,
            0xB5 => self.load_far(Segment::Gs, 0x0FB5)?,
            _ => return Err(unknown),
        })
    }
}
