//! The calling convention's vocabulary: where values travel, what a call may change, which segments
//! it needs.

use bitflags::bitflags;
use core::fmt;

/// An argument or a result: its place and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Where the value travels.
    pub location: Location,
    /// The value's name.
    pub name: &'static str,
}

/// Writes place and name as the documentation table shows them, for example `eax value`.
impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.location, self.name)
    }
}

/// Where an argument or a result travels.
///
/// Source: facts sheet, sections 5.1 (registers) and 5.3 (stack words).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// EAX, 32 bits.
    Eax,
    /// EBX, 32 bits.
    Ebx,
    /// ECX, 32 bits.
    Ecx,
    /// EDX, 32 bits.
    Edx,
    /// ESI, 32 bits.
    Esi,
    /// EDI, 32 bits.
    Edi,
    /// AL, 8 bits; the rest of EAX is not specified.
    Al,
    /// AX, 16 bits; the rest of EAX is not specified.
    Ax,
    /// Stack word n, counted from 1: at `[esp + 4 * n]` on entry. The caller removes it.
    Stack(u8),
    /// The words of an interrupt-return frame, EIP lowest.
    Frame,
}

impl Location {
    /// The location's width in bits; `None` for [`Location::Frame`], whose length varies.
    pub const fn bits(self) -> Option<u32> {
        match self {
            Self::Al => Some(8),
            Self::Ax => Some(16),
            Self::Frame => None,
            _ => Some(32),
        }
    }

    /// The clobber that stands for the location's register; `None` for the stack and the frame.
    pub const fn register(self) -> Option<Clobbers> {
        match self {
            Self::Eax | Self::Al | Self::Ax => Some(Clobbers::EAX),
            Self::Ebx => Some(Clobbers::EBX),
            Self::Ecx => Some(Clobbers::ECX),
            Self::Edx => Some(Clobbers::EDX),
            Self::Esi => Some(Clobbers::ESI),
            Self::Edi => Some(Clobbers::EDI),
            Self::Stack(_) | Self::Frame => None,
        }
    }
}

/// Writes the location as the documentation table shows it, for example `eax` or `[esp+4]`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eax => "eax",
            Self::Ebx => "ebx",
            Self::Ecx => "ecx",
            Self::Edx => "edx",
            Self::Esi => "esi",
            Self::Edi => "edi",
            Self::Al => "al",
            Self::Ax => "ax",
            Self::Stack(word) => return write!(f, "[esp+{}]", 4 * u32::from(*word)),
            Self::Frame => "[esp..]",
        })
    }
}

bitflags! {
    /// What may differ after a call, results included. Whatever is not named is kept, EFLAGS.DF and
    /// the segment registers always.
    ///
    /// Source: facts sheet, section 5.2.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Clobbers: u8 {
        /// EAX.
        const EAX = 1 << 0;
        /// EBX.
        const EBX = 1 << 1;
        /// ECX.
        const ECX = 1 << 2;
        /// EDX.
        const EDX = 1 << 3;
        /// ESI.
        const ESI = 1 << 4;
        /// EDI.
        const EDI = 1 << 5;
        /// The arithmetic flags: CF, PF, AF, ZF, SF, OF.
        const FLAGS = 1 << 6;
        /// Guest memory other than the caller's own stack words.
        const MEMORY = 1 << 7;
    }
}

/// Which segment registers must hold flat 32-bit segments during a call.
///
/// Flat: base 0, limit as the hypervisor truncates it. FS and GS are never assumed, and are kept.
/// Source: facts sheet, section 5.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// CS, SS, DS and ES.
    All,
    /// CS and SS only: user data segments may still be loaded.
    CodeAndStack,
}
