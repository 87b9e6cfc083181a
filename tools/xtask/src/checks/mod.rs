//! What `cargo xtask test` looks at, a file for each idea.

mod answers;
pub mod boots;
pub mod builds;
pub mod codegen;
pub mod host;
pub mod hostile;
pub mod outside;
pub mod refusals;
pub mod sensitive;
pub mod shared;
pub mod siteless;
pub mod wrong;
