//! The checks of site records: each is one that the guest crate emits, and what it names is there.

mod check;
mod cpu;
mod defect;

pub use check::{Checked, Sites};
pub use cpu::{Cpu, is_filler};
pub(crate) use defect::Hex;
pub use defect::{Defect, DefectKind};
