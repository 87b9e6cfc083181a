//! [`FailedRun`]: which run of an exploration has failed, in words and as a seed.

use core::fmt;
use std::string::String;
use std::vec::Vec;

use super::super::{Entry, Failure, Flavour, Place};
use super::point::Point;
use super::schedule::{self, Injection, Schedule};

/// So many entries of the journal are shown.
const SHOWN: usize = 20;

/// A run of an exploration that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedRun {
    /// On what it ran.
    pub flavour: Flavour,
    /// Its number among the runs on this flavour, from 1.
    pub number: usize,
    /// What has interrupted it.
    pub interrupts: Vec<InjectedInterrupt>,
    /// The test, if it runs in a thread that is called like it.
    pub test: Option<String>,
}

/// An interrupt that has come in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InjectedInterrupt {
    /// The number of its point, and its vector.
    pub injection: Injection,
    /// The point.
    pub point: Point,
    /// The handler that it has interrupted, if any, and where that one had come.
    pub handler: Option<(u8, Place)>,
}

impl FailedRun {
    /// No run yet, of this test.
    pub(super) fn new(test: Option<String>) -> Self {
        Self { flavour: Flavour::Native, number: 0, interrupts: Vec::new(), test }
    }

    /// Its schedule: the seed by which it is replayed.
    pub fn schedule(&self) -> Schedule {
        let injections = self.interrupts.iter().map(|interrupt| interrupt.injection).collect();
        Schedule::new(self.flavour, injections).expect("points are numbered as they come")
    }

    /// The failure in all its detail.
    pub(in super::super) fn report(&self, failure: &Failure, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flavour, number, interrupts, .. } = self;
        write!(f, "{}\n\nin run {number} on {}, ", failure.cause, schedule::name(*flavour))?;
        match interrupts.len() {
            0 => f.write_str("not interrupted\n")?,
            1 => f.write_str("interrupted once:\n")?,
            count => writeln!(f, "interrupted {count} times:")?,
        }
        for interrupt in interrupts {
            writeln!(f, "  {interrupt}")?;
        }
        journal(&failure.journal, f)?;
        let seed = self.schedule();
        write!(f, "\nto see it again: PARAVIRT_VMI_SCHEDULE={seed} cargo test")?;
        if let Some(test) = &self.test {
            write!(f, " {test}")?;
        }
        write!(f, "\nor, in the test: Explorer::replay(\"{seed}\", ..)")
    }
}

impl fmt::Display for InjectedInterrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { injection: Injection { point: number, vector }, point, handler } = self;
        write!(f, "point {number}: {vector:#04x} {point}")?;
        match handler {
            Some((interrupted, _)) => write!(f, ", in the handler of {interrupted:#04x}"),
            None => Ok(()),
        }
    }
}

/// The end of a journal, as a table; what handlers do is indented.
fn journal(entries: &[Entry], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use std::format;

    let shown = &entries[entries.len().saturating_sub(SHOWN)..];
    if shown.is_empty() {
        return Ok(());
    }
    let left_out = entries.len() - shown.len();
    if left_out == 0 {
        f.write_str("\nIF  what happened\n")?;
    } else {
        writeln!(f, "\nIF  what happened, behind {left_out} other entries of the journal")?;
    }
    let texts: Vec<String> = shown
        .iter()
        .map(|entry| format!("{:indent$}{}", "", entry.event, indent = 2 * entry.depth))
        .collect();
    let width = texts.iter().map(String::len).max().unwrap_or_default();
    for (entry, text) in shown.iter().zip(&texts) {
        let flag = u8::from(entry.interrupt_flag);
        writeln!(f, " {flag}  {text:width$}  {}", entry.place)?;
    }
    Ok(())
}
