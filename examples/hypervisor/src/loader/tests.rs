use proptest::prelude::*;

use super::*;
use crate::host::NotMemory;

/// A kernel of two segments: eight bytes at 1 MiB, mapped at C0100000, and nine at 2 MiB of which five are in
/// the file.
fn kernel() -> Vec<u8> {
    let mut file = vec![0; 0x200];
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, &elf::IDENTIFICATION);
    put(16, &[2, 0, 3, 0]);
    for (offset, word) in [(24, 0xC010_0004_u32), (28, 52), (42, 32), (44, 3)] {
        let size = if offset < 40 { 4 } else { 2 };
        put(offset, &word.to_le_bytes()[..size]);
    }
    let headers = [
        [1, 0x100, 0xC010_0000, 0x10_0000, 8, 8, 5, 0x1000],
        // not loaded
        [4, 0, 0, 0xFFFF_0000, 0xFFFF, 0xFFFF, 0, 0],
        [1, 0x108, 0xC020_0000, 0x20_0000, 5, 9, 6, 0x1000_u32],
    ];
    for (index, header) in headers.into_iter().enumerate() {
        for (field, word) in header.into_iter().enumerate() {
            put(52 + index * 32 + field * 4, &word.to_le_bytes());
        }
    }
    put(0x100, b"textTEXTdata!");
    for (index, word) in [HEADER_MAGIC, 3, (HEADER_MAGIC + 3).wrapping_neg()].into_iter().enumerate() {
        put(0x120 + index * 4, &word.to_le_bytes());
    }
    file
}

/// The kernel with a word of its file changed.
fn with_word(offset: usize, word: u32) -> Vec<u8> {
    let mut file = kernel();
    file[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    file
}

fn error(file: &[u8]) -> LoadError {
    Program::parse(file).expect_err("an error")
}

#[derive(Default)]
struct Memory(Vec<(u32, Vec<u8>)>);

impl Memory {
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), NotMemory> {
        self.0.push((address, bytes.to_vec()));
        Ok(())
    }

    fn word(&self, address: u32) -> u32 {
        let (start, bytes) = self
            .0
            .iter()
            .find(|(start, bytes)| (*start..*start + bytes.len() as u32).contains(&address))
            .expect("a word that was written");
        let offset = (address - start) as usize;
        u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
    }

    fn bytes(&self, address: u32) -> &[u8] {
        &self.0.iter().find(|(start, _)| *start == address).expect("bytes that were written").1
    }
}

#[test]
fn a_kernel_is_its_segments_and_its_entry_by_the_physical_address() {
    let file = kernel();
    let program = Program::parse(&file).unwrap();
    assert_eq!(program.entry, 0x10_0004);
    let segments: Vec<_> = program.segments().collect();
    let expected = [
        Segment { address: 0x10_0000, size: 8, bytes: b"textTEXT" },
        Segment { address: 0x20_0000, size: 9, bytes: b"data!" },
    ];
    assert_eq!(segments, expected);
}

#[test]
fn the_information_says_where_memory_and_the_command_line_are() {
    let file = kernel();
    let mut memory = Memory::default();
    let program = Program::parse(&file).unwrap();
    program.load(b"vmi=off word", |address, bytes| memory.write(address, bytes)).unwrap();
    assert_eq!(memory.bytes(0x10_0000), b"textTEXT");
    assert_eq!(memory.bytes(0x20_0000), b"data!");
    assert_eq!(memory.word(INFORMATION) & 0x4D, 0x45);
    assert_eq!([4, 8].map(|offset| memory.word(INFORMATION + offset)), [640, 31 * 1024]);
    assert_eq!(memory.bytes(memory.word(INFORMATION + 16)), b"vmi=off word");
    assert!(memory.bytes(memory.word(INFORMATION + 64)).ends_with(b"\0"));
    let (length, map) = (memory.word(INFORMATION + 44), memory.word(INFORMATION + 48));
    assert_eq!(length, 48);
    let high: Vec<_> = (6..12).map(|index| memory.word(map + index * 4)).collect();
    assert_eq!(high, [20, 0x10_0000, 0, 31 << 20, 0, 1]);
}

#[test]
fn a_command_line_of_a_page_is_too_long() {
    let file = kernel();
    let words = vec![b'x'; COMMAND_LINE_SIZE + 1];
    let program = Program::parse(&file).unwrap();
    let load = |words: &[u8]| program.load(words, |_, _| Ok(()));
    assert_eq!(load(&words), Err(LoadError::CommandLine { length: words.len() }));
    assert_eq!(load(&words[1..]), Ok(()));
}

#[test]
fn a_file_without_a_whole_header_is_refused() {
    assert_eq!(error(&[]), LoadError::NoHeader);
    assert_eq!(error(&kernel()[..0x12B]), LoadError::NoHeader);
    assert_eq!(error(&with_word(0x128, 0)), LoadError::NoHeader);
    let mut late = vec![0; HEADER_WINDOW - 0x120];
    late.extend(kernel());
    assert_eq!(error(&late), LoadError::NoHeader);
}

#[test]
fn a_header_that_asks_for_a_screen_is_refused() {
    let mut file = with_word(0x124, 7);
    file[0x128..0x12C].copy_from_slice(&(HEADER_MAGIC + 7).wrapping_neg().to_le_bytes());
    assert_eq!(error(&file), LoadError::Unsupported { flags: 7 });
}

#[test]
fn a_file_for_another_processor_is_refused() {
    assert_eq!(error(&with_word(16, 0x3E_0002)), LoadError::NotElf);
    assert_eq!(error(&with_word(4, 0x01_0102)), LoadError::NotElf);
}

#[test]
fn a_segment_outside_the_guests_memory_is_refused() {
    let physical = 52 + 12;
    for address in [
        0x0400_0000,
        0x9_FFFC,
        0xC_C000,
        0xF_FFFC,
        GUEST_MEMORY - 4,
        0xFFFF_FFFC,
        INFORMATION - 4,
        INFORMATION + 0xFFC,
    ] {
        assert_eq!(error(&with_word(physical, address)), LoadError::Segment { address, size: 8 });
    }
    for address in [INFORMATION - 8, INFORMATION + 0x1000, 0x9_FFF8, GUEST_MEMORY - 8] {
        assert!(Program::parse(&with_word(physical, address)).is_ok());
    }
}

#[test]
fn a_file_that_ends_too_early_is_refused() {
    assert_eq!(error(&with_word(52 + 4, 0x1F9)), LoadError::Truncated { offset: 0x1F9 });
    assert_eq!(error(&with_word(28, 0x1F0)), LoadError::Truncated { offset: 0x1F0 });
}

#[test]
fn an_entry_in_no_segment_is_refused() {
    for address in [0, 0x10_0000, 0xC010_0008, 0xC00F_FFFF] {
        assert_eq!(error(&with_word(24, address)), LoadError::Entry { address });
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_loader_panic_or_write_outside(
        changes in prop::collection::vec((0_usize..0x200, any::<u8>()), 0..8), length in 0_usize..=0x200,
    ) {
        let mut file = kernel();
        for (offset, byte) in changes {
            file[offset] = byte;
        }
        file.truncate(length);
        if let Ok(program) = Program::parse(&file) {
            for segment in program.segments() {
                prop_assert!(segment.bytes.len() <= segment.size as usize);
                prop_assert!(u64::from(segment.address) + u64::from(segment.size) <= GUEST_MEMORY.into());
            }
            prop_assert!(program.entry < GUEST_MEMORY);
        }
    }
}
