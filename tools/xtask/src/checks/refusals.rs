//! ROMs with one thing wrong, and a kernel with a damaged site.
//!
//! The kernel says what is wrong, goes on natively, and passes its own checks.

use std::mem::offset_of;

use anyhow::{Context as _, Result};
use paravirt_vmi_abi::{Call, RomHeader};

pub(super) use super::answers::Place;
use super::answers::{self, Answer};
use crate::artifact::{self, Package};
use crate::command::boot::complaint;
use crate::environment::{Beneath, Environment, Roms};
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::parallel;
use crate::protocol::Report;
use crate::rom::{Bend, Flavour, Generation, Image};
use crate::suite::Finding;
use crate::toolchain::Toolchain;

/// An option ROM of 512 bytes that does nothing: its entry returns, its bytes add up to 0.
const FILLER: [u8; 512] = {
    let mut bytes = [0; 512];
    bytes[0] = 0x55;
    bytes[1] = 0xAA;
    bytes[2] = 1;
    bytes[3] = 0xCB;
    bytes[511] = 0u8.wrapping_sub(0x55).wrapping_sub(0xAA).wrapping_sub(1).wrapping_sub(0xCB);
    bytes
};

/// Boots the kernel with each of the bent ROMs of two generations, and with a damaged site under a sound one.
pub fn refusals(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    let kernel = Kernel::read(&artifact::build(&toolchain.compiler, Package::KERNEL)?.path)?;
    let mut findings = Vec::new();
    for abi in [Generation::V3_0, Generation::V13_3] {
        let image = roms.image(&toolchain.compiler, Flavour { abi, ..Flavour::DEFAULT })?;
        findings.extend(bent(toolchain, &kernel, image)?);
    }
    let image = roms.image(&toolchain.compiler, Flavour::DEFAULT)?;
    let name = "refusal-corrupt-site";
    let outcome = run(toolchain, &kernel, name, "vmi=corrupt-site", false, &Beneath::roms(&[image.bytes()]))?;
    findings.push(judge(name.to_owned(), &answers::corrupt_site(&kernel)?, &outcome));
    Ok(findings)
}

/// Boots the kernel with an image bent in each way.
fn bent(toolchain: &Toolchain, kernel: &Kernel, image: &Image) -> Result<Vec<Finding>> {
    let place = Place::find(toolchain, kernel, image)?;
    let bends = Bend::of(image.generation());
    let bends = bends.into_iter().filter(|bend| answers::answer(*bend, place).is_some());
    let findings = parallel::map(bends, |bend| {
        let name = format!("refusal-{}-{}", image.generation().name(), bend.name());
        let is_vmi = answers::answer(bend, place) == Some(Answer::Used);
        let bent = image.bend(bend);
        // The longest length there is fits into the window if nothing lies in front of the ROM.
        let is_moved = bend == Bend::LengthBeyondWindow;
        let roms: Vec<_> = is_moved.then_some(&FILLER[..]).into_iter().chain([bent.bytes()]).collect();
        let beneath = Beneath { is_blind: is_moved, ..Beneath::roms(&roms) };
        let outcome = run(toolchain, kernel, &name, "", is_vmi, &beneath)?;
        let physical = if is_moved { rejected(&outcome.report) } else { None };
        let place = Place { physical: physical.unwrap_or(place.physical), ..place };
        let expected = answers::answer(bend, place).context("there is no answer")?;
        Ok(judge(format!("{name}: {}", bend.description()), &expected, &outcome))
    });
    findings.into_iter().collect()
}

/// One run of the kernel with an image.
pub(super) fn run(
    toolchain: &Toolchain,
    kernel: &Kernel,
    name: &str,
    command_line: &'static str,
    is_vmi: bool,
    beneath: &Beneath,
) -> Result<Outcome> {
    let flavour = Flavour::default();
    let environment =
        Environment { name: "refusal", rom: Some(flavour), hypervisor: None, command_line, is_vmi };
    Outcome::of(environment, name, kernel, beneath, &toolchain.emulator)
}

/// The address of the ROM that the kernel rejected.
fn rejected(report: &Report) -> Option<u32> {
    let (address, _) = report.backend.as_deref()?.strip_prefix("native ROM at ")?.split_once(':')?;
    u32::from_str_radix(address, 16).ok()
}

/// Compares what the kernel said with what it should have said.
fn judge(name: String, expected: &Answer, outcome: &Outcome) -> Finding {
    let Outcome { report, .. } = outcome;
    let (backend, errors) = match expected {
        Answer::Used => (report.backend.clone().unwrap_or_default(), vec![]),
        Answer::Native(reason) => (format!("native {reason}"), vec![]),
        Answer::Error(error) => ("native activation failed".to_owned(), vec![error.clone()]),
    };
    let mut complaints = outcome.defects();
    let found = report.backend.as_deref().unwrap_or("nothing");
    if found != backend {
        complaints.push(format!("the backend is\n  {found}, expected\n  {backend}"));
    }
    if report.errors != errors {
        complaints.push(format!("the errors are\n  {:?}, expected\n  {errors:?}", report.errors));
    }
    complaints.extend(report.failures().map(ToString::to_string));
    if !complaints.is_empty() {
        eprint!("{}", complaint(outcome));
    }
    Finding::new(name, &complaints)
}

impl Place {
    /// Learns it from a kernel that uses the sound ROM.
    pub(super) fn find(toolchain: &Toolchain, kernel: &Kernel, image: &Image) -> Result<Self> {
        let outcome = run(toolchain, kernel, "refusal-none", "", true, &Beneath::roms(&[image.bytes()]))?;
        let report = &outcome.report;
        let physical = report.backend_value("rom").context("the sound ROM was not used")?;
        let physical = u32::from_str_radix(physical, 16)?;
        let call = Call::DISABLE_INTERRUPTS;
        let target = report.calls.iter().find(|record| record.call == call);
        let target = target.and_then(|record| record.target).context("no relocation of a call")?;
        let entry = image.entry(call).context("the ROM does not have the call")?;
        let linear = target.wrapping_sub(u32::try_from(entry.offset)?);
        let length = u32::try_from(image.bytes().len())?;
        let word = |offset| u16::from_le_bytes([image.bytes()[offset], image.bytes()[offset + 1]]);
        let pci = word(offset_of!(RomHeader, pci_header_offset));
        let license = word(offset_of!(RomHeader, license_offset));
        Ok(Self { generation: image.generation(), physical, linear, length, pci, license })
    }
}
