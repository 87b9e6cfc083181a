#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod allow;
pub mod audit;
pub mod disassembly;
pub mod kernel;
pub mod lines;
pub mod map;
pub mod patched;
pub mod report;
pub mod rom;
pub mod rule;
pub mod scan;
pub mod site;
pub mod table;

pub use audit::Audit;
pub use kernel::Kernel;
