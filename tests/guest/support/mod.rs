//! What the tests boot on: a machine with a ROM, and a kernel's text with its site records.

pub mod kernel;
pub mod machine;
