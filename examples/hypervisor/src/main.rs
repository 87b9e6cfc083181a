//! A small hypervisor that runs i386 kernels in ring 1, one after another.
//!
//! The library of this package decides; what is here is the machine that it decides about. Read it in this
//! order: `machine::boot` is the first to run, `machine::turns` is the table of contents, `machine::switch` is
//! the way into a guest and out again.
#![cfg_attr(target_arch = "x86", no_std, no_main)]
#![deny(unsafe_code)]

#[cfg(target_arch = "x86")]
mod machine;
#[cfg(target_arch = "x86")]
#[path = "../../kernel/src/mem.rs"]
mod mem;
#[cfg(target_arch = "x86")]
#[path = "../../kernel/src/port.rs"]
mod port;
#[cfg(target_arch = "x86")]
#[path = "../../kernel/src/serial.rs"]
mod serial;

#[cfg(not(target_arch = "x86"))]
fn main() {}
