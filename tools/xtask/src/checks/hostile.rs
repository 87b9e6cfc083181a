//! The hostile guest: on bare metal its attempts succeed, under the hypervisor each is refused, and a
//! well-behaved kernel runs afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::artifact::{self, Package};
use crate::bochs;
use crate::environment::Roms;
use crate::hostile::{Attempt, Bare, Needs, Said};
use crate::parallel;
use crate::protocol::Report;
use crate::qemu::{Hypervisor, Machine, Program, Stop};
use crate::suite::Finding;
use crate::toolchain::{Bochs, Install, Toolchain};
use vmi_audit::table::Table;

/// The fewest attempts that are enough.
const ENOUGH: usize = 30;

/// The attempts in one run of the hypervisor; behind them comes the well-behaved kernel.
const GUESTS: usize = 45;

/// A run that takes longer is killed.
const LIMIT: Duration = Duration::from_secs(300);

/// The words for the well-behaved kernel.
pub const KERNEL: &str = "checks=calls";

/// What the attempts are made with.
pub struct Suite {
    /// The hostile guest.
    pub guest: PathBuf,
    /// The hypervisor.
    pub hypervisor: PathBuf,
    /// The well-behaved kernel.
    pub kernel: PathBuf,
    /// All attempts.
    pub attempts: Vec<Attempt>,
}

/// Some of the attempts, and the kernel, one after another in one machine.
pub struct Run {
    /// Which attempts.
    pub attempts: Vec<Attempt>,
    /// What the machine wrote to its serial port.
    pub log: String,
    /// How it ended.
    pub ending: String,
}

impl Suite {
    /// Builds everything, and asks the guest what it has to offer.
    pub fn new(toolchain: &Toolchain, roms: &mut Roms) -> Result<Self> {
        let compiler = &toolchain.compiler;
        let guest = artifact::build(compiler, Package::HOSTILE)?.path;
        let hypervisor = roms.hypervisor(compiler)?;
        let kernel = artifact::build(compiler, Package::KERNEL)?.path;
        let run = alone(&guest, "list", toolchain)?;
        let attempts = Attempt::list(&run.serial);
        let records = run.serial.lines().filter(|line| line.starts_with("@list ")).count();
        ensure!(run.ending == Stop::PASSED, "the hostile guest does not list its attempts");
        ensure!(attempts.len() == records, "{} of {records} attempts can be read", attempts.len());
        Ok(Self { guest, hypervisor, kernel, attempts })
    }

    /// The attempts in groups for a run each. Those that need what `lacks` says that the emulator does not do
    /// stand alone, because nobody knows how they end.
    pub fn groups(&self, lacks: impl Fn(Needs) -> bool) -> Vec<Vec<Attempt>> {
        let (alone, together): (Vec<_>, Vec<_>) =
            self.attempts.iter().cloned().partition(|attempt| lacks(attempt.needs));
        let mut groups: Vec<_> = together.chunks(GUESTS).map(<[Attempt]>::to_vec).collect();
        groups.extend(alone.into_iter().map(|attempt| vec![attempt]));
        groups
    }
}

/// One attempt on bare metal.
fn alone(guest: &Path, name: &str, toolchain: &Toolchain) -> Result<crate::qemu::Run> {
    let (title, words) = (format!("hostile-bare-{name}"), format!("attempt={name}"));
    let mut machine = Machine::new(&title, guest);
    machine.command_line = &words;
    machine.processors = 1;
    machine.memory = 128;
    machine.run(&toolchain.emulator)
}

/// Makes each attempt on bare metal, where it succeeds if it is a real one.
pub fn bare(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    let suite = Suite::new(toolchain, roms)?;
    let attempts: Vec<_> = suite.attempts.iter().filter(|attempt| attempt.bare != Bare::Chance).collect();
    let succeeding = attempts.iter().filter(|attempt| attempt.bare != Bare::Harmless).count();
    let findings = parallel::map(attempts, |attempt| {
        let run = alone(&suite.guest, &attempt.name, toolchain)?;
        let said = attempt.said(&run.serial);
        let is_right = match (attempt.bare, &said) {
            (Bare::Succeeds, Said::Succeeded(_)) => run.ending == Stop::FAILED,
            (Bare::Resets, Said::Nothing) => run.ending == Stop::Emulator(Some(0)),
            (Bare::Harmless, Said::Refused(_)) => run.ending == Stop::PASSED,
            _ => false,
        };
        let complaint = format!("{:?}, found {}; {}", attempt.bare, said.describe(), run.ending.describe());
        let name = format!("bare metal: {}", attempt.name);
        Ok(Finding::new(name, (!is_right).then_some(complaint).as_slice()))
    });
    let mut findings: Vec<_> = findings.into_iter().collect::<Result<_>>()?;
    let complaint =
        (succeeding < ENOUGH).then(|| format!("{succeeding} succeed, expected at least {ENOUGH}"));
    findings.push(Finding::new("bare metal: enough attempts succeed", complaint.as_slice()));
    Ok(findings)
}

/// Whether QEMU does not do what an attempt needs: it checks no limits, and IRET enters virtual-8086 mode from
/// any ring.
fn qemu_lacks(needs: Needs) -> bool {
    needs != Needs::Nothing
}

/// Makes each attempt under the hypervisor in QEMU.
pub fn hostile(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    in_qemu(toolchain, roms, "")
}

/// The same with a guest and a kernel that call the ROM also where its own code would fit at a site.
pub fn with_calls(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    in_qemu(toolchain, roms, " vmi=calls")
}

/// Makes each attempt in QEMU, with these words behind those of each guest.
fn in_qemu(toolchain: &Toolchain, roms: &mut Roms, more: &str) -> Result<Vec<Finding>> {
    let suite = Suite::new(toolchain, roms)?;
    let kernel = format!("{KERNEL}{more}");
    let groups: Vec<_> = suite.groups(qemu_lacks).into_iter().enumerate().collect();
    let runs = parallel::map(groups, |(index, attempts)| {
        let words: Vec<_> =
            attempts.iter().map(|attempt| format!("attempt={}{more}", attempt.name)).collect();
        let title = format!("hostile{}-{index}", more.replace([' ', '='], "-"));
        let mut machine = Machine::new(&title, &suite.kernel);
        machine.command_line = &kernel;
        machine.limit = LIMIT;
        machine.hypervisor = Some(Hypervisor {
            program: Program { path: &suite.hypervisor, words: "" },
            before: words.iter().map(|words| Program { path: &suite.guest, words }).collect(),
        });
        let run = machine.run(&toolchain.emulator)?;
        Ok(Run { attempts, log: run.serial, ending: run.ending.describe() })
    });
    let runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(judge("QEMU", &runs, qemu_lacks))
}

/// Makes each attempt under the hypervisor in Bochs, which does what all of them need.
pub fn second_opinion(toolchain: &Toolchain, install: Install, roms: &mut Roms) -> Result<Vec<Finding>> {
    let suite = Suite::new(toolchain, roms)?;
    let emulator = Bochs::find(install)?;
    let groups: Vec<_> = suite.groups(|_| false).into_iter().enumerate().collect();
    let runs = parallel::map(groups, |(index, attempts)| {
        let words: Vec<_> = attempts.iter().map(|attempt| format!("attempt={}", attempt.name)).collect();
        let guests = words.iter().map(|words| Program { path: &suite.guest, words });
        let machine = bochs::Machine {
            name: &format!("hostile-bochs-{index}"),
            hypervisor: Program { path: &suite.hypervisor, words: "" },
            guests: guests.chain([Program { path: &suite.kernel, words: KERNEL }]).collect(),
        };
        let run = machine.run(&emulator)?;
        Ok(Run { attempts, log: run.log, ending: run.ending.to_owned() })
    });
    let runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(judge("Bochs", &runs, |_| false))
}

/// Judges all runs on one emulator, and prints what became of each attempt.
pub fn judge(emulator: &str, runs: &[Run], lacks: impl Fn(Needs) -> bool) -> Vec<Finding> {
    let mut table = Table::new(["attempt", emulator, "what was tried"]);
    let mut findings = Vec::new();
    let mut refused = 0;
    for run in runs {
        for attempt in &run.attempts {
            let said = attempt.said(&run.log);
            let complaint = attempt.complaint(&said);
            refused += usize::from(complaint.is_none());
            let is_let_through = lacks(attempt.needs) && complaint.is_some();
            let text = match &complaint {
                Some(_) if is_let_through => format!("let through by {emulator}"),
                _ => said.describe(),
            };
            table.row([&attempt.name, &text, &attempt.what]);
            if !is_let_through {
                findings.push(Finding::new(format!("{emulator}: {}", attempt.name), complaint.as_slice()));
            }
        }
        // A machine in which the emulator lets something through is lost.
        if run.attempts.iter().all(|attempt| !lacks(attempt.needs)) {
            findings.push(afterwards(emulator, run));
        }
    }
    println!("\n{table}");
    let complaint = (refused < ENOUGH).then(|| format!("{refused} are refused, expected at least {ENOUGH}"));
    findings.push(Finding::new(format!("{emulator}: enough attempts are refused"), complaint.as_slice()));
    findings
}

/// Whether the hypervisor is intact and the kernel behind the attempts ran well.
fn afterwards(emulator: &str, run: &Run) -> Finding {
    let mut complaints = Vec::new();
    match run.log.find("@kernel ") {
        None => complaints.push(format!("no kernel ran afterwards: {}", run.ending)),
        Some(start) => {
            let report = Report::parse(&run.log[start..]);
            complaints.extend(report.defects());
            complaints.extend(report.failures().map(ToString::to_string));
            complaints.extend(report.hypervisor.defects());
            if !report.is_vmi() {
                complaints.push("the kernel behind the attempts did not find the ROM".to_owned());
            }
        }
    }
    let first = run.attempts.first().map_or("nothing", |attempt| &attempt.name);
    if !complaints.is_empty() {
        eprintln!("--- {emulator}, from {first} on\n{}\n---", run.log.trim_end());
    }
    Finding::new(format!("{emulator}: the kernel behind {first} and what follows"), &complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(name: &str, needs: Needs) -> Attempt {
        Attempt {
            name: name.to_owned(),
            may_be_stopped: false,
            bare: Bare::Succeeds,
            needs,
            what: "something".to_owned(),
        }
    }

    const KERNEL_LOG: &str =
        "@kernel k 1\n@backend vmi rom=000cc000\n@check a ok\n@end 1 0\n@hv.intact yes\n";

    fn failures(attempts: Vec<Attempt>, log: &str) -> Vec<String> {
        let run = Run { attempts, log: log.to_owned(), ending: "the machine was reset".to_owned() };
        let findings = judge("QEMU", &[run], qemu_lacks);
        let bad = findings.into_iter().filter(|finding| finding.failure.is_some());
        bad.map(|finding| finding.name)
            .filter(|name| !name.ends_with("enough attempts are refused"))
            .collect()
    }

    #[test]
    fn an_attempt_that_succeeds_fails_the_step() {
        let good = format!("@try a\n@attempt a refused fault 13\n{KERNEL_LOG}");
        assert_eq!(failures(vec![attempt("a", Needs::Nothing)], &good), Vec::<String>::new());
        let bad = good.replace("refused", "SUCCEEDED");
        assert_eq!(failures(vec![attempt("a", Needs::Nothing)], &bad), ["QEMU: a"]);
        assert_eq!(failures(vec![attempt("a", Needs::Limits)], &bad), Vec::<String>::new());
    }

    #[test]
    fn a_hypervisor_that_does_not_survive_fails_the_step() {
        let good = format!("@try a\n@attempt a refused fault 13\n{KERNEL_LOG}");
        for log in [
            good.replace("intact yes", "intact no"),
            good.replace("@hv.intact yes\n", ""),
            good.replace("a ok", "a fail x").replace("1 0", "0 1"),
            good.replace("vmi rom", "native rom"),
            good.replace("@kernel k 1\n", ""),
        ] {
            let found = failures(vec![attempt("a", Needs::Nothing)], &log);
            assert_eq!(found, ["QEMU: the kernel behind a and what follows"], "{log}");
        }
    }

    #[test]
    fn attempts_that_may_end_the_machine_stand_alone() {
        let mut attempts: Vec<_> = (0..50).map(|index| attempt(&index.to_string(), Needs::Nothing)).collect();
        attempts.insert(3, attempt("vm", Needs::IretWithoutVm));
        let path = PathBuf::new();
        let suite = Suite { guest: path.clone(), hypervisor: path.clone(), kernel: path, attempts };
        let sizes = |lacks: fn(Needs) -> bool| suite.groups(lacks).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(qemu_lacks), [45, 5, 1]);
        assert_eq!(sizes(|_| false), [45, 6]);
    }
}
