//! The kernel in each environment: all of its own checks, and what can be seen from outside.

use anyhow::Result;

use super::forecast;
use crate::artifact::{self, Package};
use crate::claims;
use crate::command::boot::complaint;
use crate::environment::{self, Environment, Roms};
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::source;
use crate::suite::Finding;
use crate::toolchain::Toolchain;

/// A figure that must be reported: its name, the least and the greatest value.
type Bounds = (&'static str, i64, i64);

/// Figures of all checks together.
const WHOLE: [Bounds; 6] = [
    ("masking.ticks", 2000, i64::MAX),
    ("masking.ticks_while_masked", 0, 0),
    ("critical_section.items", 4000, i64::MAX),
    ("critical_section.lost", 0, 0),
    ("critical_section.twice", 0, 0),
    ("critical_section.counts_lost", 0, 0),
];

/// Figures of the example driver: ticks that it has sampled, and samples that its main loop has not seen.
const SAMPLER: [Bounds; 2] = [("sampler.samples", 1000, i64::MAX), ("sampler.lost", 0, 0)];

/// Figures of a storm of interrupts.
const STORM: [Bounds; 5] = [
    ("storm.raised", 100_000, i64::MAX),
    ("storm.delivered", 100_000, i64::MAX),
    ("storm.lost", 0, 0),
    ("storm.twice", 0, 0),
    ("storm.while_masked", 0, 0),
];

/// The figures that an environment must report.
fn figures(environment: &Environment) -> Vec<Bounds> {
    match environment {
        _ if environment.is_storm() => STORM.to_vec(),
        _ if environment.is_whole() => [&WHOLE[..], &SAMPLER].concat(),
        _ => SAMPLER.to_vec(),
    }
}

/// Boots one build of the kernel everywhere; a build other than the usual one where it makes all its checks.
pub fn boots(toolchain: &Toolchain, roms: &mut Roms, package: Package) -> Result<Vec<Finding>> {
    let kernel = Kernel::read(&artifact::build(&toolchain.compiler, package)?.path)?;
    let mut environments = environment::all();
    environments.retain(|environment| package == Package::KERNEL || environment.is_whole());
    let sources = source::on_disk()?;
    let outcomes = Outcome::of_all(environments, &package.title(), &kernel, roms, toolchain)?;
    let mut findings = Vec::new();
    for outcome in &outcomes {
        let name = format!("{} {}", package.title(), outcome.environment.name);
        findings.extend(judge(&name, outcome));
        if outcome.environment.is_vmi {
            let image = match (outcome.environment.rom, outcome.environment.hypervisor) {
                (Some(flavour), _) => roms.image(&toolchain.compiler, flavour)?.bytes().to_vec(),
                (None, words) => forecast::hypervisor_rom(
                    &roms.hypervisor(&toolchain.compiler)?,
                    words.unwrap_or_default(),
                )?,
            };
            let result =
                forecast::compare(&kernel, &image, !outcome.environment.calls_only(), &outcome.report);
            findings.push(Finding::from_result(format!("{name} as vmi-audit foretells"), result));
        }
        if !outcome.environment.is_storm() {
            let differences = source::differences(&outcome.report.sources, &sources);
            findings.push(Finding::new(format!("{name} the driver's source"), &differences));
        }
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
    if outcome.environment.is_whole() {
        let complaint = claims::problem(&outcome.report.claims);
        findings.push(Finding::new(format!("{name} every claim"), complaint.as_slice()));
    }
    for check in &outcome.report.checks {
        let failure = check.failure.clone();
        findings.push(Finding { name: format!("{name} {}", check.id), failure });
    }
    for (id, least, greatest) in figures(&outcome.environment) {
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
