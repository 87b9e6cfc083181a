//! [`Coverage`]: what an exploration has covered.

use core::fmt;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::Flavour;
use super::schedule::{self, Schedule};

/// What an exploration has covered: everything within its bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    pub(super) bound: usize,
    pub(super) flavours: Vec<FlavourCoverage>,
    pub(super) replayed: Option<Schedule>,
}

/// What was covered on one flavour.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlavourCoverage {
    /// The flavour.
    pub flavour: Flavour,
    /// The points of the run without interrupts, halts not counted.
    pub points: usize,
    /// How many runs there were with 0, 1, 2 ... interrupts, up to the bound.
    pub runs: Vec<usize>,
    /// The operations of the longest run.
    pub longest: usize,
}

impl FlavourCoverage {
    /// How many runs there were.
    pub fn total(&self) -> usize {
        self.runs.iter().sum()
    }
}

impl Coverage {
    /// How many times a run was interrupted at most.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// How many runs there were on all flavours; a replay does not count.
    pub fn runs(&self) -> usize {
        self.flavours.iter().map(FlavourCoverage::total).sum()
    }

    /// What was covered on each flavour.
    pub fn flavours(&self) -> &[FlavourCoverage] {
        &self.flavours
    }

    /// The schedule, if this was no exploration but the replay of one run.
    pub fn replayed(&self) -> Option<&Schedule> {
        self.replayed.as_ref()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schedule) = &self.replayed {
            return write!(f, "replayed {schedule}: the test does not fail; nothing else was tried");
        }
        let mut rows = std::vec![["flavour", "points", "longest run", "runs"].map(str::to_string).to_vec()];
        rows[0].extend((0..=self.bound).map(|count| std::format!("with {count}")));
        for covered in &self.flavours {
            let mut row = std::vec![schedule::name(covered.flavour).to_string()];
            row.extend([covered.points, covered.longest, covered.total()].map(|number| number.to_string()));
            row.extend(covered.runs.iter().map(usize::to_string));
            rows.push(row);
        }
        for row in &rows {
            for (column, text) in row.iter().enumerate() {
                let cells = rows.iter().filter_map(|row| row.get(column));
                let width = cells.map(String::len).max().unwrap_or_default();
                match column {
                    0 => write!(f, "{text:width$}")?,
                    _ => write!(f, "  {text:>width$}")?,
                }
            }
            f.write_str("\n")?;
        }
        let times = if self.bound == 1 { "interrupt" } else { "interrupts" };
        write!(f, "every way to have up to {} {times} is covered, in {} runs", self.bound, self.runs())
    }
}
