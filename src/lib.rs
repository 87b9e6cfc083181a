#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

#[cfg(not(target_arch = "x86"))]
extern crate std;

pub use paravirt_vmi_abi as abi;

pub mod apic;
mod arch;
pub mod boot;
pub mod cpu;
#[cfg(feature = "critical-section")]
mod critical_section;
pub mod descriptor;
pub mod irq;
pub mod mmu;
pub mod patch;
pub mod port;
pub mod power;
pub mod rom;
pub mod site;
pub mod smp;
pub mod sync;
pub mod time;
pub mod user;

#[cfg(not(target_arch = "x86"))]
pub use arch::mock;
