//! What a masked section costs on the real processor.
//!
//! The process is a guest kernel in ring 3 whose hypervisor's ROM is mapped into it, as in `tests/process`. No interrupt
//! ever comes, so that the ROM's code is all that is executed for the interrupt flag, and the program can measure
//! it: patched with the ROM's own code, patched with calls, and not patched at all, where `cli` and `sti` are
//! signals. In each round every form is measured once, next to the section that a person would write by hand.
//!
//! Writes lines for `cargo xtask bench`: `@ticks NAME SECTIONS TICKS...`, the ticks of the time-stamp counter that so
//! many sections took in each round.
#![deny(unsafe_code)]

#[cfg(target_arch = "x86")]
#[path = "../../../tests/process/src/machine.rs"]
#[allow(dead_code, reason = "the tests look at more of it")]
mod machine;
#[cfg(target_arch = "x86")]
mod monitor;
#[cfg(target_arch = "x86")]
mod padding;
#[cfg(target_arch = "x86")]
#[path = "../../../examples/hypervisor/src/machine/rom_code.rs"]
mod rom_code;
#[cfg(target_arch = "x86")]
mod rounds;
#[cfg(target_arch = "x86")]
mod section;
#[cfg(target_arch = "x86")]
mod state;

#[cfg(target_arch = "x86")]
fn main() -> std::process::ExitCode {
    rounds::main()
}

#[cfg(not(target_arch = "x86"))]
fn main() {}
