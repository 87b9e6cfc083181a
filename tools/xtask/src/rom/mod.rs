//! The ROM: from the linked ELF file to an image that firmware accepts, and the listing that `cargo xtask rom`
//! prints. What an image is, and how it can be bent, is in `paravirt-vmi-rom-image`.
//!
//! The ELF file comes from the package `vmi-rom`; [`Flavour::features`] are the features to build it
//! with, [`Image::from_elf`] does the rest.

mod code;
mod elf;
mod error;
#[cfg(test)]
mod fixture;
mod flavour;
mod image;
mod listing;
mod slots;

pub use flavour::Flavour;
pub use image::Image;
pub use listing::listing;
pub use paravirt_vmi_rom_image::{Bend, Generation, Style};
