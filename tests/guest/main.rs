//! Host tests of the guest crate.

mod boot;
#[cfg(not(target_arch = "x86"))]
mod irq;
mod patch;
mod rom;
mod support;
