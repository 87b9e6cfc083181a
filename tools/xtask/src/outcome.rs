//! What became of the kernel in one environment, and what is wrong with that.

use std::fs;

use anyhow::{Result, ensure};
use paravirt_vmi_abi::Call;

use crate::elf::{self, Kernel};
use crate::environment::{Environment, Roms, TRACED};
use crate::parallel;
use crate::protocol::Report;
use crate::qemu::{Machine, Run, Stop};
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
}

impl Outcome {
    /// Boots `kernel` in `environment`; `name` tells this run from others.
    pub fn of(
        environment: Environment,
        name: &str,
        kernel: &Kernel,
        roms: &[&[u8]],
        emulator: &Emulator,
    ) -> Result<Self> {
        let mut machine = Machine::new(name, &kernel.path);
        machine.command_line = environment.command_line;
        machine.roms = roms.to_vec();
        let hash = elf::hash(&fs::read(&kernel.path)?);
        ensure!(hash == kernel.hash, "{} changed while it was in use", kernel.path.display());
        let run = machine.run(emulator)?;
        let report = Report::parse(&run.serial);
        Ok(Self { environment, hash, run, report })
    }

    /// How often a call wrote its number to the debug port.
    pub fn traced(&self, call: Call) -> usize {
        self.run.debug.iter().filter(|&&byte| u32::from(byte) == call.number()).count()
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
        problems.extend(self.site_problem());
        problems.extend(self.trace_problems());
        problems
    }

    /// Under VMI the sites of every call that the ROM provides are patched, natively none.
    fn site_problem(&self) -> Option<String> {
        let sites = &self.report.sites;
        let is_provided = |call| self.report.calls.iter().any(|r| r.call == call && r.kind != "NONE");
        let wrong: Vec<_> = sites
            .iter()
            .filter(|site| (site.before != site.after) != (self.environment.is_vmi && is_provided(site.call)))
            .collect();
        let first = wrong.first()?;
        let (address, call) = (first.address, first.call);
        let is = if first.before == first.after { "native" } else { "patched" };
        let count = wrong.len();
        Some(format!(
            "{count} of {} sites are not as they should be: {call} at {address:08x} is {is}",
            sites.len()
        ))
    }

    /// What the debug port says about calls that should or should not go through the ROM.
    fn trace_problems(&self) -> Vec<String> {
        let Environment { rom, is_vmi, .. } = self.environment;
        let debug = &self.run.debug;
        if is_vmi && rom.is_some_and(|flavour| flavour.trace) {
            let missing = TRACED.iter().filter(|call| self.traced(**call) == 0);
            return missing.map(|call| format!("{call} did not go through the ROM")).collect();
        }
        if debug.is_empty() {
            return Vec::new();
        }
        vec![format!("{} bytes at the debug port, where no ROM should have been called", debug.len())]
    }

    /// Boots `kernel` in several environments; the names of the runs begin with `prefix`.
    pub fn of_all(
        environments: impl IntoIterator<Item = Environment>,
        prefix: &str,
        kernel: &Kernel,
        roms: &mut Roms,
        toolchain: &Toolchain,
    ) -> Result<Vec<Self>> {
        let mut runs = Vec::new();
        for environment in environments {
            runs.push((environment, roms.of(&toolchain.compiler, &environment)?));
        }
        let outcomes = parallel::map(runs, |(environment, rom)| {
            let name = format!("{prefix}-{}", environment.name);
            eprintln!("booting {name}");
            let roms: Vec<_> = rom.iter().map(Vec::as_slice).collect();
            Self::of(environment, &name, kernel, &roms, &toolchain.emulator)
        });
        outcomes.into_iter().collect()
    }

    /// Whether nothing at all is wrong.
    pub fn is_good(&self) -> bool {
        self.problems().is_empty() && self.report.failures().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::environment::ALL;

    /// An outcome of a run in the named environment.
    fn outcome(name: &str, serial: &str, debug: &[u8], ending: Stop) -> Outcome {
        let environment = ALL.into_iter().find(|environment| environment.name == name).unwrap();
        let run = Run {
            ending,
            serial: serial.to_owned(),
            debug: debug.to_owned(),
            messages: String::new(),
            directory: PathBuf::new(),
        };
        let report = Report::parse(serial);
        Outcome { environment, hash: String::new(), run, report }
    }

    const NATIVE: &str = "@kernel k 1\n@backend native no ROM\n@check a ok\n@end 1 0\n";
    const VMI: &str = "@kernel k 1\n@backend vmi rom=000c3000\n@check a ok\n@end 1 0\n";

    #[test]
    fn a_good_run_has_no_problems() {
        assert!(outcome("native", NATIVE, &[], Stop::PASSED).is_good());
        assert!(outcome("rom", VMI, &[], Stop::PASSED).is_good());
        assert!(outcome("rom-off", NATIVE, &[], Stop::PASSED).is_good());
        assert!(outcome("rom-trace", VMI, &[29, 30, 31, 32, 33, 34, 35], Stop::PASSED).is_good());
    }

    #[test]
    fn the_wrong_backend_is_a_problem() {
        assert!(!outcome("native", VMI, &[], Stop::PASSED).is_good());
        assert!(!outcome("rom", NATIVE, &[], Stop::PASSED).is_good());
    }

    #[test]
    fn a_site_that_is_patched_natively_or_native_under_vmi_is_a_problem() {
        let sites = "@site 00100000 30 3e3e3e3efa e800000000\n@site 00100005 30 3e3e3e3efa 3e3e3e3efa\n";
        let call = "@call 30 CALL_REL c00c3100 2\n";
        for (name, log, wrong) in
            [("native", NATIVE, "00100000 is patched"), ("rom", VMI, "00100005 is native")]
        {
            let problems = outcome(name, &format!("{call}{sites}{log}"), &[], Stop::PASSED).problems();
            let wrong = format!("1 of 2 sites are not as they should be: DisableInterrupts at {wrong}");
            assert_eq!(problems, [wrong]);
        }
        let native = "@call 30 NONE - 1\n@site 00100005 30 3e3e3e3efa 3e3e3e3efa\n";
        assert!(outcome("rom", &format!("{native}{VMI}"), &[], Stop::PASSED).is_good());
    }

    #[test]
    fn a_call_that_misses_the_tracing_rom_is_a_problem() {
        let problems = outcome("rom-trace", VMI, &[29, 30, 31, 32, 33, 34], Stop::PASSED).problems();
        assert_eq!(problems, ["Halt did not go through the ROM"]);
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
        assert!(!outcome("native", &failed, &[], Stop::FAILED).is_good());
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
