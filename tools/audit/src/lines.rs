//! Source lines, from debug information.
//!
//! Debug information is a program that describes a program. Whatever is wrong with it must not fail the audit: it is
//! read on a thread of its own, with bounds on memory and time, and if that comes to nothing, [`LinesError`] says
//! why there are no lines.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, LittleEndian, SectionId};
use object::elf::FileHeader32;
use object::read::elf::ElfFile;
use object::{Endianness, Object as _, ObjectSection as _};

/// How many bytes of debug information are read, decompressed.
const BYTES: u64 = 1 << 29;

/// How long reading may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A line of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The path, as the compiler has written it.
    pub file: Arc<str>,
    /// The number, counted from 1; 0 for code that the compiler says is of no line.
    pub number: u32,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

/// Why there are no source lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinesError {
    /// The file has no debug information.
    Absent,
    /// There is more of it than is read.
    TooLong {
        /// The bytes that there are.
        length: u64,
    },
    /// It is damaged.
    Damaged(String),
    /// Reading it has taken too long.
    TimedOut,
}

impl fmt::Display for LinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the file has no debug information"),
            Self::TooLong { length } => write!(f, "{length} bytes of debug information are too many"),
            Self::Damaged(reason) => write!(f, "the debug information is damaged: {reason}"),
            Self::TimedOut => {
                write!(f, "reading the debug information has taken longer than {} s", LIMIT.as_secs())
            }
        }
    }
}

impl std::error::Error for LinesError {}

type Reader = EndianArcSlice<LittleEndian>;

/// The source line of each of `addresses`, in the ELF file `data`.
///
/// # Errors
///
/// If there are none, or if they cannot be read.
pub fn find(data: &[u8], addresses: &[u32]) -> Result<Vec<Option<Line>>, LinesError> {
    let dwarf = read(data)?;
    let addresses = addresses.to_vec();
    let (sender, receiver) = mpsc::channel();
    let look_up = move || {
        let found = catch_unwind(AssertUnwindSafe(|| look_up(dwarf, &addresses)));
        let found = found.unwrap_or_else(|_| Err(LinesError::Damaged("it cannot be read".to_owned())));
        // Nobody waits for it any more if it has taken too long.
        _ = sender.send(found);
    };
    let thread = thread::Builder::new().name("lines".to_owned()).spawn(look_up);
    thread.map_err(|error| LinesError::Damaged(error.to_string()))?;
    match receiver.recv_timeout(LIMIT) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(LinesError::TimedOut),
    }
}

/// The sections with debug information.
fn read(data: &[u8]) -> Result<Dwarf<Reader>, LinesError> {
    let damaged = |reason: &dyn fmt::Display| LinesError::Damaged(reason.to_string());
    let file = ElfFile::<FileHeader32<Endianness>>::parse(data).map_err(|error| damaged(&error))?;
    let mut length: u64 = 0;
    let mut is_there = false;
    let dwarf = Dwarf::load(|id: SectionId| {
        let Some(section) = file.section_by_name(id.name()) else { return Ok(reader(&[])) };
        is_there |= id == SectionId::DebugLine;
        let compressed = section.compressed_data().map_err(|error| damaged(&error))?;
        length = length.saturating_add(compressed.uncompressed_size);
        if length > BYTES {
            return Err(LinesError::TooLong { length });
        }
        let bytes = compressed.decompress().map_err(|error| damaged(&error))?;
        Ok(reader(&bytes))
    })?;
    if is_there { Ok(dwarf) } else { Err(LinesError::Absent) }
}

fn reader(bytes: &[u8]) -> Reader {
    EndianArcSlice::new(bytes.into(), LittleEndian)
}

/// Looks every address up.
fn look_up(dwarf: Dwarf<Reader>, addresses: &[u32]) -> Result<Vec<Option<Line>>, LinesError> {
    let damaged = |error: gimli::Error| LinesError::Damaged(error.to_string());
    let context = Context::from_dwarf(dwarf).map_err(damaged)?;
    let mut last: Option<Arc<str>> = None;
    let mut line = |address: u32| {
        let found = context.find_location(address.into()).map_err(damaged)?;
        let Some((Some(file), number)) = found.map(|found| (found.file, found.line.unwrap_or(0))) else {
            return Ok(None);
        };
        // Neighbours are mostly of one file.
        let file = last.take().filter(|last| **last == *file).unwrap_or_else(|| file.into());
        last = Some(Arc::clone(&file));
        Ok(Some(Line { file, number }))
    };
    addresses.iter().map(|address| line(*address)).collect()
}
