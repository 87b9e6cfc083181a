//! The files that are made from this crate's data, so that nothing states a number twice.
//!
//! [`FILES`] lists them all. `cargo xtask bless` writes them, and a test fails when one is stale.

mod c_header;
mod call_table;
mod layout;
mod text;

pub use c_header::c_header;
pub use call_table::call_table;
pub use layout::layout;

use core::fmt;

/// Writes the contents of one file.
pub type Renderer = fn(&mut dyn fmt::Write) -> fmt::Result;

/// Each generated file: its path relative to the root of the repository, and what writes it.
pub static FILES: &[(&str, Renderer)] =
    &[("abi/vmi.h", c_header), ("abi/layout.txt", layout), ("abi/calls.md", call_table)];
