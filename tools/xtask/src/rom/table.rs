//! The relocation table in a ROM image: what the ROM's GetRelocationInfo will answer.

use std::mem::offset_of;

use paravirt_vmi_abi::{Call, RelocationInfo, RelocationKind};

use super::field;

/// Bytes of one entry.
pub const ENTRY_SIZE: usize = size_of::<RelocationInfo>();

/// One entry: [`RelocationInfo`] with an offset in the image in place of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The call.
    pub call: Call,
    /// Offset of the target in the image, modulo 2^32; meaningless with NONE.
    pub target: u32,
    /// The kind that is answered.
    pub kind: RelocationKind,
}

/// The entries of the table at `offset`, as far as they lie inside `bytes`.
pub fn entries(bytes: &[u8], offset: usize) -> impl Iterator<Item = Entry> {
    Call::all().map_while(move |call| {
        Some(Entry {
            call,
            target: field::read(bytes, target_of(offset, call), 4)?,
            kind: RelocationKind(*bytes.get(kind_of(offset, call))?),
        })
    })
}

/// Offset of the target field of a call's entry, in the table at `offset`.
pub const fn target_of(offset: usize, call: Call) -> usize {
    entry_of(offset, call) + offset_of!(RelocationInfo, eip)
}

/// Offset of the kind field of a call's entry, in the table at `offset`.
pub const fn kind_of(offset: usize, call: Call) -> usize {
    entry_of(offset, call) + offset_of!(RelocationInfo, kind)
}

const fn entry_of(offset: usize, call: Call) -> usize {
    offset + ENTRY_SIZE * call.number() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_from_the_place_of_its_call() {
        let mut bytes = vec![0; 3 + ENTRY_SIZE * Call::COUNT];
        let place = 3 + ENTRY_SIZE * 33;
        bytes[place..place + ENTRY_SIZE].copy_from_slice(&[0x78, 0x56, 0x34, 0x12, 2, 0, 0, 0]);
        let found: Vec<_> = entries(&bytes, 3).filter(|entry| entry.kind != RelocationKind::NONE).collect();
        let expected = Entry { call: Call::IRET, target: 0x1234_5678, kind: RelocationKind::JUMP_REL };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_table_that_is_cut_off_ends_early() {
        let bytes = vec![0; 100];
        assert_eq!(entries(&bytes, 3).count(), 12);
        assert_eq!(entries(&bytes, 100).count(), 0);
    }
}
