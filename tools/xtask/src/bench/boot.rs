//! Instructions from the first look for a ROM to a kernel that is patched: counted, so that a change is a change of code.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::kernel::boot;
use super::row::{Goal, Row};
use super::{Bench, Outcome};
use crate::artifact;

/// Where the figures are kept.
pub const FILE: &str = "docs/bench/boot.txt";
/// By how much a figure may exceed the one that is kept.
const TOLERANCE: f64 = 1.10;
/// Where the kernel is booted.
const ENVIRONMENTS: [&str; 3] = ["native", "rom", "hypervisor"];
/// The figure.
const FIGURE: &str = "boot.ticks";

/// Instructions of activation, by environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot(pub Vec<(String, u64)>);

/// Boots the kernel in each environment.
pub fn measure(bench: &mut Bench, outcome: &mut Outcome) -> Result<()> {
    let mut found = Boot::default();
    for name in ENVIRONMENTS {
        let report = boot(bench, name, "", true)?;
        let ticks = report.figure(FIGURE).with_context(|| format!("{name}: no figure {FIGURE}"))?;
        found.0.push((name.to_owned(), u64::try_from(ticks)?));
    }
    let kept = Boot::kept()?;
    for (name, instructions) in &found.0 {
        let before = kept.as_ref().and_then(|kept| kept.of(name)).unwrap_or(*instructions);
        let what = format!("activation, {name}");
        let (now, before) = (*instructions as f64, before as f64);
        outcome.rows.push(Row::counted(&what, "instructions", now, FILE, before, Goal::AtMost(TOLERANCE)));
    }
    outcome.boot = Some(found);
    Ok(())
}

impl Boot {
    /// The figures that are kept; none if there is no such file.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn kept() -> Result<Option<Self>> {
        let path = artifact::workspace().join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
        Self::parse(&text)
            .map(Some)
            .with_context(|| format!("{FILE} is not as `cargo xtask bench --bless` writes it"))
    }

    /// Reads what [`text`](Self::text) writes.
    fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let entries = lines.map(|line| {
            let (name, instructions) = line.split_once(' ')?;
            Some((name.to_owned(), instructions.trim().parse().ok()?))
        });
        entries.collect::<Option<_>>().map(Self)
    }

    /// The figures as they are kept.
    pub fn text(&self) -> String {
        let mut text =
            "# Instructions of `boot::activate` in the example kernel; `cargo xtask bench --bless`.\n"
                .to_owned();
        for (name, instructions) in &self.0 {
            text += &format!("{name:<10} {instructions}\n");
        }
        text
    }

    fn of(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, instructions)| *instructions)
    }

    /// Compares with the figures that are kept.
    ///
    /// # Errors
    ///
    /// If a figure is more than a tenth above the one that is kept, or is not kept.
    pub fn compare(&self, kept: &Self) -> Result<()> {
        for (name, instructions) in &self.0 {
            let Some(before) = kept.of(name) else {
                bail!("{FILE} does not have {name}: `cargo xtask bench --bless` writes it anew");
            };
            if *instructions as f64 > before as f64 * TOLERANCE {
                bail!(
                    "activation takes {instructions} instructions on {name}, and took {before}: if that has to be, \
                     `cargo xtask bench --bless` accepts it"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(instructions: u64) -> Boot {
        Boot(vec![("native".to_owned(), 7), ("rom".to_owned(), instructions)])
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Boot::parse(&boot(100_000).text()), Some(boot(100_000)));
        assert_eq!(Boot::parse("native\n"), None);
        assert_eq!(Boot::parse("native many\n"), None);
    }

    #[test]
    fn a_tenth_more_is_accepted_and_no_more_than_that() {
        assert!(boot(1100).compare(&boot(1000)).is_ok());
        let complaint = boot(1101).compare(&boot(1000)).unwrap_err().to_string();
        assert!(
            complaint.starts_with("activation takes 1101 instructions on rom, and took 1000: "),
            "{complaint}"
        );
        assert!(boot(10).compare(&boot(1000)).is_ok());
    }

    #[test]
    fn an_environment_that_is_not_kept_is_an_error() {
        assert!(boot(1000).compare(&Boot::default()).is_err());
    }
}
