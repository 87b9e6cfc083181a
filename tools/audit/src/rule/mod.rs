//! [`Rule`]: what goes wrong with an instruction under a hypervisor, and what to write in its place.

mod replacement;
mod table;

use std::fmt;

use iced_x86::Instruction;
use serde::Serialize;

pub use replacement::{Replacement, function};

/// What becomes of an instruction in a kernel that does not run in ring 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It does not do what it should, and nobody notices.
    Ignored,
    /// It shows what the kernel must not see, or hides what it should.
    WrongValue,
    /// It raises an exception that a hypervisor cannot emulate away, or that the kernel has caused itself.
    Faults,
    /// It traps, and has to be emulated: right, and slow.
    Traps,
    /// It works, and shows the machine rather than the hypervisor's.
    Leaks,
}

impl Effect {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [Self::Ignored, Self::WrongValue, Self::Faults, Self::Traps, Self::Leaks];

    /// In few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Ignored => "does nothing",
            Self::WrongValue => "wrong value",
            Self::Faults => "faults",
            Self::Traps => "traps",
            Self::Leaks => "leaks",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// What is known of an instruction that a paravirtual kernel should not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What becomes of it.
    pub effect: Effect,
    /// Why, in a sentence.
    pub reason: &'static str,
    /// What to write in its place.
    pub replacement: Replacement,
}

impl Rule {
    /// The rule for an instruction; `None` for one that is as good in any ring.
    ///
    /// Source: facts sheet, sections 8.9 and 9.2. Privileged instructions that neither names trap.
    pub fn of(instruction: &Instruction) -> Option<Self> {
        table::rule(instruction)
    }
}
