//! The relocation table in an image: what the ROM's GetRelocationInfo answers.

use std::mem::offset_of;

use paravirt_vmi_abi::{RelocationInfo, RelocationKind};

use super::field;

/// One entry of a relocation table: [`RelocationInfo`] with an offset in the image in place of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The kind that is answered.
    pub kind: RelocationKind,
    /// Offset of the target in the image, modulo 2^32; meaningless with NONE and NOP.
    pub offset: u32,
}

impl Relocation {
    /// The call is not provided.
    pub const NONE: Self = Self { kind: RelocationKind::NONE, offset: 0 };

    /// A call to `offset`.
    pub const fn call(offset: u32) -> Self {
        Self { kind: RelocationKind::CALL_REL, offset }
    }

    /// Whether the kind is one that leads somewhere.
    pub const fn is_branch(self) -> bool {
        matches!(self.kind, RelocationKind::CALL_REL | RelocationKind::JUMP_REL)
    }

    /// What the ROM's GetRelocationInfo makes of this entry if the ROM is called at linear address `base`.
    /// The address is 0 with a kind that leads nowhere.
    pub const fn answer(self, base: u32) -> RelocationInfo {
        RelocationInfo::new(self.kind, if self.is_branch() { base.wrapping_add(self.offset) } else { 0 })
    }
}

/// Bytes of one entry.
pub(crate) const ENTRY_SIZE: usize = size_of::<RelocationInfo>();

/// The entry of `number` in the table at `table`, if it lies inside `bytes`.
pub(crate) fn entry(bytes: &[u8], table: usize, number: usize) -> Option<Relocation> {
    let kind = RelocationKind(*bytes.get(kind_of(table, number))?);
    Some(Relocation { kind, offset: field::read(bytes, target_of(table, number), 4)? })
}

/// Offset of the target field of an entry, in the table at `table`.
pub(crate) const fn target_of(table: usize, number: usize) -> usize {
    table + ENTRY_SIZE * number + offset_of!(RelocationInfo, eip)
}

/// Offset of the kind field of an entry, in the table at `table`.
pub(crate) const fn kind_of(table: usize, number: usize) -> usize {
    table + ENTRY_SIZE * number + offset_of!(RelocationInfo, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_from_the_place_of_its_number() {
        let mut bytes = vec![0; 3 + ENTRY_SIZE * 74];
        let place = 3 + ENTRY_SIZE * 33;
        bytes[place..place + ENTRY_SIZE].copy_from_slice(&[0x78, 0x56, 0x34, 0x12, 2, 0, 0, 0]);
        let expected = Relocation { kind: RelocationKind::JUMP_REL, offset: 0x1234_5678 };
        assert_eq!(entry(&bytes, 3, 33), Some(expected));
        assert_eq!(entry(&bytes, 3, 32), Some(Relocation::NONE));
    }

    #[test]
    fn an_entry_that_is_cut_off_has_no_value() {
        let bytes = vec![0; 100];
        assert_eq!((0..74).filter(|number| entry(&bytes, 3, *number).is_some()).count(), 12);
        assert_eq!(entry(&bytes, 100, 0), None);
    }

    #[test]
    fn an_answer_that_leads_nowhere_has_no_address() {
        let answer = |kind| Relocation { kind, offset: 0x30 }.answer(0xc00c_3000).eip.get();
        assert_eq!(answer(RelocationKind::CALL_REL), 0xc00c_3030);
        assert_eq!(answer(RelocationKind::JUMP_REL), 0xc00c_3030);
        assert_eq!(answer(RelocationKind::NOP), 0);
        assert_eq!(answer(RelocationKind(0xA5)), 0);
        assert_eq!(Relocation::call(u32::MAX).answer(0xc00c_3000).eip.get(), 0xc00c_2fff);
    }
}
