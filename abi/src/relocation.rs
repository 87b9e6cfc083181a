//! GetRelocationInfo: what a ROM answers, and what a guest can do with it.

use crate::layout::FieldType;
use bitflags::bitflags;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

open_enum! {
    /// The kind of a relocation: bits 7 to 0 of EDX after GetRelocationInfo.
    ///
    /// A ROM can answer any byte. Source: facts sheet, section 6.1.
    pub struct RelocationKind(u8) derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)
        = "VMI_RELOCATION_"
    {
        /// The call is not provided: leave the native instructions.
        const NONE = 0;
        /// E8 rel32 to the target.
        const CALL_REL = 1;
        /// E9 rel32 to the target.
        const JUMP_REL = 2;
        /// The operation is not needed: erase the native instructions.
        const NOP = 3;
    }
}

impl RelocationKind {
    /// The kind as a one-element set, or `None` if it is not one of the four.
    pub const fn to_kinds(self) -> Option<RelocationKinds> {
        match self {
            Self::NONE => Some(RelocationKinds::NONE),
            Self::CALL_REL => Some(RelocationKinds::CALL_REL),
            Self::JUMP_REL => Some(RelocationKinds::JUMP_REL),
            Self::NOP => Some(RelocationKinds::NOP),
            _ => None,
        }
    }
}

impl FieldType for RelocationKind {
    const C_TYPE: &'static str = u8::C_TYPE;
}

bitflags! {
    /// A set of relocation kinds.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct RelocationKinds: u8 {
        /// [`RelocationKind::NONE`].
        const NONE = 1 << 0;
        /// [`RelocationKind::CALL_REL`].
        const CALL_REL = 1 << 1;
        /// [`RelocationKind::JUMP_REL`].
        const JUMP_REL = 1 << 2;
        /// [`RelocationKind::NOP`].
        const NOP = 1 << 3;
    }
}

layout! {
    /// What GetRelocationInfo returns in EDX:EAX, as the bytes of a 64-bit number.
    ///
    /// Source: facts sheet, section 6.1.
    pub struct RelocationInfo = "vmi_relocation_info", size 0x08, align 1 {
        /// Linear address of the call's code in the ROM, from EAX.
        0x00 eip: U32,
        /// What to make of it, from bits 7 to 0 of EDX.
        0x04 kind: RelocationKind,
        /// Reserved, bits 31 to 8 of EDX.
        0x05 reserved: [u8; 3],
    }
}

impl RelocationInfo {
    /// An answer whose reserved bits are 0.
    pub const fn new(kind: RelocationKind, eip: u32) -> Self {
        Self { eip: U32::new(eip), kind, reserved: [0; 3] }
    }

    /// The answer that GetRelocationInfo left in the two registers.
    pub const fn from_registers(eax: u32, edx: u32) -> Self {
        let [kind, reserved @ ..] = edx.to_le_bytes();
        Self { eip: U32::new(eax), kind: RelocationKind(kind), reserved }
    }

    /// The registers that hold this answer: EAX, then EDX.
    pub const fn to_registers(self) -> (u32, u32) {
        let [first, second, third] = self.reserved;
        (self.eip.get(), u32::from_le_bytes([self.kind.0, first, second, third]))
    }
}
