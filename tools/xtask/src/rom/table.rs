//! The relocation table in a ROM image: what the ROM's GetRelocationInfo will answer.

use std::mem::offset_of;

use paravirt_vmi_abi::{RelocationInfo, RelocationKind};

use super::field;

/// Bytes of one entry.
pub const ENTRY_SIZE: usize = size_of::<RelocationInfo>();

/// One entry: [`RelocationInfo`] with an offset in the image in place of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number that GetRelocationInfo takes: of the call in 3.0, of the slot in 13.3.
    pub number: usize,
    /// Offset of the target in the image, modulo 2^32; meaningless with NONE.
    pub target: u32,
    /// The kind that is answered.
    pub kind: RelocationKind,
}

/// The first `count` entries of the table at `offset`, as far as they lie inside `bytes`.
pub fn entries(bytes: &[u8], offset: usize, count: usize) -> impl Iterator<Item = Entry> {
    (0..count).map_while(move |number| {
        Some(Entry {
            number,
            target: field::read(bytes, target_of(offset, number), 4)?,
            kind: RelocationKind(*bytes.get(kind_of(offset, number))?),
        })
    })
}

/// Offset of the target field of an entry, in the table at `offset`.
pub const fn target_of(offset: usize, number: usize) -> usize {
    entry_of(offset, number) + offset_of!(RelocationInfo, eip)
}

/// Offset of the kind field of an entry, in the table at `offset`.
pub const fn kind_of(offset: usize, number: usize) -> usize {
    entry_of(offset, number) + offset_of!(RelocationInfo, kind)
}

const fn entry_of(offset: usize, number: usize) -> usize {
    offset + ENTRY_SIZE * number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_from_the_place_of_its_number() {
        let mut bytes = vec![0; 3 + ENTRY_SIZE * 74];
        let place = 3 + ENTRY_SIZE * 33;
        bytes[place..place + ENTRY_SIZE].copy_from_slice(&[0x78, 0x56, 0x34, 0x12, 2, 0, 0, 0]);
        let found: Vec<_> =
            entries(&bytes, 3, 74).filter(|entry| entry.kind != RelocationKind::NONE).collect();
        let expected = Entry { number: 33, target: 0x1234_5678, kind: RelocationKind::JUMP_REL };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_table_that_is_cut_off_ends_early() {
        let bytes = vec![0; 100];
        assert_eq!(entries(&bytes, 3, 74).count(), 12);
        assert_eq!(entries(&bytes, 100, 74).count(), 0);
    }
}
