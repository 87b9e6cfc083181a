//! What `vmi-audit` finds in a kernel of others, beside what `objdump` disassembles: the same instructions, with and
//! without symbols.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use vmi_audit::allow::AllowList;
use vmi_audit::audit::{Audit, Options, What};
use vmi_audit::site::Cpu;
use vmi_audit::table::Table;

use crate::artifact;
use crate::process;
use crate::suite::Finding;
use crate::toolchain::{Install, foreign};

/// The segment registers.
const SEGMENTS: [&str; 6] = ["cs", "ds", "es", "fs", "gs", "ss"];

/// Words in front of a mnemonic.
const PREFIXES: [&str; 17] = [
    "rep", "repz", "repnz", "repe", "repne", "lock", "cs", "ds", "es", "fs", "gs", "ss", "data16", "addr16",
    "bnd", "notrack", "{vex}",
];

/// Sensitive and privileged instructions as `objdump` spells them in Intel syntax, and as they are counted here.
/// Moves, pushes and pops are looked at by their operands.
const MNEMONICS: [(&str, &str); 52] = [
    ("arpl", "arpl"),
    ("clac", "clac"),
    ("cli", "cli"),
    ("clts", "clts"),
    ("cpuid", "cpuid"),
    ("hlt", "hlt"),
    ("in", "in"),
    ("ins", "ins"),
    ("invd", "invd"),
    ("invlpg", "invlpg"),
    ("iret", "iret"),
    ("iretw", "iret"),
    ("iretd", "iret"),
    ("lar", "lar"),
    ("lgdt", "lgdt"),
    ("lgdtd", "lgdt"),
    ("lgdtw", "lgdt"),
    ("lidt", "lidt"),
    ("lidtd", "lidt"),
    ("lidtw", "lidt"),
    ("lldt", "lldt"),
    ("lmsw", "lmsw"),
    ("lsl", "lsl"),
    ("lss", "lss"),
    ("ltr", "ltr"),
    ("monitor", "monitor"),
    ("mwait", "mwait"),
    ("out", "out"),
    ("outs", "outs"),
    ("popf", "popf"),
    ("popfw", "popf"),
    ("pushf", "pushf"),
    ("pushfw", "pushf"),
    ("rdmsr", "rdmsr"),
    ("rdpmc", "rdpmc"),
    ("rdtsc", "rdtsc"),
    ("rdtscp", "rdtsc"),
    ("sgdtd", "sgdt"),
    ("sgdt", "sgdt"),
    ("sidtd", "sidt"),
    ("sidt", "sidt"),
    ("sldt", "sldt"),
    ("smsw", "smsw"),
    ("stac", "stac"),
    ("sti", "sti"),
    ("str", "str"),
    ("sysexit", "sysexit"),
    ("verr", "verr"),
    ("verw", "verw"),
    ("wbinvd", "wbinvd"),
    ("wrmsr", "wrmsr"),
    ("xsetbv", "xsetbv"),
];

/// What is counted by itself: instructions that reach over a symbol.
const OVER_SYMBOL: &str = " (over a symbol)";

/// Addresses by what is there.
type Counts = BTreeMap<String, BTreeSet<u32>>;

/// Compares the two on a kernel with symbols, and on one without.
pub fn foreign(install: Install) -> Result<Vec<Finding>> {
    let directory = artifact::output_directory()?;
    fs::create_dir_all(&directory)?;
    let path = foreign::kernel(install, &directory)?;
    let stripped = directory.join("gnumach-stripped");
    process::output(Command::new("strip").arg("-o").arg(&stripped).arg(&path))?;
    let mut findings = Vec::new();
    for (name, path) in [("GNU Mach", &path), ("GNU Mach, stripped", &stripped)] {
        let (ours, theirs) = (audited(path)?, disassembled(path)?);
        eprintln!("{name}\n{}", table(&ours, &theirs));
        let mut kinds: BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
        // Nothing found by both of them would be no agreement.
        kinds.extend(["cli", "popf", "mov cr"].map(str::to_owned));
        for kind in kinds.into_iter().filter(|kind| !kind.ends_with(OVER_SYMBOL)) {
            let complaint = complaint(ours.get(&kind), theirs.get(&kind));
            findings.push(Finding::new(format!("{name}: {kind}"), complaint.as_slice()));
        }
    }
    Ok(findings)
}

/// What is wrong with what both have found.
fn complaint(ours: Option<&BTreeSet<u32>>, theirs: Option<&BTreeSet<u32>>) -> Option<String> {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return Some(format!("vmi-audit: {ours:x?}, objdump: {theirs:x?}"));
    };
    let [more, less] = [(ours, theirs), (theirs, ours)].map(|(one, other)| {
        one.difference(other).map(|address| format!("{address:08x}")).collect::<Vec<_>>()
    });
    let differs = !more.is_empty() || !less.is_empty();
    differs.then(|| format!("only vmi-audit: {more:?}, only objdump: {less:?}"))
}

/// How often each kind of instruction is there.
fn table(ours: &Counts, theirs: &Counts) -> Table {
    let mut table = Table::new(["instruction", "vmi-audit", "objdump"]);
    for kind in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let count = |counts: &Counts| counts.get(kind).map_or(0, BTreeSet::len).to_string();
        table.row([kind.clone(), count(ours), count(theirs)]);
    }
    table
}

/// What `vmi-audit` finds.
fn audited(path: &Path) -> Result<Counts> {
    let data = fs::read(path)?;
    let kernel = vmi_audit::Kernel::parse(&data).with_context(|| path.display().to_string())?;
    let allow = AllowList::default();
    let audit = Audit::new(&kernel, &data, Options { cpu: Cpu::I386, allow: &allow });
    let mut counts = Counts::new();
    for found in audit.findings.iter().filter(|found| matches!(found.what, What::Instruction(..))) {
        let mnemonic = found.mnemonic();
        let kind = match mnemonic.as_str() {
            "mov" | "push" | "pop" => by_operands(&found.text()).context("a move of nothing special")?,
            "insb" | "insw" | "insd" => "ins".to_owned(),
            "outsb" | "outsw" | "outsd" => "outs".to_owned(),
            "iretd" | "pushfd" | "popfd" => mnemonic.trim_end_matches('d').to_owned(),
            "rdtscp" => "rdtsc".to_owned(),
            _ => mnemonic,
        };
        // `objdump` ends an instruction at the next symbol, `vmi-audit` decodes all of it: a label may be in the middle.
        let inside = found.address + 1..found.address + found.length;
        let first = kernel.symbols.partition_point(|symbol| symbol.address < inside.start);
        let is_cut = kernel.symbols.get(first).is_some_and(|symbol| inside.contains(&symbol.address));
        let kind = if is_cut { format!("{kind}{OVER_SYMBOL}") } else { kind };
        counts.entry(kind).or_default().insert(found.address);
    }
    Ok(counts)
}

/// What `objdump` finds.
fn disassembled(path: &Path) -> Result<Counts> {
    let arguments = ["--disassemble", "--disassembler-options=intel", "--no-show-raw-insn"];
    let text = process::output(Command::new("objdump").args(arguments).arg(path))?;
    let mut counts = Counts::new();
    for (address, kind) in text.lines().filter_map(instruction) {
        counts.entry(kind).or_default().insert(address);
    }
    Ok(counts)
}

/// Reads a line like ` c0101234:<TAB>cli`: the address, and what is counted.
fn instruction(line: &str) -> Option<(u32, String)> {
    let (address, text) = line.split_once(":\t")?;
    let address = u32::from_str_radix(address.trim(), 16).ok()?;
    let mut words = text.split_whitespace().skip_while(|word| PREFIXES.contains(word));
    let mnemonic = words.next()?;
    let rest: Vec<_> = words.collect();
    // XSAVES and its like are privileged too.
    let kind = match mnemonic {
        "mov" | "push" | "pop" => by_operands(&format!("{mnemonic} {}", rest.join(" ")))?,
        "xsaves" | "xrstors" => mnemonic.to_owned(),
        _ => MNEMONICS.iter().find(|(name, _)| *name == mnemonic)?.1.to_owned(),
    };
    Some((address, kind))
}

/// What a move, push or pop is counted as, by its operands.
fn by_operands(text: &str) -> Option<String> {
    let (mnemonic, operands) = text.split_once(' ')?;
    let operands: Vec<_> = operands.split(',').map(str::trim).collect();
    let is_special = |operand: &str, kind: &str| {
        let number = operand.strip_prefix(kind);
        number.is_some_and(|number| number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match (mnemonic, &operands[..]) {
        ("push", [operand]) => SEGMENTS.contains(operand).then(|| "push seg".to_owned()),
        ("pop", [operand]) => (*operand == "ss").then(|| "pop ss".to_owned()),
        ("mov", [to, from]) => {
            let special =
                ["cr", "dr", "tr"].into_iter().find(|kind| is_special(to, kind) || is_special(from, kind));
            match special {
                Some(kind) => Some(format!("mov {kind}")),
                None if *to == "ss" => Some("mov ss".to_owned()),
                None => SEGMENTS.contains(from).then(|| "mov from seg".to_owned()),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_objdump_are_read() {
        let kind = |text: &str| instruction(&format!("c0101234:\t{text}")).map(|(_, kind)| kind);
        assert_eq!(instruction("  c0101234:\tcli"), Some((0xC010_1234, "cli".to_owned())));
        for (text, expected) in [
            ("ds ds cli", "cli"),
            ("rep ins DWORD PTR es:[edi],dx", "ins"),
            ("lgdtd  ds:0xc0101000", "lgdt"),
            ("mov    eax,cr0", "mov cr"),
            ("mov    dr7,eax", "mov dr"),
            ("mov    ss,eax", "mov ss"),
            ("mov    WORD PTR [eax],ds", "mov from seg"),
            ("push   cs", "push seg"),
            ("pop    ss", "pop ss"),
            ("popfw", "popf"),
        ] {
            assert_eq!(kind(text).as_deref(), Some(expected), "{text}");
        }
        for text in
            ["mov    eax,ds:0x1234", "push   eax", "pop    ds", "nop", "mov    ds,eax", "call   1234 <cli>"]
        {
            assert_eq!(kind(text), None, "{text}");
        }
        assert_eq!(instruction("c0101234 <cli>:"), None);
    }

    #[test]
    fn every_difference_is_a_complaint() {
        let set = |addresses: &[u32]| Some(addresses.iter().copied().collect::<BTreeSet<_>>());
        let complaint = |ours: Option<BTreeSet<u32>>, theirs: Option<BTreeSet<u32>>| {
            complaint(ours.as_ref(), theirs.as_ref())
        };
        assert_eq!(complaint(set(&[1, 2]), set(&[1, 2])), None);
        assert!(complaint(set(&[1, 2]), set(&[1])).unwrap().contains("only vmi-audit: [\"00000002\"]"));
        assert!(complaint(set(&[1]), set(&[1, 2])).unwrap().contains("only objdump: [\"00000002\"]"));
        assert!(complaint(None, set(&[1])).is_some() && complaint(None, None).is_some());
    }
}
