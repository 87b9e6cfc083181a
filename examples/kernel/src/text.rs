//! The kernel's own text, as data: where it is, what is in it, and how it is written.
//!
//! # Safety
//!
//! The linker script defines the bounds. The text is mapped readable and writable, and only the
//! patcher writes it.
#![allow(unsafe_code)]

use core::fmt;
use core::ops::Range;
use core::ptr;

use paravirt_vmi::patch::DirectWriter;
use paravirt_vmi::site::{Site, SiteTable};

unsafe extern "C" {
    static text_start: u8;
    static text_end: u8;
}

/// The addresses of the text that the patcher may write.
fn range() -> Range<u32> {
    &raw const text_start as u32..&raw const text_end as u32
}

/// What the patcher writes through.
pub fn writer() -> DirectWriter {
    // SAFETY: this is the kernel's text, it stays mapped writable, and nothing refers to it.
    unsafe { DirectWriter::new(range()) }
}

/// The sites of the kernel, by their records; none in the `indirect` build.
///
/// # Panics
///
/// If a record is not one that the guest crate emits.
pub fn sites() -> impl Iterator<Item = Site> {
    let table = SiteTable::linked().unwrap_or_else(|error| panic!("{error}"));
    table.iter().map(|site| site.unwrap_or_else(|error| panic!("{error}")))
}

/// The byte of text at `address`.
pub fn byte(address: u32) -> u8 {
    let from = ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: the callers name addresses of text. Volatile, because text changes behind the
    // compiler's back.
    unsafe { from.read_volatile() }
}

/// A number that differs, in all likelihood, if any byte of the text does (FNV-1a).
pub fn checksum() -> u32 {
    range().fold(0x811C_9DC5, |hash, address| (hash ^ u32::from(byte(address))).wrapping_mul(0x0100_0193))
}

/// Bytes as hexadecimal digits without blanks.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
