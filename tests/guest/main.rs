//! Host tests of the guest crate.

mod boot;
#[cfg(not(target_arch = "x86"))]
mod calls;
mod generation;
#[cfg(not(target_arch = "x86"))]
mod irq;
mod native;
mod patch;
mod rom;
#[cfg(not(target_arch = "x86"))]
mod selectors;
#[cfg(not(target_arch = "x86"))]
mod smp;
mod support;
mod user;
