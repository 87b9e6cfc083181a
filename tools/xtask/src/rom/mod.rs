//! The ROM: from the linked ELF file to an image that firmware accepts, images with one thing wrong
//! for tests of the guest's checks, and the listing that `cargo xtask rom` prints.
//!
//! The ELF file comes from the package `vmi-rom`; [`Flavour::features`] are the features to build it
//! with, [`Image::from_elf`] does the rest.

mod bend;
mod code;
mod elf;
mod error;
mod field;
#[cfg(test)]
mod fixture;
mod image;
mod listing;
mod table;

pub use bend::Bend;
pub use image::Image;
pub use listing::listing;

/// A way to build the ROM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flavour {
    /// Each call first writes its number, one byte, to port 0xE9.
    pub trace: bool,
    /// IRET and SYSEXIT are answered JUMP_REL instead of CALL_REL.
    pub jump: bool,
}

impl Flavour {
    /// Every flavour.
    pub const ALL: [Self; 4] = [
        Self { trace: false, jump: false },
        Self { trace: true, jump: false },
        Self { trace: false, jump: true },
        Self { trace: true, jump: true },
    ];

    /// The name, for messages and file names.
    pub const fn name(self) -> &'static str {
        match (self.trace, self.jump) {
            (false, false) => "plain",
            (true, false) => "trace",
            (false, true) => "jump",
            (true, true) => "trace-jump",
        }
    }

    /// The features of the package `vmi-rom`, as `--features` takes them.
    pub const fn features(self) -> &'static str {
        match (self.trace, self.jump) {
            (false, false) => "",
            (true, false) => "trace",
            (false, true) => "jump",
            (true, true) => "trace,jump",
        }
    }
}
