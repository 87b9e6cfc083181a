//! Patching by site, at several numbers of sites, beside keys of the crate static-keys.

use anyhow::{Context as _, Result};

use super::plot::Line;
use super::row::{Goal, Row};
use super::samples::Measured;
use super::statistics::Summary;
use super::{Bench, Outcome};
use crate::linux32::{Build, Kind};
use crate::test_program::RUN_LIMIT;

/// The package that measures.
const PACKAGE: &str = "bench-patching";
/// The numbers of sites.
const SIZES: [u32; 4] = [10, 1_000, 100_000, 1_000_000];
/// Between these two the cost by site may rise by a half.
const LINEAR: [u32; 2] = [1_000, 1_000_000];
/// The unit.
const TICKS: &str = "ticks a site";

/// Builds and runs the program.
pub fn measure(bench: &mut Bench, outcome: &mut Outcome) -> Result<()> {
    let build = Build { package: PACKAGE, features: "", profile: "release", kind: Kind::Program };
    let measured = Measured::parse(&bench.machine.run(&build, &[], RUN_LIMIT)?)?;
    outcome.rows.extend(rows(&measured)?);
    for (name, form) in
        [("plan and commit", None), ("static-keys, plain stores", Some(PLAIN)), ("static-keys", Some(LINUX))]
    {
        let mut points = Vec::new();
        for size in SIZES {
            let values =
                form.map_or_else(|| whole(&measured, size).ok(), |form| measured.each_of(form, size));
            points.extend(values.map(|values| (size, Summary::of(&values).median)));
        }
        outcome.plot.patching.push(Line { name: name.to_owned(), points });
    }
    Ok(())
}

/// The peer on Linux, as published.
const LINUX: &str = "static_keys.linux.enable";
/// The peer with plain stores in place of what it does on Linux.
const PLAIN: &str = "static_keys.plain.enable";

/// What the whole way takes from records to patched text: planning and committing.
fn whole(measured: &Measured, sites: u32) -> Result<Vec<f64>> {
    let [plan, commit] = ["patching.plan", "patching.commit"].map(|form| measured.each_of(form, sites));
    let both = plan.zip(commit).with_context(|| format!("patching {sites} sites was not measured"))?;
    Ok(both.0.iter().zip(&both.1).map(|(plan, commit)| plan + commit).collect())
}

fn rows(measured: &Measured) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let [less, more] = LINEAR.map(|sites| whole(measured, sites).map(|values| Summary::of(&values)));
    let (less, more) = (less?, more?);
    rows.push(Row {
        what: format!("plan and commit, {} sites", grouped(LINEAR[1])),
        unit: TICKS,
        ours: more.median,
        against: format!("{} sites", grouped(LINEAR[0])),
        theirs: less.median,
        ratio: more.over(less),
        goal: Goal::AtMost(1.5),
    });
    for (peer, name, goal) in [
        (LINUX, "static-keys on Linux", Goal::AtLeast(1.0)),
        (PLAIN, "static-keys, plain stores, unchecked", Goal::Reported),
    ] {
        let largest = SIZES.into_iter().rev().find_map(|size| Some((size, measured.each_of(peer, size)?)));
        let (sites, theirs) = largest.with_context(|| format!("{peer} was not measured"))?;
        let ours = whole(measured, sites)?;
        rows.push(Row {
            what: format!("plan and commit, {} sites", grouped(sites)),
            unit: TICKS,
            ours: Summary::of(&ours).median,
            against: name.to_owned(),
            theirs: Summary::of(&theirs).median,
            ratio: Summary::of_ratios(&theirs, &ours),
            goal,
        });
    }
    Ok(rows)
}

/// A number with its thousands apart.
fn grouped(number: u32) -> String {
    match number / 1000 {
        0 => number.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), number % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!([7, 999, 1000, 1_000_050].map(grouped), ["7", "999", "1,000", "1,000,050"]);
    }

    #[test]
    fn the_peer_is_compared_at_the_largest_number_of_sites_that_it_has() {
        let mut lines = String::new();
        for (sites, ticks) in [(1_000, 40_000), (100_000, 4_000_000), (1_000_000, 80_000_000)] {
            lines += &format!("@ticks patching.plan {sites} {}\n", ticks / 4);
            lines += &format!("@ticks patching.commit {sites} {}\n", ticks / 4 * 3);
            lines += &format!("@ticks static_keys.plain.enable {sites} {}\n", ticks / 10);
        }
        lines += "@ticks static_keys.linux.enable 100000 400000000\n";
        let rows = rows(&Measured::parse(&lines).unwrap()).unwrap();
        assert_eq!((rows[0].ratio.median, rows[0].holds()), (2.0, Some(false)));
        assert_eq!((rows[1].what.as_str(), rows[1].ratio.median), ("plan and commit, 100,000 sites", 100.0));
        assert_eq!((rows[2].what.as_str(), rows[2].ratio.median), ("plan and commit, 1,000,000 sites", 0.1));
    }
}
