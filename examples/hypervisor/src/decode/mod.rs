//! The instructions that trap in ring 1 and 3 and have to be carried out, and the stores that emulated
//! registers are written with.
//!
//! Source: Intel manual, volume 2, chapter 2 and appendix A.

mod opcode;
mod operand;
mod prefix;
mod reader;
#[cfg(test)]
mod tests;

use core::fmt;

pub use opcode::decode;
pub use operand::{Memory, Operand, Segment};
pub use prefix::{Prefixes, Repeat};
pub use reader::MAXIMUM_LENGTH;

/// Why bytes are not an instruction that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes end before the instruction does, or it is longer than an instruction may be.
    Incomplete,
    /// Another instruction, beginning with this opcode behind the prefixes; 0F is the upper half of two bytes.
    Unknown(u16),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("the instruction is not complete"),
            Self::Unknown(opcode) => write!(f, "the instruction with opcode {opcode:02x} is not emulated"),
        }
    }
}

impl core::error::Error for Error {}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Its length in bytes.
    pub length: u8,
    /// What stands in front of the opcode.
    pub prefixes: Prefixes,
    /// What it does.
    pub operation: Operation,
}

/// Where IN and OUT take the port from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The byte behind the opcode.
    Immediate(u8),
    /// DX.
    Dx,
}

/// The target of a far jump or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Far {
    /// In the instruction.
    Immediate {
        /// The selector.
        selector: u16,
        /// The offset.
        offset: u32,
    },
    /// In memory: the offset, and the selector behind it.
    Memory(Memory),
}

/// What a store stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A general register, by number and the width of the store.
    Register(u8),
    /// A value in the instruction.
    Immediate(u32),
}

/// What an instruction does. `width` is in bytes: 1, 2 or 4.
#[allow(missing_docs, reason = "the names are those of the manual")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Cli,
    Sti,
    Hlt,
    Clts,
    Invd,
    Wbinvd,
    Rdmsr,
    Wrmsr,
    Rdtsc,
    Rdpmc,
    Sysenter,
    Sysexit,
    Lgdt(Memory),
    Lidt(Memory),
    Lldt(Operand),
    Ltr(Operand),
    Lmsw(Operand),
    Invlpg(Memory),
    /// From a general register to a control register.
    WriteControl {
        control: u8,
        register: u8,
    },
    /// From a control register to a general register.
    ReadControl {
        control: u8,
        register: u8,
    },
    /// From a general register to a debug register.
    WriteDebug {
        debug: u8,
        register: u8,
    },
    /// From a debug register to a general register.
    ReadDebug {
        debug: u8,
        register: u8,
    },
    In {
        width: u8,
        port: Port,
    },
    Out {
        width: u8,
        port: Port,
    },
    Ins {
        width: u8,
    },
    Outs {
        width: u8,
    },
    /// INT with a vector.
    Int(u8),
    /// INT3 by its own opcode.
    Int3,
    Into,
    /// The width is that of each word of the frame.
    Iret {
        width: u8,
    },
    /// `release` more bytes are taken from the stack.
    Retf {
        width: u8,
        release: u16,
    },
    JumpFar {
        width: u8,
        to: Far,
    },
    CallFar {
        width: u8,
        to: Far,
    },
    /// MOV to a segment register.
    MoveSegment {
        segment: Segment,
        from: Operand,
    },
    PopSegment {
        width: u8,
        segment: Segment,
    },
    /// LSS, LDS, LES, LFS, LGS.
    LoadFar {
        width: u8,
        segment: Segment,
        register: u8,
        from: Memory,
    },
    /// PUSHF.
    PushFlags {
        width: u8,
    },
    /// POPF.
    PopFlags {
        width: u8,
    },
    /// MOV to memory.
    Store {
        width: u8,
        to: Memory,
        from: Source,
    },
    /// XCHG with memory.
    Exchange {
        width: u8,
        with: Memory,
        register: u8,
    },
    /// STOS.
    StoreString {
        width: u8,
    },
    /// MOVS.
    MoveString {
        width: u8,
    },
}

impl Operation {
    /// The mnemonic, for counters and log lines.
    pub const fn mnemonic(&self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Sti => "sti",
            Self::Hlt => "hlt",
            Self::Clts => "clts",
            Self::Invd => "invd",
            Self::Wbinvd => "wbinvd",
            Self::Rdmsr => "rdmsr",
            Self::Wrmsr => "wrmsr",
            Self::Rdtsc => "rdtsc",
            Self::Rdpmc => "rdpmc",
            Self::Sysenter => "sysenter",
            Self::Sysexit => "sysexit",
            Self::Lgdt(_) => "lgdt",
            Self::Lidt(_) => "lidt",
            Self::Lldt(_) => "lldt",
            Self::Ltr(_) => "ltr",
            Self::Lmsw(_) => "lmsw",
            Self::Invlpg(_) => "invlpg",
            Self::WriteControl { .. } => "mov-to-cr",
            Self::ReadControl { .. } => "mov-from-cr",
            Self::WriteDebug { .. } => "mov-to-dr",
            Self::ReadDebug { .. } => "mov-from-dr",
            Self::In { .. } => "in",
            Self::Out { .. } => "out",
            Self::Ins { .. } => "ins",
            Self::Outs { .. } => "outs",
            Self::Int(_) => "int",
            Self::Int3 => "int3",
            Self::Into => "into",
            Self::Iret { .. } => "iret",
            Self::Retf { .. } => "retf",
            Self::JumpFar { .. } => "jmp-far",
            Self::CallFar { .. } => "call-far",
            Self::MoveSegment { .. } => "mov-to-segment",
            Self::PopSegment { .. } => "pop-segment",
            Self::LoadFar { .. } => "load-far",
            Self::PushFlags { .. } => "pushf",
            Self::PopFlags { .. } => "popf",
            Self::Store { .. } => "mov",
            Self::Exchange { .. } => "xchg",
            Self::StoreString { .. } => "stos",
            Self::MoveString { .. } => "movs",
        }
    }

    /// Whether a LOCK prefix may stand in front of it; with any other instruction that is #UD.
    pub const fn is_lockable(&self) -> bool {
        matches!(self, Self::Exchange { .. })
    }
}
