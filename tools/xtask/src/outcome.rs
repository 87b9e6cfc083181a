//! What became of the kernel in one environment, and what is wrong with that.

use std::fs;

use anyhow::{Result, ensure};
use paravirt_vmi_abi::Call;

use crate::ending::{self, Ended};
use crate::environment::{Beneath, Environment, Roms};
use crate::kernel::{self, Kernel};
use crate::matrix;
use crate::parallel;
use crate::protocol::{Report, SiteRecord};
use crate::qemu::{Run, Stop};
use crate::toolchain::{Emulator, Toolchain};

/// One environment after the kernel ran in it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The environment.
    pub environment: Environment,
    /// The hash of the file that was booted.
    pub hash: String,
    /// What the machine left.
    pub run: Run,
    /// What the kernel reported.
    pub report: Report,
    /// How the runs went that end with a call.
    pub endings: Vec<Ended>,
}

impl Outcome {
    /// Boots `kernel` in `environment`; `name` tells this run from others.
    pub fn of(
        environment: Environment,
        name: &str,
        kernel: &Kernel,
        beneath: &Beneath,
        emulator: &Emulator,
    ) -> Result<Self> {
        let machine = beneath.machine(&environment, name, &kernel.path, environment.command_line);
        let hash = kernel::hash(&fs::read(&kernel.path)?);
        ensure!(hash == kernel.hash, "{} changed while it was in use", kernel.path.display());
        let run = machine.run(emulator)?;
        let report = Report::parse(&run.serial);
        Ok(Self { environment, hash, run, report, endings: Vec::new() })
    }

    /// Boots `kernel` once for each way to end.
    fn end(&mut self, name: &str, kernel: &Kernel, beneath: &Beneath, emulator: &Emulator) -> Result<()> {
        for ending in ending::ALL {
            let name = format!("{name}-{}", ending.name);
            let command_line = format!("{} {}", self.environment.command_line, ending.word);
            let machine = beneath.machine(&self.environment, &name, &kernel.path, command_line.trim());
            self.endings.push(Ended::of(ending, &machine, emulator)?);
        }
        Ok(())
    }

    /// The kind of relocation that the kernel got for `call`.
    pub fn relocation_kind(&self, call: Call) -> Option<&str> {
        self.report.calls.iter().find(|record| record.call == call).map(|record| record.kind.as_str())
    }

    /// The calls that the ROM provides.
    pub fn provided(&self) -> impl Iterator<Item = Call> {
        Call::all().filter(|call| matches!(self.relocation_kind(*call), Some("CALL_REL" | "JUMP_REL")))
    }

    /// How often a call showed at the debug port, in all runs.
    pub fn traced(&self, call: Call) -> usize {
        let expected = self.environment.trace_byte(call);
        let endings = self.endings.iter().flat_map(|ended| &ended.debug);
        self.run.debug.iter().chain(endings).filter(|byte| Some(**byte) == expected).count()
    }

    /// What is wrong, apart from checks that failed.
    pub fn problems(&self) -> Vec<String> {
        let errors = self.report.errors.iter().map(|error| format!("activation failed: {error}"));
        self.defects().into_iter().chain(errors).collect()
    }

    /// What is wrong, apart from checks that failed and from what the kernel gives as an error.
    pub fn defects(&self) -> Vec<String> {
        let mut problems = self.report.defects();
        let failed = self.report.failures().next().is_some();
        if self.run.ending != Stop::PASSED && !(failed && self.run.ending == Stop::FAILED) {
            problems.push(self.run.ending.describe());
        }
        if self.run.ending == Stop::PASSED && failed {
            problems.push("the kernel says that all checks passed, but one failed".to_owned());
        }
        if self.report.checks.is_empty() {
            problems.push("the kernel ran no check".to_owned());
        }
        if self.report.is_vmi() != self.environment.is_vmi {
            let expected = if self.environment.is_vmi { "vmi" } else { "native" };
            let found = self.report.backend.as_deref().unwrap_or("none");
            problems.push(format!("the backend is not {expected}: {found}"));
        }
        if self.environment.hypervisor.is_some() {
            problems.extend(self.report.hypervisor.defects());
        }
        problems.extend(self.site_problem());
        problems.extend(self.inline_problem());
        problems.extend(self.trace_problems());
        problems
    }

    /// Under VMI the sites are patched that the ROM does not leave native, natively none.
    fn site_problem(&self) -> Option<String> {
        // A site that is native may look like one that was emptied.
        let may_differ = |call| self.environment.is_vmi && self.relocation_kind(call) != Some("NONE");
        let must_differ = |call| may_differ(call) && self.relocation_kind(call) != Some("NOP");
        let wrong = self.report.sites.iter().filter(|site| match site.before == site.after {
            true => must_differ(site.call),
            false => !may_differ(site.call),
        });
        let (wrong, all) = (wrong.count(), self.report.sites.len());
        (wrong > 0).then(|| format!("{wrong} of {all} sites are not as the ROM's answers want them"))
    }

    /// Sites of the interrupt flag hold the ROM's own code where they must, and no other does.
    fn inline_problem(&self) -> Option<String> {
        const INLINE: [Call; 3] =
            [Call::ENABLE_INTERRUPTS, Call::DISABLE_INTERRUPTS, Call::GET_INTERRUPT_MASK];
        let is_called =
            |site: &&SiteRecord| matches!(self.relocation_kind(site.call), Some("CALL_REL" | "JUMP_REL"));
        let wrong = self.report.sites.iter().filter(is_called).filter(|site| {
            let is_branch = matches!(site.after.first(), Some(0xE8 | 0xE9));
            is_branch == (self.environment.is_inline() && INLINE.contains(&site.call))
        });
        let (wrong, all) = (wrong.count(), self.report.sites.len());
        (wrong > 0).then(|| {
            format!(
                "{wrong} of {all} sites hold a call in place of the ROM's code, or that in place of a call"
            )
        })
    }

    /// What the debug port says about calls that should or should not go through the ROM.
    fn trace_problems(&self) -> Vec<String> {
        let Environment { rom, is_vmi, .. } = self.environment;
        let debug = &self.run.debug;
        if is_vmi && rom.is_some_and(|flavour| flavour.trace) {
            // Only some runs end with a call that does not come back.
            let ends = |call| ending::ALL.iter().any(|ending| ending.call == call);
            let due = self.provided().filter(|call| !self.endings.is_empty() || !ends(*call));
            let missing = due.filter(|call| self.traced(*call) == 0);
            return missing.map(|call| format!("{call} did not go through the ROM")).collect();
        }
        if debug.is_empty() {
            return Vec::new();
        }
        vec![format!("{} bytes at the debug port, where no ROM should have been called", debug.len())]
    }

    /// What is wrong with the matrix: a call that was not checked, or a run that did not end as it should.
    pub fn matrix_problems(&self) -> Vec<String> {
        if !self.environment.is_whole() {
            return Vec::new();
        }
        let ended = self.endings.iter().flat_map(|ended| {
            ended.problems.iter().map(|problem| format!("{}: {problem}", ended.ending.name))
        });
        matrix::problem(self).into_iter().chain(ended).collect()
    }

    /// Boots `kernel` in several environments, with all endings; the names of the runs begin with `prefix`.
    pub fn of_all(
        environments: impl IntoIterator<Item = Environment>,
        prefix: &str,
        kernel: &Kernel,
        roms: &mut Roms,
        toolchain: &Toolchain,
    ) -> Result<Vec<Self>> {
        let mut runs = Vec::new();
        for environment in environments {
            runs.push((environment, roms.beneath(&toolchain.compiler, &environment)?));
        }
        let outcomes = parallel::map(runs, |(environment, beneath)| {
            let name = format!("{prefix}-{}", environment.name);
            eprintln!("booting {name}");
            let mut outcome = Self::of(environment, &name, kernel, &beneath, &toolchain.emulator)?;
            if environment.is_whole() {
                outcome.end(&name, kernel, &beneath, &toolchain.emulator)?;
            }
            Ok(outcome)
        });
        outcomes.into_iter().collect()
    }

    /// Whether nothing at all is wrong.
    pub fn is_good(&self) -> bool {
        let no_failure = self.report.failures().next().is_none();
        no_failure && self.problems().is_empty() && self.matrix_problems().is_empty()
    }
}

#[cfg(test)]
pub mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::environment;

    /// An outcome of a run in the named environment.
    pub fn outcome(name: &str, serial: &str, debug: &[u8], ending: Stop) -> Outcome {
        let environment =
            environment::all().into_iter().find(|environment| environment.name == name).unwrap();
        let run = Run {
            ending,
            triple_fault: false,
            serial: serial.to_owned(),
            debug: debug.to_owned(),
            messages: String::new(),
            directory: PathBuf::new(),
        };
        let report = Report::parse(serial);
        Outcome { environment, hash: String::new(), run, report, endings: Vec::new() }
    }

    const NATIVE: &str = "@kernel k 1\n@backend native no ROM\n@check a ok\n@end 1 0\n";
    const VMI: &str = "@kernel k 1\n@backend vmi rom=000c3000\n@check a ok\n@end 1 0\n";

    /// Whether nothing is wrong with a run by itself.
    fn is_sound(outcome: &Outcome) -> bool {
        outcome.problems().is_empty() && outcome.report.failures().next().is_none()
    }

    #[test]
    fn a_good_run_has_no_problems() {
        let traced =
            format!("{VMI}@call 30 CALL_REL 000c3000 1\n@call 33 JUMP_REL 000c3010 1\n@call 65 NOP - 1\n");
        assert!(is_sound(&outcome("native", NATIVE, &[], Stop::PASSED)));
        assert!(is_sound(&outcome("rom", VMI, &[], Stop::PASSED)));
        assert!(is_sound(&outcome("rom-off", NATIVE, &[], Stop::PASSED)));
        assert!(is_sound(&outcome("rom-trace", &traced, &[30, 33], Stop::PASSED)));
        assert!(!outcome("rom", VMI, &[], Stop::PASSED).is_good(), "no call was checked");
    }

    #[test]
    fn the_wrong_backend_is_a_problem() {
        assert!(!is_sound(&outcome("native", VMI, &[], Stop::PASSED)));
        assert!(!is_sound(&outcome("rom", NATIVE, &[], Stop::PASSED)));
    }

    #[test]
    fn a_site_that_is_not_as_the_rom_wants_it_is_a_problem() {
        let sites = "@site 00100000 30 3e3e3e3efa e800000000\n@site 00100005 30 3e3e3e3efa 3e3e3e3efa\n";
        let answer = |kind| format!("{VMI}@call 30 {kind} - 2\n");
        for (name, log) in [("native", NATIVE), ("rom", &answer("CALL_REL")), ("rom", &answer("NONE"))] {
            let problems = outcome(name, &format!("{sites}{log}"), &[], Stop::PASSED).problems();
            assert_eq!(problems[0], "1 of 2 sites are not as the ROM's answers want them");
        }
        let log = format!("{sites}{}", answer("NOP"));
        assert!(outcome("rom", &log, &[], Stop::PASSED).problems().is_empty());
    }

    #[test]
    fn a_site_that_calls_where_it_should_hold_the_roms_code_is_a_problem() {
        let log = |after: &str| {
            format!("{VMI}@site 00100000 30 3e3e3e3e3e3e3efa {after}\n@call 30 CALL_REL 000cc200 1\n")
        };
        let (called, inline) = (log("e8000000008d7600"), log("36c60501fcc0ff00"));
        for (name, log, is_good) in [
            ("rom", &called, true),
            ("rom", &inline, false),
            ("hypervisor-calls", &called, true),
            ("hypervisor-calls", &inline, false),
            ("hypervisor", &called, false),
            ("hypervisor", &inline, true),
        ] {
            let problem = outcome(name, log, &[], Stop::PASSED).inline_problem();
            assert_eq!(problem.is_none(), is_good, "{name}: {problem:?}");
        }
    }

    #[test]
    fn a_call_that_misses_the_tracing_rom_is_a_problem() {
        let log = format!(
            "{VMI}@call 30 CALL_REL 000c3000 1\n@call 35 CALL_REL 000c3020 1\n@call 36 CALL_REL 000c3040 0\n"
        );
        let problems = outcome("rom-trace", &log, &[30], Stop::PASSED).problems();
        assert_eq!(problems, ["Halt did not go through the ROM"]);
        let mut outcome = outcome("rom-trace", &log, &[30, 35], Stop::PASSED);
        assert!(outcome.problems().is_empty());
        let ended = |debug: &[u8]| {
            ending::ALL.map(|ending| Ended { ending, problems: vec![], debug: debug.to_owned() }).to_vec()
        };
        outcome.endings = ended(&[]);
        assert_eq!(outcome.problems(), ["Reboot did not go through the ROM"]);
        outcome.endings = ended(&[36]);
        assert!(outcome.problems().is_empty());
    }

    #[test]
    fn a_call_that_reaches_the_rom_natively_is_a_problem() {
        let problems = outcome("rom-off", NATIVE, &[30], Stop::PASSED).problems();
        assert_eq!(problems, ["1 bytes at the debug port, where no ROM should have been called"]);
    }

    #[test]
    fn an_end_that_contradicts_the_checks_is_a_problem() {
        let failed = NATIVE.replace("a ok", "a fail x").replace("1 0", "0 1");
        assert!(outcome("native", &failed, &[], Stop::FAILED).problems().is_empty());
        assert!(!is_sound(&outcome("native", &failed, &[], Stop::FAILED)));
        assert!(!outcome("native", &failed, &[], Stop::PASSED).problems().is_empty());
        for ending in [Stop::FAILED, Stop::PANICKED, Stop::Emulator(Some(0))] {
            assert!(!outcome("native", NATIVE, &[], ending).problems().is_empty());
        }
    }

    #[test]
    fn a_run_without_checks_is_a_problem() {
        let log = NATIVE.replace("@check a ok\n", "").replace("1 0", "0 0");
        assert_eq!(outcome("native", &log, &[], Stop::PASSED).problems(), ["the kernel ran no check"]);
    }

    #[test]
    fn an_activation_error_is_a_problem() {
        let log = format!("@error site\n{NATIVE}");
        let problems = outcome("native", &log, &[], Stop::PASSED).problems();
        assert_eq!(problems, ["activation failed: site"]);
    }
}
