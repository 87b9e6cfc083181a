//! Tests of the guest crate, on a host; and, those that do not need the mock, as a 32-bit process.

mod boot;
#[cfg(not(target_arch = "x86"))]
mod calls;
#[cfg(all(feature = "critical-section", not(target_arch = "x86")))]
mod critical_section;
#[cfg(not(target_arch = "x86"))]
mod explore;
mod generation;
mod inline;
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
mod selectors;
mod self_test;
mod smp;
mod support;
#[cfg(not(target_arch = "x86"))]
mod sync;
mod user;
