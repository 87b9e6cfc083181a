//! What the tests boot on: a ROM image, and a kernel's text with its site records.

pub mod kernel;
pub mod machine;
pub mod rom_image;
