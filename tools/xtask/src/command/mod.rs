//! The commands, a file each.

pub mod bench;
pub mod bless;
pub mod boot;
pub mod fuzz;
pub mod libraries;
pub mod rom;
pub mod test;
