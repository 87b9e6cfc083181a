//! Benchmarks: what is measured, beside what, and what is wanted of it.
//!
//! Every figure is a ratio of two things that were built and measured in the same run. A goal that does not hold is
//! reported; no test depends on time.

mod boot;
mod kernel;
mod markdown;
mod patching;
mod plot;
mod row;
pub mod samples;
mod sections;
mod sizes;
mod statistics;

pub use boot::{Boot, FILE as BOOT_FILE};
pub use markdown::markdown;
pub use plot::{Bar, Plot, svg};
pub use row::{HEADINGS, Row};

use anyhow::Result;

use crate::environment::Roms;
use crate::linux32::Linux32;
use crate::toolchain::Toolchain;

/// What is measured with.
pub struct Bench<'a> {
    /// Builds for i386, and boots.
    pub toolchain: &'a Toolchain,
    /// Builds and runs 32-bit processes.
    pub machine: &'a Linux32,
    /// ROMs and the hypervisor.
    pub roms: Roms,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// What is drawn.
    pub plot: Plot,
    /// Instructions of booting, if that was measured.
    pub boot: Option<Boot>,
}

/// A part of the benchmarks: its name, and what runs it.
type Part = (&'static str, fn(&mut Bench, &mut Outcome) -> Result<()>);

/// All parts.
const PARTS: [Part; 5] = [
    ("sections", sections::measure),
    ("patching", patching::measure),
    ("kernel", kernel::measure),
    ("sizes", sizes::measure),
    ("boot", boot::measure),
];

impl Bench<'_> {
    /// Measures the parts with `only` in their names.
    ///
    /// # Errors
    ///
    /// If a part cannot be measured, or none has such a name.
    pub fn run(&mut self, only: Option<&str>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut parts =
            PARTS.into_iter().filter(|(name, _)| only.is_none_or(|only| name.contains(only))).peekable();
        anyhow::ensure!(parts.peek().is_some(), "no part of the benchmarks has such a name");
        for (name, measure) in parts {
            eprintln!("=== {name}");
            let start = std::time::Instant::now();
            measure(self, &mut outcome)?;
            eprintln!("    {:.1} s", start.elapsed().as_secs_f64());
        }
        Ok(outcome)
    }
}
