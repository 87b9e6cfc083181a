#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

pub use paravirt_vmi_abi as abi;

mod arch;
pub mod boot;
pub mod irq;
pub mod patch;
pub mod rom;
pub mod site;

#[cfg(not(target_arch = "x86"))]
pub use arch::mock;
