//! A kernel without any site links, boots, and says so under a sound ROM.

use anyhow::Result;

use crate::artifact::{self, Package};
use crate::environment::Roms;
use crate::kernel::Kernel;
use crate::protocol::Report;
use crate::qemu::{Machine, Stop};
use crate::rom::Flavour;
use crate::suite::Finding;
use crate::toolchain::Toolchain;

/// Boots the kernel without sites, without a ROM and with one.
pub fn siteless(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    let kernel = Kernel::read(&artifact::build(&toolchain.compiler, Package::SITELESS)?.path)?;
    let sites = kernel.sites.len();
    let complaint = (sites > 0).then(|| format!("it has {sites} sites"));
    let mut findings = vec![Finding::new("siteless has no site", complaint.as_slice())];
    let rom = roms.image(&toolchain.compiler, Flavour::default())?;
    for (name, rom) in [("siteless-native", None), ("siteless-rom", Some(rom.bytes()))] {
        let mut machine = Machine::new(name, &kernel.path);
        machine.roms.extend(rom);
        let run = machine.run(&toolchain.emulator)?;
        let report = Report::parse(&run.serial);
        let mut complaints = report.defects();
        if run.ending != Stop::PASSED {
            complaints.push(run.ending.describe());
        }
        if report.is_vmi() != rom.is_some() {
            complaints.push(format!("the wrong backend: {:?}", report.backend));
        }
        if report.figure("sites") != Some(0) {
            complaints.push("it does not say that it has no sites".to_owned());
        }
        if !complaints.is_empty() {
            eprint!("{}", run.log());
        }
        findings.push(Finding::new(name, &complaints));
    }
    Ok(findings)
}
