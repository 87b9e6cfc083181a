//! The devices of the guest's machine.

pub mod apic;
mod board;
pub mod cmos;
pub mod dma;
pub mod pci;
pub mod pic;
pub mod pit;
pub mod reset;

pub use board::Board;
