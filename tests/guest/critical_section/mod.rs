//! Sections of the crate `critical-section`.

mod any;
mod explored;
mod own;
