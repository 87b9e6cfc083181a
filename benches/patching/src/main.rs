//! What patching costs by site: this crate's plan, commit and revert, beside keys of the crate `static-keys`.
//!
//! The sites are made by program, 10 to a million of them, and never executed. Writes lines for `cargo xtask bench`:
//! `@ticks NAME SITES TICKS...`, the ticks of the time-stamp counter that patching so many sites took in each round. In
//! a round, this crate and the peer follow each other.
#![deny(unsafe_code)]

#[cfg(target_arch = "x86")]
mod ours;
#[cfg(target_arch = "x86")]
mod peer;
#[cfg(target_arch = "x86")]
mod rounds;

#[cfg(target_arch = "x86")]
fn main() {
    rounds::main();
}

#[cfg(not(target_arch = "x86"))]
fn main() {}
