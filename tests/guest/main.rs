//! Host tests of the guest crate.

mod boot;
#[cfg(not(target_arch = "x86"))]
mod calls;
#[cfg(all(feature = "critical-section", not(target_arch = "x86")))]
mod critical_section;
#[cfg(not(target_arch = "x86"))]
mod explore;
mod generation;
#[cfg(not(target_arch = "x86"))]
mod irq;
#[cfg(not(target_arch = "x86"))]
mod mock;
#[cfg(not(target_arch = "x86"))]
mod mock_model;
#[cfg(not(target_arch = "x86"))]
mod mock_rom;
mod native;
mod patch;
mod rom;
#[cfg(not(target_arch = "x86"))]
mod selectors;
mod self_test;
#[cfg(not(target_arch = "x86"))]
mod smp;
mod support;
#[cfg(not(target_arch = "x86"))]
mod sync;
mod user;
