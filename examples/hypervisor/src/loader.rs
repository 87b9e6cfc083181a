//! A multiboot1 kernel, put into the guest's memory as a loader would put it into a machine's.
//!
//! Source: Multiboot Specification 0.6.96, and the ELF specification for 32-bit files.

use core::fmt;

use crate::host::NotMemory;
use crate::layout::{GUEST_MEMORY, LOW_HOLE_END, VIDEO_MEMORY};

/// What EAX holds when a multiboot1 kernel starts.
pub const BOOTLOADER_MAGIC: u32 = 0x2BAD_B002;

/// Guest-physical address of the information structure, and of what it points to.
pub const INFORMATION: u32 = 0x9000;
/// The end of the page that it has.
const INFORMATION_END: u32 = INFORMATION + 0x1000;
const MEMORY_MAP: u32 = INFORMATION + 0x80;
const LOADER_NAME: u32 = INFORMATION + 0x100;
const COMMAND_LINE: u32 = INFORMATION + 0x200;
/// The longest command line.
pub const COMMAND_LINE_SIZE: usize = (INFORMATION_END - COMMAND_LINE - 1) as usize;

/// Why a file is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// No multiboot1 header with a right checksum in the first 8 KiB of the file.
    NoHeader,
    /// The header asks for what is not there; these are its flags.
    Unsupported {
        /// The header's flags.
        flags: u32,
    },
    /// The file is no 32-bit little-endian ELF program for this processor.
    NotElf,
    /// The file ends before something that it is said to hold.
    Truncated {
        /// Where that should be in the file.
        offset: u64,
    },
    /// A segment does not fit into the guest's memory, or lies where the loader puts its information.
    Segment {
        /// Its physical address.
        address: u32,
        /// The bytes that it takes in memory.
        size: u32,
    },
    /// The entry point lies in no segment.
    Entry {
        /// The entry point.
        address: u32,
    },
    /// The command line is longer than [`COMMAND_LINE_SIZE`].
    CommandLine {
        /// Its length.
        length: usize,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("no multiboot1 header in the first 8 KiB of the file"),
            Self::Unsupported { flags } => {
                write!(f, "the multiboot1 header's flags {flags:#x} ask for too much")
            }
            Self::NotElf => f.write_str("the file is no ELF program for the i386"),
            Self::Truncated { offset } => write!(f, "the file ends before offset {offset:#x}"),
            Self::Segment { address, size } => {
                write!(
                    f,
                    "a segment of {size:#x} bytes at {address:08x} does not fit into the guest's memory"
                )
            }
            Self::Entry { address } => write!(f, "the entry point {address:08x} lies in no segment"),
            Self::CommandLine { length } => {
                write!(f, "the command line of {length} bytes is longer than {COMMAND_LINE_SIZE}")
            }
        }
    }
}

impl core::error::Error for LoadError {}

/// A part of a program: `bytes`, and zeros behind them up to `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Guest-physical address.
    pub address: u32,
    /// Bytes in memory, at least as many as there are in the file.
    pub size: u32,
    /// The bytes in the file.
    pub bytes: &'a [u8],
}

/// A multiboot1 kernel that can be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    file: File<'a>,
    /// Physical address of the first instruction.
    pub entry: u32,
}

/// A file, whose fields are read with a check of their bounds.
#[derive(Clone, Copy, Debug)]
struct File<'a>(&'a [u8]);

impl<'a> File<'a> {
    fn bytes(&self, offset: u64, size: u64) -> Result<&'a [u8], LoadError> {
        let end = offset.checked_add(size).ok_or(LoadError::Truncated { offset })?;
        let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| self.0.get(start..end));
        bytes.ok_or(LoadError::Truncated { offset })
    }

    fn u16(&self, offset: u64) -> Result<u16, LoadError> {
        let bytes = self.bytes(offset, 2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&self, offset: u64) -> Result<u32, LoadError> {
        let bytes = self.bytes(offset, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

const HEADER_MAGIC: u32 = 0x1BAD_B002;
/// The header lies in this many bytes of the file.
const HEADER_WINDOW: usize = 8192;
/// Flags of the header that cannot be ignored, but for modules on page boundaries and memory sizes.
const UNSUPPORTED: u32 = 0xFFFC;

/// Offsets in the ELF header and in a program header.
mod elf {
    /// 32 bits, little-endian, version 1.
    pub const IDENTIFICATION: [u8; 7] = *b"\x7FELF\x01\x01\x01";
    pub const MACHINE: u64 = 18;
    pub const MACHINE_386: u16 = 3;
    pub const ENTRY: u64 = 24;
    pub const PROGRAM_HEADERS: u64 = 28;
    pub const PROGRAM_HEADER_SIZE: u64 = 42;
    pub const PROGRAM_HEADER_COUNT: u64 = 44;

    pub const TYPE: u64 = 0;
    pub const LOAD: u32 = 1;
    pub const OFFSET: u64 = 4;
    pub const VIRTUAL: u64 = 8;
    pub const PHYSICAL: u64 = 12;
    pub const FILE_SIZE: u64 = 16;
    pub const MEMORY_SIZE: u64 = 20;
}

impl<'a> Program<'a> {
    /// Looks at a file.
    ///
    /// # Errors
    ///
    /// It is no kernel that could be started here.
    pub fn parse(file: &'a [u8]) -> Result<Self, LoadError> {
        let flags = header_flags(file).ok_or(LoadError::NoHeader)?;
        if flags & UNSUPPORTED != 0 {
            return Err(LoadError::Unsupported { flags });
        }
        let file = File(file);
        if !file.0.starts_with(&elf::IDENTIFICATION) || file.u16(elf::MACHINE)? != elf::MACHINE_386 {
            return Err(LoadError::NotElf);
        }
        let address = file.u32(elf::ENTRY)?;
        let mut program = Self { file, entry: 0 };
        let mut entry = None;
        for headers in program.headers()? {
            let (segment, virtual_address) = program.segment(headers?)?;
            let Some(segment) = segment else { continue };
            let end = u64::from(segment.address) + u64::from(segment.size);
            let in_low = end <= VIDEO_MEMORY.into()
                && (end <= INFORMATION.into() || segment.address >= INFORMATION_END);
            let in_high = segment.address >= LOW_HOLE_END && end <= GUEST_MEMORY.into();
            if !in_low && !in_high {
                return Err(LoadError::Segment { address: segment.address, size: segment.size });
            }
            let offset = address.wrapping_sub(virtual_address);
            if offset < segment.size {
                entry = entry.or(Some(segment.address + offset));
            }
        }
        program.entry = entry.ok_or(LoadError::Entry { address })?;
        Ok(program)
    }

    /// The offsets of the program headers in the file.
    fn headers(&self) -> Result<impl Iterator<Item = Result<u64, LoadError>> + use<'a>, LoadError> {
        let file = self.file;
        let start = u64::from(file.u32(elf::PROGRAM_HEADERS)?);
        let size = u64::from(file.u16(elf::PROGRAM_HEADER_SIZE)?);
        let count = u64::from(file.u16(elf::PROGRAM_HEADER_COUNT)?);
        Ok((0..count).map(move |index| {
            let offset = start + index * size;
            file.bytes(offset, size).map(|_| offset)
        }))
    }

    /// The segment that a program header describes, if it is to be loaded, and its virtual address.
    fn segment(&self, header: u64) -> Result<(Option<Segment<'a>>, u32), LoadError> {
        let field = |offset| self.file.u32(header + offset);
        let size = field(elf::MEMORY_SIZE)?;
        if field(elf::TYPE)? != elf::LOAD || size == 0 {
            return Ok((None, 0));
        }
        let in_file = field(elf::FILE_SIZE)?.min(size);
        let bytes = self.file.bytes(field(elf::OFFSET)?.into(), in_file.into())?;
        let segment = Segment { address: field(elf::PHYSICAL)?, size, bytes };
        Ok((Some(segment), field(elf::VIRTUAL)?))
    }

    /// The parts of the program. All lie in the guest's memory.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> {
        let headers = self.headers().into_iter().flatten().flatten();
        headers.filter_map(|header| self.segment(header).ok()?.0)
    }

    /// Writes the program, by `write`, to the guest's memory, which holds zeros, and the information structure with
    /// `command_line` at [`INFORMATION`].
    ///
    /// # Errors
    ///
    /// The command line is too long, or `write` fails.
    pub fn load(
        &self,
        command_line: &[u8],
        mut write: impl FnMut(u32, &[u8]) -> Result<(), NotMemory>,
    ) -> Result<(), LoadError> {
        if command_line.len() > COMMAND_LINE_SIZE {
            return Err(LoadError::CommandLine { length: command_line.len() });
        }
        let mut write = |address: u32, bytes: &[u8]| {
            let error = LoadError::Segment { address, size: bytes.len() as u32 };
            write(address, bytes).map_err(|_| error)
        };
        for segment in self.segments() {
            write(segment.address, segment.bytes)?;
        }
        write(COMMAND_LINE, command_line)?;
        write(LOADER_NAME, concat!(env!("CARGO_PKG_NAME"), "\0").as_bytes())?;
        for (index, word) in memory_map().into_iter().enumerate() {
            write(MEMORY_MAP + index as u32 * 4, &word.to_le_bytes())?;
        }
        for (offset, word) in information() {
            write(INFORMATION + offset, &word.to_le_bytes())?;
        }
        Ok(())
    }
}

/// The flags of the multiboot1 header in a file.
fn header_flags(file: &[u8]) -> Option<u32> {
    let window = &file[..file.len().min(HEADER_WINDOW)];
    let mut words = window.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    loop {
        if words.next()? != HEADER_MAGIC {
            continue;
        }
        let mut rest = words.clone();
        let (flags, checksum) = (rest.next()?, rest.next()?);
        if HEADER_MAGIC.wrapping_add(flags).wrapping_add(checksum) == 0 {
            return Some(flags);
        }
    }
}

/// Two areas of usable memory: size of the entry that follows, base and length in 64 bits, type.
fn memory_map() -> [u32; 12] {
    const ENTRY: u32 = 20;
    const AVAILABLE: u32 = 1;
    let areas = [(0, VIDEO_MEMORY), (LOW_HOLE_END, GUEST_MEMORY - LOW_HOLE_END)];
    let entries = areas.map(|(base, length)| [ENTRY, base, 0, length, 0, AVAILABLE]);
    core::array::from_fn(|index| entries[index / 6][index % 6])
}

/// The fields of the information structure: offset and value.
fn information() -> [(u32, u32); 7] {
    /// Which fields are valid: memory sizes, command line, memory map, name of the loader.
    const FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 6 | 1 << 9;
    [
        (0, FLAGS),
        (4, VIDEO_MEMORY >> 10),
        (8, (GUEST_MEMORY - LOW_HOLE_END) >> 10),
        (16, COMMAND_LINE),
        (44, size_of_val(&memory_map()) as u32),
        (48, MEMORY_MAP),
        (64, LOADER_NAME),
    ]
}

#[cfg(test)]
mod tests;
