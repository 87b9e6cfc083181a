//! What the hypervisor decides: all of it but the hardware.
//!
//! [`Guest`](guest::Guest) is one virtual machine with one processor. The program around it (`main.rs`)
//! enters the guest, comes back with the guest's registers in a [`Frame`](frame::Frame), and asks the
//! guest what to do; what it needs of the real machine goes through [`Host`](host::Host). So everything
//! here is safe code that runs, and is tested, on any machine.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod counters;
pub mod decode;
pub mod deliver;
pub mod descriptor;
pub mod device;
pub mod emulate;
pub mod fault;
pub mod frame;
pub mod guest;
pub mod host;
pub mod hypercall;
pub mod layout;
pub mod linear;
pub mod loader;
pub mod page_fault;
pub mod paging;
pub mod physical;
pub mod port;
pub mod rom;
pub mod run;
pub mod segment;
pub mod stepping;
pub mod stop;
#[cfg(test)]
mod testing;
pub mod time;
pub mod vcpu;
