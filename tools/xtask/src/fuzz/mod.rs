//! Fuzzing with libFuzzer: the targets of `fuzz/`, how they are built, what a run says.

mod build;
mod progress;
mod run;

pub use build::{Programs, build};
pub use run::{Outcome, run};

/// A fuzz target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name, and that of its program.
    pub name: &'static str,
    /// The directory of `fuzz/corpus` with the inputs that it starts from.
    pub corpus: &'static str,
    /// The longest input that is tried, in bytes.
    pub longest: u32,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 4] = [
        Self { name: "probe", corpus: "images", longest: 8192 },
        Self { name: "boot", corpus: "images", longest: 8192 },
        Self { name: "plan", corpus: "plan", longest: 1024 },
        Self { name: "records", corpus: "records", longest: 2048 },
    ];

    /// The target with the given name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name == name)
    }
}
