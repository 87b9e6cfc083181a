//! No store moves across a mask or an unmask, in the machine code of the package `codegen`.
//!
//! Each function `codegen_*` there stores 1, 2, 3 ... to `PROBE`, with sites between two stores. In the
//! object files both can be found exactly: a store by its relocation, a site by its record.

use std::fmt;
use std::fs;

use anyhow::{Context as _, Result, anyhow, ensure};
use iced_x86::{FlowControl, Instruction, OpKind};
use object::read::archive::ArchiveFile;
use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, Section, Symbol};
use paravirt_vmi::site::{NativeForm, SiteRecord};
use paravirt_vmi_abi::Call;

use crate::artifact::{self, Package};
use crate::suite::Finding;
use crate::toolchain::Compiler;
use vmi_audit::disassembly;

/// What the functions' names begin with.
const PREFIX: &str = "codegen_";

/// The variable that is stored to.
const PROBE: &str = "PROBE";

/// The section of the site records.
const SITES: &str = "vmi_sites";

/// The functions, and the calls between one store and the next.
const EXPECTED: [(&str, &[&[Call]]); 4] = [
    ("codegen_disable_enable", &[&[Call::DISABLE_INTERRUPTS], &[Call::ENABLE_INTERRUPTS]]),
    (
        "codegen_save_restore",
        &[&[Call::GET_INTERRUPT_MASK], &[Call::DISABLE_INTERRUPTS], &[Call::SET_INTERRUPT_MASK]],
    ),
    ("codegen_halt", &[&[Call::HALT]]),
    (
        "codegen_without_interrupts",
        &[&[Call::GET_INTERRUPT_MASK, Call::DISABLE_INTERRUPTS], &[Call::ENABLE_INTERRUPTS]],
    ),
];

/// What a function does, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// Stores a value to the probe.
    Store(u32),
    /// Has a site.
    Site(Call),
    /// Does something that makes the order of its instructions meaningless.
    Other(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(value) => write!(f, "store {value}"),
            Self::Site(call) => write!(f, "{call}"),
            Self::Other(text) => write!(f, "`{text}`"),
        }
    }
}

/// A site in an object file.
#[derive(Clone, Copy, Debug)]
struct Site {
    /// Offset in the section of the function.
    offset: u64,
    call: Call,
}

/// Looks at the machine code of each function.
pub fn codegen(compiler: &Compiler) -> Result<Vec<Finding>> {
    let mut functions = Vec::new();
    each_object(compiler, |file| {
        functions.extend(functions_of(file)?);
        Ok(())
    })?;
    for (name, _) in &functions {
        ensure!(EXPECTED.iter().any(|(expected, _)| expected == name), "nothing is expected of {name}");
    }
    Ok(EXPECTED
        .iter()
        .map(|(name, calls)| {
            let found = functions.iter().find(|(found, _)| found == name);
            Finding::new(*name, compare(found.map(|(_, events)| &**events), calls).as_slice())
        })
        .collect())
}

/// Looks at each object file of the package `codegen`.
pub(super) fn each_object(compiler: &Compiler, mut look: impl FnMut(&File<'_>) -> Result<()>) -> Result<()> {
    let path = artifact::build(compiler, Package::CODEGEN)?.path;
    let data = fs::read(&path)?;
    let archive = ArchiveFile::parse(&*data).context("the library is not an archive")?;
    for member in archive.members() {
        // An archive of Rust also holds metadata.
        if let Ok(file) = File::parse(member?.data(&*data)?) {
            look(&file)?;
        }
    }
    Ok(())
}

/// What is wrong with the events of a function.
fn compare(found: Option<&[Event]>, calls: &[&[Call]]) -> Option<String> {
    let Some(found) = found else {
        return Some("the library does not have it".to_owned());
    };
    let mut expected = vec![Event::Store(1)];
    for (value, calls) in (2..).zip(calls) {
        expected.extend(calls.iter().copied().map(Event::Site));
        expected.push(Event::Store(value));
    }
    let text = |events: &[Event]| events.iter().map(Event::to_string).collect::<Vec<_>>().join(", ");
    (found != expected).then(|| format!("found {}; expected {}", text(found), text(&expected)))
}

/// The functions of an object file, with what they do.
fn functions_of(file: &File<'_>) -> Result<Vec<(String, Vec<Event>)>> {
    let mut functions = Vec::new();
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or_default();
        if !name.starts_with(PREFIX) || !symbol.is_definition() {
            continue;
        }
        let index = symbol.section_index().with_context(|| format!("{name} has no section"))?;
        let section = file.section_by_index(index)?;
        let sites = sites_of(file, &section)?;
        functions.push((name.to_owned(), events(file, &section, &symbol, &sites)?));
    }
    Ok(functions)
}

/// The sites in a section with instructions.
fn sites_of(file: &File<'_>, text: &Section<'_, '_>) -> Result<Vec<Site>> {
    let mut sites = Vec::new();
    for section in file.sections().filter(|section| section.name() == Ok(SITES)) {
        let records = section.data()?;
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else { continue };
            let symbol = file.symbol_by_index(index)?;
            if symbol.section_index() != Some(text.index()) {
                continue;
            }
            let at = usize::try_from(offset)?;
            let record = records.get(at..at + size_of::<SiteRecord>()).context("a record is cut off")?;
            let [a, b, c, d, number] = *record else {
                return Err(anyhow!("a record is not of 5 bytes"));
            };
            // The relocation's addend stands in the field itself.
            let addend = if relocation.has_implicit_addend() {
                i64::from(i32::from_le_bytes([a, b, c, d]))
            } else {
                relocation.addend()
            };
            let call = Call::from_number(number.into());
            let call = call.with_context(|| format!("a record names call {number}"))?;
            let offset = symbol.address().wrapping_add_signed(addend);
            sites.push(Site { offset, call });
        }
    }
    Ok(sites)
}

/// What a function does, in the order of its instructions.
fn events(
    file: &File<'_>,
    section: &Section<'_, '_>,
    function: &Symbol<'_, '_>,
    sites: &[Site],
) -> Result<Vec<Event>> {
    let (start, size) = (function.address(), function.size());
    let code = section.data()?;
    let end = usize::try_from(start + size)?;
    let code = code.get(..end).context("a function does not lie in its section")?;
    let mut stores = Vec::new();
    for (offset, relocation) in section.relocations() {
        if let RelocationTarget::Symbol(index) = relocation.target()
            && file.symbol_by_index(index)?.name() == Ok(PROBE)
        {
            stores.push(offset);
        }
    }
    let mut events = Vec::new();
    let mut at = start;
    while at < end as u64 {
        if let Some(site) = sites.iter().find(|site| site.offset == at) {
            events.push(Event::Site(site.call));
            at += NativeForm::of(site.call).length() as u64;
            continue;
        }
        let rest = &code[usize::try_from(at)?..];
        let instruction = disassembly::first(rest, u32::try_from(at)?).context("the code is cut off")?;
        let next = instruction.next_ip();
        if stores.iter().any(|store| (at..next).contains(store)) {
            events.push(store(&instruction));
        } else if !keeps_order(&instruction, &stores) {
            events.push(Event::Other(disassembly::text(&instruction)));
        }
        at = next;
    }
    Ok(events)
}

/// Whether what comes behind an instruction is executed behind it, all stores included.
///
/// Branches may only lead forward, and not over a store: a site that is needed only if interrupts were
/// unmasked is skipped like that.
fn keeps_order(instruction: &Instruction, stores: &[u64]) -> bool {
    match instruction.flow_control() {
        FlowControl::Next | FlowControl::Return => true,
        FlowControl::ConditionalBranch => {
            let (next, target) = (instruction.next_ip(), instruction.near_branch_target());
            next <= target && !stores.iter().any(|store| (next..target).contains(store))
        }
        _ => false,
    }
}

/// An instruction that refers to the probe.
fn store(instruction: &Instruction) -> Event {
    if instruction.op0_kind() == OpKind::Memory && instruction.op1_kind() == OpKind::Immediate32 {
        Event::Store(instruction.immediate32())
    } else {
        Event::Other(disassembly::text(instruction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: &[&[Call]] = &[&[Call::DISABLE_INTERRUPTS], &[Call::ENABLE_INTERRUPTS]];

    #[test]
    fn stores_and_sites_in_the_order_of_the_source_are_accepted() {
        let site = Event::Site;
        let found = [
            Event::Store(1),
            site(Call::DISABLE_INTERRUPTS),
            Event::Store(2),
            site(Call::ENABLE_INTERRUPTS),
            Event::Store(3),
        ];
        assert_eq!(compare(Some(&found), CALLS), None);
    }

    #[test]
    fn a_moved_or_merged_store_is_refused() {
        let site = Event::Site;
        let moved = [
            site(Call::DISABLE_INTERRUPTS),
            Event::Store(1),
            Event::Store(2),
            site(Call::ENABLE_INTERRUPTS),
            Event::Store(3),
        ];
        assert!(compare(Some(&moved), CALLS).is_some());
        let merged = [site(Call::DISABLE_INTERRUPTS), site(Call::ENABLE_INTERRUPTS), Event::Store(3)];
        let complaint = compare(Some(&merged), CALLS).unwrap();
        assert!(complaint.starts_with("found DisableInterrupts, EnableInterrupts, store 3; "), "{complaint}");
        assert!(compare(None, CALLS).is_some());
    }

    #[test]
    fn a_branch_must_lead_forward_and_not_over_a_store() {
        // At 16: je 18 + displacement.
        let keeps = |displacement: u8, store| {
            let branch = disassembly::first(&[0x74, displacement], 16).unwrap();
            keeps_order(&branch, &[store])
        };
        assert!(keeps(5, 10) && keeps(5, 23));
        assert!(!keeps(5, 18) && !keeps(5, 22));
        assert!(!keeps(0xF0, 40));
        for other in [&[0xEB, 0x00][..], &[0xE8, 0, 0, 0, 0], &[0xCD, 0x80], &[0xFF, 0xE0]] {
            assert!(!keeps_order(&disassembly::first(other, 0).unwrap(), &[]), "{other:02x?}");
        }
    }

    #[test]
    fn only_a_store_of_a_constant_is_a_store() {
        let decode = |bytes: &[u8]| store(&disassembly::first(bytes, 0).unwrap());
        assert_eq!(decode(&[0xC7, 0x05, 0, 0, 0, 0, 2, 0, 0, 0]), Event::Store(2));
        assert!(matches!(decode(&[0xA3, 0, 0, 0, 0]), Event::Other(_)));
        assert!(matches!(decode(&[0xA1, 0, 0, 0, 0]), Event::Other(_)));
    }
}
