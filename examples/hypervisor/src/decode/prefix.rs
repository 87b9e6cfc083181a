//! What may stand in front of an opcode.

use super::Error;
use super::operand::Segment;
use super::reader::Reader;

/// A repeat prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// F3.
    Equal,
    /// F2.
    NotEqual,
}

/// The prefixes of an instruction. Of several of one kind the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Bytes of an operand that is not a byte: 2 or 4.
    pub operand_size: u8,
    /// Bytes of an address: 2 or 4.
    pub address_size: u8,
    /// The segment that takes the place of the usual one.
    pub segment: Option<Segment>,
    /// LOCK.
    pub lock: bool,
    /// REP or REPNE.
    pub repeat: Option<Repeat>,
}

impl Prefixes {
    /// Reads the prefixes; the byte behind them is the opcode, and is returned too.
    pub(super) fn read(reader: &mut Reader<'_>, big: bool) -> Result<(Self, u8), Error> {
        let (usual, other) = if big { (4, 2) } else { (2, 4) };
        let mut prefixes =
            Self { operand_size: usual, address_size: usual, segment: None, lock: false, repeat: None };
        loop {
            match reader.byte()? {
                0x26 => prefixes.segment = Some(Segment::Es),
                0x2E => prefixes.segment = Some(Segment::Cs),
                0x36 => prefixes.segment = Some(Segment::Ss),
                0x3E => prefixes.segment = Some(Segment::Ds),
                0x64 => prefixes.segment = Some(Segment::Fs),
                0x65 => prefixes.segment = Some(Segment::Gs),
                0x66 => prefixes.operand_size = other,
                0x67 => prefixes.address_size = other,
                0xF0 => prefixes.lock = true,
                0xF2 => prefixes.repeat = Some(Repeat::NotEqual),
                0xF3 => prefixes.repeat = Some(Repeat::Equal),
                opcode => return Ok((prefixes, opcode)),
            }
        }
    }
}
