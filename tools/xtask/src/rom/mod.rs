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
mod flavour;
mod image;
mod listing;
mod slots;
mod table;

pub use bend::Bend;
pub use flavour::{Flavour, Generation, Style};
pub use image::Image;
pub use listing::listing;
