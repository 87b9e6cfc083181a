//! A masked section on the real processor: patched, by hand, as an indirect call, and trapped.

use anyhow::Result;

use super::row::{Goal, Row};
use super::samples::Measured;
use super::statistics::Summary;
use super::{Bar, Bench, Outcome};
use crate::linux32::{Build, Kind, Linux32};
use crate::test_program::RUN_LIMIT;

/// The package that measures.
const PACKAGE: &str = "bench-sections";
/// The unit.
const TICKS: &str = "ticks";
/// The section that a person would write who knows the hypervisor.
const BY_HAND: &str = "without_interrupts.by_hand";

/// Measures in both builds, one after the other; each has the section by hand in it.
pub fn measure(bench: &mut Bench, outcome: &mut Outcome) -> Result<()> {
    let patched = run(bench.machine, "")?;
    let indirect = run(bench.machine, "indirect")?;
    outcome.rows.extend(rows(&patched, &indirect)?);
    for (name, measured, form) in [
        ("two stores and a test by hand", &patched, BY_HAND),
        ("the ROM's code at the sites", &patched, "without_interrupts.inline"),
        ("calls into the ROM", &patched, "without_interrupts.calls"),
        ("indirect calls (paravirt_ops)", &indirect, "without_interrupts.indirect"),
        ("cli and sti trap (SIGSEGV)", &patched, "without_interrupts.trapped"),
    ] {
        outcome.plot.sections.push(Bar { name: name.to_owned(), ticks: measured.summary(form)? });
    }
    Ok(())
}

/// Builds and runs the program.
fn run(machine: &Linux32, features: &'static str) -> Result<Measured> {
    let build = Build { package: PACKAGE, features, profile: "release", kind: Kind::Program };
    Measured::parse(&machine.run(&build, &[], RUN_LIMIT)?)
}

/// What the two programs say.
fn rows(patched: &Measured, indirect: &Measured) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    // In one program.
    let mut row = |what: &str, form: &str, against: &str, other: &str, goal: Goal| -> Result<()> {
        let ratio = match goal {
            Goal::AtMost(_) => patched.ratio(form, other)?,
            Goal::AtLeast(_) | Goal::Reported => patched.ratio(other, form)?,
        };
        let [ours, theirs] = [patched.summary(form)?.median, patched.summary(other)?.median];
        rows.push(Row {
            what: what.to_owned(),
            unit: TICKS,
            ours,
            against: against.to_owned(),
            theirs,
            ratio,
            goal,
        });
        Ok(())
    };
    let (section, pair) = ("section, the ROM's code at its sites", "disable and enable, the same");
    let by_hand = "two stores and a test by hand";
    row(section, "without_interrupts.inline", by_hand, BY_HAND, Goal::AtMost(1.3))?;
    row(pair, "disable_enable.inline", "two stores by hand", "disable_enable.by_hand", Goal::AtMost(1.3))?;
    row(
        section,
        "without_interrupts.inline",
        "calls into the ROM",
        "without_interrupts.calls",
        Goal::Reported,
    )?;
    row(
        section,
        "without_interrupts.inline",
        "cli and sti trap: SIGSEGV",
        "without_interrupts.trapped",
        Goal::Reported,
    )?;
    row(
        "a site padded by prefixes",
        "padding.prefixes",
        "by prefixes and lea",
        "padding.filler",
        Goal::Reported,
    )?;
    // In two programs: each against what both have.
    for (what, form, own, common) in [
        (section, "without_interrupts", "without_interrupts.inline", BY_HAND),
        (pair, "disable_enable", "disable_enable.inline", "disable_enable.by_hand"),
    ] {
        let form = format!("{form}.indirect");
        let ratio = across(indirect.ratio(&form, common)?, patched.ratio(own, common)?);
        let [ours, theirs] = [patched.summary(own)?.median, indirect.summary(&form)?.median];
        let against = "indirect calls, as paravirt_ops".to_owned();
        rows.push(Row {
            what: what.to_owned(),
            unit: TICKS,
            ours,
            against,
            theirs,
            ratio,
            goal: Goal::AtLeast(3.0),
        });
    }
    Ok(rows)
}

/// How much slower theirs is than ours: both were measured against a common third in programs of their own.
fn across(theirs: Summary, ours: Summary) -> Summary {
    theirs.over(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(forms: &[(&str, u64)]) -> Measured {
        let lines: String =
            forms.iter().map(|(form, ticks)| format!("@ticks {form} 1 {ticks} {ticks}\n")).collect();
        Measured::parse(&lines).unwrap()
    }

    #[test]
    fn the_two_programs_are_compared_by_what_both_have() {
        let patched = measured(&[
            ("without_interrupts.inline", 2),
            ("without_interrupts.by_hand", 2),
            ("without_interrupts.calls", 8),
            ("without_interrupts.trapped", 4000),
            ("disable_enable.inline", 1),
            ("disable_enable.by_hand", 1),
            ("padding.prefixes", 1),
            ("padding.filler", 4),
        ]);
        // A processor that was half as fast meanwhile.
        let indirect = measured(&[
            ("without_interrupts.indirect", 40),
            ("without_interrupts.by_hand", 4),
            ("disable_enable.indirect", 4),
            ("disable_enable.by_hand", 2),
        ]);
        let rows = rows(&patched, &indirect).unwrap();
        let ratio = |against: &str| {
            rows.iter()
                .filter(|row| row.against.starts_with(against))
                .map(|row| row.ratio.median)
                .collect::<Vec<_>>()
        };
        assert_eq!(ratio("two stores"), [1.0, 1.0]);
        assert_eq!(ratio("indirect calls"), [10.0, 2.0]);
        assert_eq!(ratio("cli and sti trap"), [2000.0]);
        let holds: Vec<_> =
            rows.iter().filter(|row| row.goal == Goal::AtLeast(3.0)).map(Row::holds).collect();
        assert_eq!(holds, [Some(true), Some(false)]);
    }
}
