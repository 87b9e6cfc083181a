//! A kernel's sites in a 32-bit Linux process: patched to the hypervisor's own ROM, and executed by the processor.
//!
//! The process is guest kernel and user mode at once, in ring 3. The ROM ([`rom_code`], the assembly that the hypervisor
//! has for its guests) lies in a window like that of option ROMs, its shared page at the linear address that the assembly
//! names, and [`monitor`] plays the hypervisor: what the ROM's code cannot do by itself is a general-protection fault, and
//! that is a SIGSEGV. Interrupts are another signal. So everything that a patched kernel executes for its interrupt flag
//! is executed here, by a real processor, with segments that it checks.
//!
//! | file | what is in it |
//! |---|---|
//! | `machine` | the window, the shared page, and the text as the patcher writes it |
//! | `monitor` | the hypervisor's part |
//! | `guest` | the kernel: its boot, and its handler of interrupts |
//! | `sites` | a site of every call, with any registers |
//! | `tests` | what must hold |
//!
//! `process` runs all tests, each in a process of its own, and writes what Rust's test harness would. `process calls`
//! writes what becomes of each call natively and patched.
#![deny(unsafe_code)]

#[cfg(target_arch = "x86")]
mod guest;
#[cfg(target_arch = "x86")]
mod harness;
#[cfg(target_arch = "x86")]
mod machine;
#[cfg(target_arch = "x86")]
mod monitor;
#[cfg(target_arch = "x86")]
#[path = "../../../examples/hypervisor/src/machine/rom_code.rs"]
mod rom_code;
#[cfg(target_arch = "x86")]
mod sites;
#[cfg(target_arch = "x86")]
mod tests;

#[cfg(target_arch = "x86")]
fn main() -> std::process::ExitCode {
    harness::main()
}

#[cfg(not(target_arch = "x86"))]
fn main() {}
