//! What `cargo xtask test` looks at, a file for each idea.

mod answers;
pub mod api;
pub mod audit;
pub mod boots;
pub mod builds;
pub mod codegen;
mod forecast;
pub mod foreign;
pub mod host;
pub mod hostile;
pub mod linux32;
pub mod oldest;
pub mod outside;
pub mod refusals;
pub mod self_test;
pub mod shared;
pub mod siteless;
pub mod soundness;
pub mod wrong;
