//! The kernel in each environment: all of its own checks, and what can be seen from outside.

use anyhow::Result;

use crate::artifact::{self, Package};
use crate::command::boot::complaint;
use crate::elf::Kernel;
use crate::environment::{self, Roms};
use crate::outcome::Outcome;
use crate::suite::Finding;
use crate::toolchain::Toolchain;

/// Figures that each environment must report: the least and the greatest value.
const FIGURES: [(&str, i64, i64); 2] =
    [("masking.ticks", 2000, i64::MAX), ("masking.ticks_while_masked", 0, 0)];

/// Boots one build of the kernel everywhere.
pub fn boots(toolchain: &Toolchain, roms: &mut Roms, package: Package) -> Result<Vec<Finding>> {
    let kernel = Kernel::read(&artifact::build(&toolchain.compiler, package)?.path)?;
    let outcomes = Outcome::of_all(environment::all(), &package.title(), &kernel, roms, toolchain)?;
    let mut findings = Vec::new();
    for outcome in &outcomes {
        findings.extend(judge(&format!("{} {}", package.title(), outcome.environment.name), outcome));
        if !outcome.is_good() {
            eprint!("{}", complaint(outcome));
        }
    }
    Ok(findings)
}

/// One finding for the run as a whole, one for the calls, one for each check, one for each figure.
fn judge(name: &str, outcome: &Outcome) -> Vec<Finding> {
    let mut findings = vec![
        Finding::new(format!("{name} as a whole"), &outcome.problems()),
        Finding::new(format!("{name} every call"), &outcome.matrix_problems()),
    ];
    for check in &outcome.report.checks {
        let failure = check.failure.clone();
        findings.push(Finding { name: format!("{name} {}", check.id), failure });
    }
    for (id, least, greatest) in FIGURES {
        let complaint = match outcome.report.figure(id) {
            Some(value) if value < least => Some(format!("{value}, expected at least {least}")),
            Some(value) if value > greatest => Some(format!("{value}, expected at most {greatest}")),
            Some(_) => None,
            None => Some("not reported".to_owned()),
        };
        findings.push(Finding::new(format!("{name} {id}"), complaint.as_slice()));
    }
    findings
}
