//! `cargo xtask fuzz`: gives the properties any input that libFuzzer can think of.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::fuzz::{self, Outcome, Target};
use vmi_audit::table::Table;

/// Fuzzes one target, or each in turn, for some seconds.
pub fn fuzz(target: Option<Target>, seconds: u64) -> Result<()> {
    let programs = fuzz::build()?;
    if !programs.are_sanitized {
        eprintln!("the Rust compiler has no address sanitizer: accesses outside allocations are not noticed");
    }
    let targets = target.map_or(Target::ALL.to_vec(), |target| vec![target]);
    let mut table = Table::new([
        "target",
        "seconds",
        "executions",
        "per second",
        "edges",
        "of",
        "functions",
        "of",
        "inputs",
        "result",
    ]);
    let mut never = Vec::new();
    let mut failed = 0;
    for target in targets {
        let outcome = fuzz::run(&programs, target, seconds)?;
        if let Some(finding) = &outcome.finding {
            eprintln!("{finding}");
            failed += 1;
        }
        let (reached, missed) = functions(&outcome);
        let progress = outcome.progress;
        let time = outcome.time.as_secs_f64().max(1.0);
        table.row([
            target.name.to_owned(),
            format!("{time:.0}"),
            progress.executions.to_string(),
            format!("{:.0}", progress.executions as f64 / time),
            progress.edges.to_string(),
            outcome.edges.to_string(),
            reached.to_string(),
            (reached + missed.len()).to_string(),
            progress.inputs.to_string(),
            if outcome.finding.is_none() { "ok" } else { "FAIL" }.to_owned(),
        ]);
        never.extend(missed.into_iter().map(|name| format!("{}: {name}", target.name)));
    }
    println!("\n{table}");
    if !never.is_empty() {
        println!("functions under test that were not reached:\n  {}", never.join("\n  "));
    }
    if failed > 0 {
        bail!("{failed} targets failed: the inputs are in fuzz/artifacts");
    }
    Ok(())
}

/// How many of the functions under test were reached, and the names of the others. A function that was made several
/// times counts once.
fn functions(outcome: &Outcome) -> (usize, BTreeSet<&str>) {
    let names = |is_covered| {
        let functions = outcome.functions.iter().filter(move |function| function.is_covered == is_covered);
        functions.map(|function| function.name.as_str()).collect::<BTreeSet<_>>()
    };
    let reached = names(true);
    let missed = names(false).difference(&reached).copied().collect();
    (reached.len(), missed)
}
