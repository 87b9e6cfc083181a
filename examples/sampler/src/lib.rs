#![cfg_attr(not(feature = "racy"), doc = include_str!("../README.md"))]
#![cfg_attr(feature = "racy", doc = "The driver with its planted bug, for its tests to find.")]
#![no_std]
#![deny(unsafe_code)]

mod lateness;
pub mod ring;
mod sampler;
pub mod source;
pub mod timer;

pub use lateness::Lateness;
pub use sampler::{Sample, Sampler};
pub use timer::Period;
