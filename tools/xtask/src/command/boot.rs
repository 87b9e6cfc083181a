//! `cargo xtask boot`: one kernel in each environment, and tables of what it found there.

use anyhow::{Result, bail};
use paravirt_vmi_abi::Call;

use crate::artifact::{self, Package};
use crate::claims;
use crate::counters;
use crate::environment::{self, Environment, Roms};
use crate::kernel::Kernel;
use crate::matrix;
use crate::outcome::Outcome;
use crate::protocol::Report;
use crate::toolchain::{Install, Toolchain};
use vmi_audit::disassembly;
use vmi_audit::table::Table;

/// The environment whose patched sites are listed.
const PATCH_REPORT: &str = "rom";

/// The environments to boot, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    environments: Vec<Environment>,
}

impl Selection {
    /// All of them.
    pub fn all() -> Self {
        Self { environments: environment::all() }
    }

    /// The selection by a list of names: of environments, or of groups of them.
    ///
    /// # Errors
    ///
    /// The name that is none.
    pub fn parse(names: &str) -> Result<Self, &str> {
        let all = environment::all();
        let mut chosen = vec![false; all.len()];
        for name in names.split(',') {
            let mut is_known = false;
            for (environment, chosen) in all.iter().zip(&mut chosen) {
                let is_meant = match name {
                    "all" => true,
                    "rom" => environment.rom.is_some(),
                    "hypervisor" => environment.hypervisor.is_some(),
                    _ => environment.name == name,
                };
                *chosen |= is_meant;
                is_known |= is_meant;
            }
            if !is_known {
                return Err(name);
            }
        }
        let environments = all.into_iter().zip(chosen).filter_map(|(found, chosen)| chosen.then_some(found));
        Ok(Self { environments: environments.collect() })
    }
}

/// Boots the kernel and prints what it found.
pub fn boot(selection: Selection, install: Install) -> Result<()> {
    let toolchain = Toolchain::find(install)?;
    let kernel = artifact::build(&toolchain.compiler, Package::KERNEL)?;
    let kernel = Kernel::read(&kernel.path)?;
    let mut roms = Roms::default();
    let outcomes = Outcome::of_all(selection.environments, "boot", &kernel, &mut roms, &toolchain)?;
    println!("kernel    {}", kernel.path.display());
    println!("compiler  {}", toolchain.compiler.describe());
    println!("emulator  {}", toolchain.emulator.describe());
    if outcomes.iter().any(|outcome| outcome.environment.is_whole()) {
        println!("\n{}", matrix::table(&outcomes));
        println!("{}", matrix::LEGEND);
    }
    println!("\n{}", summary(&outcomes));
    for outcome in outcomes.iter().filter(|outcome| !outcome.report.is_vmi()) {
        let backend = outcome.report.backend.as_deref().unwrap_or("no backend");
        let reason = backend.strip_prefix("native ").unwrap_or(backend);
        println!("{}: {reason}", outcome.environment.name);
    }
    for table in [claims::table(&outcomes), claims::matrix(&outcomes)].into_iter().flatten() {
        println!("\n{table}");
    }
    let hypervisors = outcomes.iter().filter(|outcome| outcome.environment.hypervisor.is_some());
    let counters: Vec<_> =
        hypervisors.map(|outcome| (outcome.environment.name, &outcome.report.hypervisor)).collect();
    if !counters.is_empty() {
        println!("\n{}", counters::table(counters));
    }
    if let Some(outcome) = outcomes.iter().find(|found| found.environment.name == PATCH_REPORT) {
        println!("\n{}", patches(&outcome.report, &kernel.parse()?));
    }
    let bad: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
    for outcome in &bad {
        print!("{}", complaint(outcome));
    }
    match bad.len() {
        0 => Ok(()),
        count => bail!("{count} of {} environments failed", outcomes.len()),
    }
}

/// What is wrong with an outcome, and its log.
pub fn complaint(outcome: &Outcome) -> String {
    let mut text = String::new();
    let name = outcome.environment.name;
    for problem in outcome.problems().into_iter().chain(outcome.matrix_problems()) {
        text += &format!("{name}: {problem}\n");
    }
    for check in outcome.report.failures() {
        text += &format!("{name}: {check}\n");
    }
    text + &outcome.run.log()
}

/// The table of all other checks and of figures, by environment.
fn summary(outcomes: &[Outcome]) -> Table {
    let names = outcomes.iter().map(|outcome| outcome.environment.name);
    let mut table = Table::new(["check"].into_iter().chain(names));
    let mut row = |name: &str, cell: &dyn Fn(&Outcome) -> Option<String>| {
        let cells = outcomes.iter().map(|outcome| cell(outcome).unwrap_or_else(|| "-".to_owned()));
        table.row([name.to_owned()].into_iter().chain(cells));
    };
    row("kernel", &|outcome| Some(outcome.hash.clone()));
    row("backend", &|outcome| Some(outcome.report.backend.as_deref()?.split_whitespace().next()?.to_owned()));
    for key in ["rom", "api", "ring"] {
        row(key, &|outcome| outcome.report.backend_value(key).map(str::to_owned));
    }
    let calls: Vec<_> = Call::all().map(matrix::check_id).collect();
    let checks = in_order(outcomes, |report| report.checks.iter().map(|check| &check.id).collect());
    for id in checks.into_iter().filter(|id| !calls.contains(id)) {
        row(&id, &|outcome| {
            let check = outcome.report.checks.iter().find(|check| check.id == id)?;
            Some(if check.failure.is_none() { "ok" } else { "FAIL" }.to_owned())
        });
    }
    for id in in_order(outcomes, |report| report.figures.iter().map(|(id, _)| id).collect()) {
        row(&id, &|outcome| Some(outcome.report.figure(&id)?.to_string()));
    }
    row("calls provided", &|outcome| Some(outcome.provided().count().to_string()));
    row("calls traced", &|outcome| {
        let traces = outcome.environment.rom.is_some_and(|flavour| flavour.trace);
        traces.then(|| Call::all().filter(|call| outcome.traced(*call) > 0).count().to_string())
    });
    row("all", &|outcome| Some(if outcome.is_good() { "ok" } else { "FAIL" }.to_owned()));
    table
}

/// All names that any report has, in the order of their first appearance.
fn in_order(outcomes: &[Outcome], names: impl Fn(&Report) -> Vec<&String>) -> Vec<String> {
    let mut found = Vec::<String>::new();
    for name in outcomes.iter().flat_map(|outcome| names(&outcome.report)) {
        if !found.contains(name) {
            found.push(name.clone());
        }
    }
    found
}

/// The table of calls that have sites, and that of the patched sites.
fn patches(report: &Report, kernel: &vmi_audit::Kernel<'_>) -> String {
    let mut calls = Table::new(["call", "relocation", "target", "sites"]);
    for record in report.calls.iter().filter(|record| record.sites > 0) {
        let target = record.target.map_or("-".to_owned(), |target| format!("{target:08x}"));
        let sites = record.sites.to_string();
        calls.row([record.call.name(), &record.kind, &target, &sites]);
    }
    let headings = ["address", "call", "before", "after", "was", "is", "in"];
    let mut sites = Table::new(headings);
    for record in &report.sites {
        sites.row([
            format!("{:08x}", record.address),
            record.call.name().to_owned(),
            hex(&record.before),
            hex(&record.after),
            disassembly::line(&record.before, record.address),
            disassembly::patched_line(&record.after, record.address),
            kernel.place(record.address),
        ]);
    }
    format!("{calls}\n{sites}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
