//! Finding a VMI ROM in the option-ROM window, and checking everything in it before it is used.
//!
//! Pure and safe: the window is a slice of bytes. Any bytes at all give a ROM or an error, never a
//! panic, and nothing outside the slice is read.
//!
//! ```
//! use paravirt_vmi::rom::{self, ProbeError};
//!
//! assert_eq!(rom::probe(&[0xff; 0x20000]), Err(ProbeError::NotFound));
//! ```
//!
//! Both generations of the interface are found: 3.0, with an entry point that tells where the calls are, and
//! 13.x, with slots of 32 bytes. Nothing outside this module knows which one it is.
//!
//! Linux and Sanos check neither the checksum nor any offset; both are checked here. PCI identity and
//! licence are for the caller to judge: anyone may make a ROM. Source: facts sheet, sections 2 and 3.

mod error;
mod generation;
mod image;

use core::ops::Range;

use paravirt_vmi_abi::header::{ROM_WINDOW_END, ROM_WINDOW_START, ROM_WINDOW_STEP, VROM_SIGNATURE};

pub use error::{ProbeError, RomDefect, RomError};
pub use generation::Adapter;
pub use image::Rom;
pub use paravirt_vmi_abi::Generation;

/// The physical addresses at which option ROMs lie: C0000 to E0000.
pub const WINDOW: Range<u32> = ROM_WINDOW_START..ROM_WINDOW_END;

/// Finds the first sound VMI ROM in `window`, the bytes from physical address C0000 on.
///
/// The window is searched in steps of 2 KiB. A place that bears VMI's signature is taken for a ROM; an
/// option-ROM signature without it belongs to some other ROM.
///
/// # Errors
///
/// If there is no ROM, or if every one found has a defect; the first of these is reported.
pub fn probe(window: &[u8]) -> Result<Rom<'_>, ProbeError> {
    let mut rejected = None;
    for (bytes, address) in places(window) {
        match Rom::parse(bytes, address) {
            Ok(rom) => return Ok(rom),
            Err(error) => rejected = rejected.or(Some(error)),
        }
    }
    Err(rejected.map_or(ProbeError::NotFound, ProbeError::Rejected))
}

/// The places in `window` that bear VMI's signature, each with all bytes behind it and its physical
/// address.
fn places(window: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    WINDOW
        .step_by(ROM_WINDOW_STEP as usize)
        .map_while(|address| Some((window.get((address - WINDOW.start) as usize..)?, address)))
        .filter(|(bytes, _)| bytes.get(8..).is_some_and(|b| b.starts_with(&VROM_SIGNATURE.to_le_bytes())))
}
