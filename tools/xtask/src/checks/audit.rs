//! What `vmi-audit` says about the project's own kernels.
//!
//! Outside their sites they do nothing that a hypervisor cannot follow, but for what their allow-list names and
//! explains. What is planted is found.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use vmi_audit::allow::AllowList;
use vmi_audit::audit::{Audit, Finding as Found, Options, What};
use vmi_audit::map::Content;
use vmi_audit::report;
use vmi_audit::rule::Effect;
use vmi_audit::site::Cpu;

use crate::artifact::{self, Package};
use crate::kernel::Kernel;
use crate::process;
use crate::suite::Finding;
use crate::toolchain::Compiler;

/// The allow-list of the example kernel.
const ALLOW: &str = "examples/kernel/audit.allow";

/// The section that must be among those that are looked at.
const TEXT: &str = ".text";

/// The functions with a raw `popf` each, and a part of the path of their sources.
const PLANTED: [(&str, &str); 3] = [
    ("planted_in_assembly", ""),
    ("planted_in_c", "planted.c"),
    ("planted_in_rust", "tests/audit/src/main.rs"),
];

/// The allow-list of the example kernel, read.
pub fn allow_list() -> Result<AllowList> {
    let path = artifact::workspace().join(ALLOW);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    AllowList::parse(&text).with_context(|| ALLOW.to_owned())
}

/// Audits both builds of the kernel: a finding for each site, for each section, and for each entry of the list.
pub fn kernels(compiler: &Compiler) -> Result<Vec<Finding>> {
    let allow = allow_list()?;
    let mut findings = Vec::new();
    for package in [Package::KERNEL, Package::INDIRECT_KERNEL] {
        let kernel = Kernel::read(&artifact::build(compiler, package)?.path)?;
        let parsed = kernel.parse()?;
        let audit = Audit::new(&parsed, &kernel.data, Options { cpu: Cpu::I386, allow: &allow });
        let has_sites = package == Package::KERNEL;
        ensure!(parsed.code.iter().any(|section| section.name == TEXT), "the kernel has no {TEXT}");
        ensure!(has_sites != kernel.sites.is_empty(), "{} sites", kernel.sites.len());
        ensure!(has_sites == (audit.counts.through_table == 0), "{:?}", audit.counts);
        ensure!(audit.lines.is_none(), "{:?}", audit.lines);
        // Whatever is not looked at cannot be found.
        ensure!(audit.map.bytes(Content::Data) == 0, "the kernel has data in its text");
        findings.extend(of_sites(&audit, package));
        findings.extend(of_sections(&audit, package));
        findings.extend(of_entries(&audit, package));
    }
    Ok(findings)
}

fn of_sites(audit: &Audit<'_>, package: Package) -> impl Iterator<Item = Finding> {
    audit.sites.sites.iter().map(move |checked| {
        let (call, address) = (checked.site.form.call, checked.site.address);
        let name =
            format!("{}: {call} site at {address:08x} in {}", package.title(), audit.kernel.place(address));
        let defects = audit.sites.defects.iter().filter(|defect| defect.index == checked.index);
        Finding::new(name, &defects.map(ToString::to_string).collect::<Vec<_>>())
    })
}

fn of_sections(audit: &Audit<'_>, package: Package) -> impl Iterator<Item = Finding> {
    audit.kernel.code.iter().map(move |section| {
        let range = section.range();
        let open =
            audit.findings.iter().filter(|found| !found.is_excused() && range.contains(&found.address));
        let complaints: Vec<_> = open.map(|found| describe(audit, found)).collect();
        Finding::new(format!("{}: section {}", package.title(), section.name), &complaints)
    })
}

/// The entries of the list are those that the patched kernel needs; the other build needs some of them.
fn of_entries(audit: &Audit<'_>, package: Package) -> impl Iterator<Item = Finding> {
    let entries = audit.allow.entries.iter().enumerate();
    entries.filter(move |_| package == Package::KERNEL).map(|(index, entry)| {
        let complaint = audit.unused.contains(&index).then(|| "it allows nothing".to_owned());
        Finding::new(format!("{ALLOW}: {}", entry.place), complaint.as_slice())
    })
}

/// A finding in one line.
fn describe(audit: &Audit<'_>, found: &Found) -> String {
    let line = found.line.as_ref().map_or(String::new(), |line| format!(", {line}"));
    format!("{:08x} {} in {}{line}", found.address, found.text(), audit.kernel.place(found.address))
}

/// Audits the kernel with planted instructions: all three are found, with the reason, and nothing else.
pub fn planted(compiler: &Compiler) -> Result<Vec<Finding>> {
    let kernel = Kernel::read(&artifact::build(compiler, Package::PLANTED)?.path)?;
    let parsed = kernel.parse()?;
    let allow = AllowList::default();
    let audit = Audit::new(&parsed, &kernel.data, Options { cpu: Cpu::I386, allow: &allow });
    let mut findings = Vec::new();
    for (name, source) in PLANTED {
        let is_there = |found: &&Found| audit.kernel.place(found.address).split('+').next() == Some(name);
        let complaint = match &audit.open().filter(is_there).collect::<Vec<_>>()[..] {
            [found] => complaint(found, source),
            found => Some(format!("{} findings: {found:?}", found.len())),
        };
        findings.push(Finding::new(format!("raw popf, {name}"), complaint.as_slice()));
    }
    let is_planted = |found: &&Found| audit.kernel.place(found.address).starts_with("planted_");
    let others: Vec<_> =
        audit.open().filter(|found| !is_planted(found)).map(|found| describe(&audit, found)).collect();
    findings.push(Finding::new("nothing else", &others));
    Ok(findings)
}

/// How many damaged files are audited.
const DAMAGED: u64 = 400;

/// Audits damaged copies of the kernel with planted instructions, which has symbols and debug information of two
/// compilers: each gives a report, or one line that says why not. Compressed debug information is read as well.
pub fn damaged(compiler: &Compiler) -> Result<Vec<Finding>> {
    let built = artifact::build(compiler, Package::PLANTED)?.path;
    let data = fs::read(&built)?;
    let mut random = Random(1);
    let (mut audited, mut refused) = (0, 0);
    for round in 0..DAMAGED {
        let mut damaged = data.clone();
        // The headers of sections stand at the end, that of the file at the start.
        let places = match round % 3 {
            0 => 0..52,
            1 => data.len() - HEADERS..data.len(),
            _ => 0..data.len(),
        };
        for _ in 0..=random.below(8) {
            let place = places.start + random.below(places.len());
            damaged[place] = random.below(256) as u8;
        }
        if round % 10 == 9 {
            damaged.truncate(random.below(data.len()));
        }
        match survive(&damaged) {
            Ok(()) => audited += 1,
            Err(reason) => {
                ensure!(!reason.contains('\n'), "{reason:?}");
                refused += 1;
            }
        }
    }
    let complaint = (audited < 50 || refused < 50).then(|| format!("{audited} audited, {refused} refused"));
    let mut findings = vec![Finding::new(format!("{DAMAGED} damaged kernels"), complaint.as_slice())];
    let compressed = artifact::target_directory()?.join("planted-compressed");
    let mut objcopy = Command::new("objcopy");
    process::output(objcopy.arg("--compress-debug-sections=zlib-gabi").arg(&built).arg(&compressed))?;
    let data = fs::read(&compressed)?;
    let kernel = vmi_audit::Kernel::parse(&data)?;
    let allow = AllowList::default();
    let audit = Audit::new(&kernel, &data, Options { cpu: Cpu::I386, allow: &allow });
    let with_lines = audit.open().filter(|found| found.line.is_some()).count();
    let complaint = (audit.lines.is_some() || with_lines < 2).then(|| format!("{:?}", audit.lines));
    findings.push(Finding::new("compressed debug information", complaint.as_slice()));
    Ok(findings)
}

/// The end of an ELF file in which the headers of its sections are.
const HEADERS: usize = 800;

/// Audits bytes, and makes all reports.
fn survive(data: &[u8]) -> Result<(), String> {
    let kernel = vmi_audit::Kernel::parse(data).map_err(|error| error.to_string())?;
    let allow = AllowList::default();
    let audit = Audit::new(&kernel, data, Options { cpu: Cpu::I386, allow: &allow });
    report::text::audit(&audit).map_err(|error| error.to_string())?;
    report::json::report(&audit, None).map_err(|error| error.to_string())?;
    Ok(())
}

/// The same numbers in every run: a xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        for (left, count) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << count } else { self.0 >> count };
        }
        (self.0 % end as u64) as usize
    }
}

/// What is wrong with a finding that should be a `popf` from a source.
fn complaint(found: &Found, source: &str) -> Option<String> {
    let rule = match &found.what {
        What::Instruction(_, rule) => rule,
        What::Undecodable => return Some("it does not decode".to_owned()),
    };
    let is_popf = found.mnemonic() == "popfd" && rule.effect == Effect::Ignored && rule.reason.contains("IF");
    let is_replaced = rule.replacement.to_string().contains("32 SetInterruptMask (irq::restore)");
    let has_line = source.is_empty() || found.line.as_ref().is_some_and(|line| line.file.ends_with(source));
    (!is_popf || !is_replaced || !has_line).then(|| format!("it is taken for {found:?}"))
}
