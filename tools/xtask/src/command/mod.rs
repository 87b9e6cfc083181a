//! The commands, a file each.

pub mod bless;
pub mod boot;
pub mod rom;
pub mod test;
