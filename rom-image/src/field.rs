//! Little-endian fields at byte offsets, without a panic wherever they lie.

use zerocopy::FromBytes;

/// The value of the `size` bytes at `offset`, at most 4; `None` if they are not all inside `bytes`.
pub fn read(bytes: &[u8], offset: usize, size: usize) -> Option<u32> {
    let field = bytes.get(offset..offset.checked_add(size)?)?;
    if size > 4 {
        return None;
    }
    Some(field.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}

/// The value of the two bytes at `offset`, as an offset.
pub fn read_offset(bytes: &[u8], offset: usize) -> Option<usize> {
    read(bytes, offset, 2).map(|value| value as usize)
}

/// The text at `offset` up to a NUL byte; `None` if it does not end inside `bytes`.
pub fn read_text(bytes: &[u8], offset: usize) -> Option<String> {
    let rest = bytes.get(offset..)?;
    let length = rest.iter().position(|&byte| byte == 0)?;
    Some(rest[..length].escape_ascii().to_string())
}

/// The structure at `offset`; `None` if it is not wholly inside `bytes`.
pub fn read_structure<T: FromBytes>(bytes: &[u8], offset: usize) -> Option<T> {
    let (structure, _) = T::read_from_prefix(bytes.get(offset..)?).ok()?;
    Some(structure)
}

/// The sum of `bytes` modulo 256; 0 for the area that an option-ROM header describes.
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_with_its_lowest_byte_first() {
        let bytes = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55];
        assert_eq!(read(&bytes, 1, 1), Some(0x11));
        assert_eq!(read(&bytes, 1, 2), Some(0x2211));
        assert_eq!(read(&bytes, 2, 4), Some(0x5544_3322));
    }

    #[test]
    fn a_field_that_is_not_wholly_inside_has_no_value() {
        let bytes = [0; 6];
        assert_eq!(read(&bytes, 3, 4), None);
        assert_eq!(read(&bytes, usize::MAX, 2), None);
        assert_eq!(read(&bytes, 0, 5), None);
    }

    #[test]
    fn a_structure_that_is_not_wholly_inside_has_no_value() {
        let bytes = [0, 0x11, 0x22];
        assert_eq!(read_structure::<[u8; 2]>(&bytes, 1), Some([0x11, 0x22]));
        assert_eq!(read_structure::<[u8; 2]>(&bytes, 2), None);
        assert_eq!(read_structure::<[u8; 2]>(&bytes, usize::MAX), None);
    }

    #[test]
    fn a_text_ends_at_its_nul_byte_or_has_no_value() {
        let bytes = *b"ab\x01\0cd";
        assert_eq!(read_text(&bytes, 1).as_deref(), Some("b\\x01"));
        assert_eq!(read_text(&bytes, 4), None);
        assert_eq!(read_text(&bytes, 7), None);
    }
}
