//! What was found, as tables for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use paravirt_vmi::site::NativeCode;

use crate::audit::{Audit, Finding, Status, What};
use crate::disassembly;
use crate::map::Content;
use crate::patched::Patched;
use crate::rule::Effect;
use crate::site::Hex;
use crate::table::Table;

/// Everything that is wrong, then the summary.
pub fn audit(audit: &Audit<'_>) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let open: Vec<_> = audit.open().collect();
    if !open.is_empty() {
        writeln!(text, "{}", findings(audit, &open))?;
        writeln!(text, "{}", reasons(&open))?;
    }
    if !audit.sites.defects.is_empty() {
        writeln!(text, "sites")?;
        for defect in &audit.sites.defects {
            writeln!(text, "  {:08x}  {defect}", defect.record)?;
        }
        writeln!(text)?;
    }
    if !audit.unused.is_empty() {
        writeln!(text, "allow-list: entries that allow nothing")?;
        for index in &audit.unused {
            let entry = &audit.allow.entries[*index];
            writeln!(text, "  line {}: {}", entry.line, entry.place)?;
        }
        writeln!(text)?;
    }
    let unclassified: Vec<_> =
        audit.findings.iter().filter(|finding| finding.status == Status::Unclassified).collect();
    if !unclassified.is_empty() {
        writeln!(text, "no instructions, where nothing says that it is code")?;
        for finding in unclassified {
            let address = finding.address;
            writeln!(text, "  {address:08x}  {} in {}", finding.text(), audit.kernel.place(address))?;
        }
        writeln!(text)?;
    }
    text += &summary(audit);
    Ok(text)
}

/// The table of what should not be there.
fn findings(audit: &Audit<'_>, open: &[&Finding]) -> Table {
    let mut table = Table::new(["address", "instruction", "effect", "in", "replacement", "line"]);
    for finding in open {
        let replacement = match &finding.what {
            What::Instruction(_, rule) => rule.replacement.to_string(),
            What::Undecodable => "-".to_owned(),
        };
        table.row([
            format!("{:08x}", finding.address),
            finding.text(),
            finding.effect().map_or("no instruction", Effect::text).to_owned(),
            audit.kernel.place(finding.address),
            replacement,
            finding.line.as_ref().map_or("-".to_owned(), ToString::to_string),
        ]);
    }
    table
}

/// Why each kind of instruction should not be there, and how often it is.
fn reasons(open: &[&Finding]) -> Table {
    let mut kinds: BTreeMap<(String, Option<Effect>, &str), usize> = BTreeMap::new();
    for finding in open {
        let reason = match &finding.what {
            What::Instruction(_, rule) => rule.reason,
            What::Undecodable => "cannot be looked at: not code, or code that does not decode",
        };
        *kinds.entry((finding.mnemonic(), finding.effect(), reason)).or_default() += 1;
    }
    let mut table = Table::new(["what", "how often", "effect", "why"]);
    for ((mnemonic, effect, reason), count) in kinds {
        let effect = effect.map_or("no instruction", Effect::text);
        table.row([mnemonic, count.to_string(), effect.to_owned(), format!("it {reason}")]);
    }
    table
}

/// The summary.
fn summary(audit: &Audit<'_>) -> String {
    let mut table = Table::new(["summary", ""]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    let (kernel, counts) = (audit.kernel, &audit.counts);
    row("instructions outside sites", counts.instructions.to_string());
    row("bytes of code", audit.map.bytes(Content::Code).to_string());
    row("bytes of data, not decoded", audit.map.bytes(Content::Data).to_string());
    let unclassified = audit.map.bytes(Content::Unclassified);
    row("bytes that no symbol classifies", unclassified.to_string());
    row("... of these, filling", counts.filling.to_string());
    row("bytes that do not decode", counts.undecodable.to_string());
    row("site records", audit.sites.records.to_string());
    row("sites with their native form", audit.sites.native_ranges().len().to_string());
    row("native stubs", stubs(audit).to_owned());
    if kernel.calls.is_some() {
        row("branches through the table of calls", counts.through_table.to_string());
    }
    let with = |status: fn(&Status) -> bool| {
        audit.findings.iter().filter(|finding| status(&finding.status)).count().to_string()
    };
    row("found in native stubs", with(|status| matches!(status, Status::Stub(_))));
    row("found and allowed", with(|status| matches!(status, Status::Allowed(_))));
    for effect in Effect::ALL {
        let count = audit.open().filter(|finding| finding.effect() == Some(effect)).count();
        row(&format!("open: {effect}"), count.to_string());
    }
    row("open: no instruction", audit.open().filter(|found| found.effect().is_none()).count().to_string());
    row("defects of sites", audit.sites.defects.len().to_string());
    row("allow-list entries without use", audit.unused.len().to_string());
    let mut text = table.to_string();
    if let Some(error) = &audit.lines {
        text += &format!("\nno source lines: {error}\n");
    }
    if kernel.symbols.is_empty() {
        text += "\nno symbols: everything was decoded from the start of its section on\n";
    }
    text
}

/// Where the native stubs are known from.
fn stubs(audit: &Audit<'_>) -> &'static str {
    match audit.kernel.stubs {
        _ if !audit.sites.sites.iter().any(|checked| checked.site.form.code == NativeCode::Stub) => {
            "not used"
        }
        Some(_) => "from the kernel's table",
        None if audit.sites.stubs.iter().any(|stub| *stub != 0) => "inferred from the sites",
        None => "unknown",
    }
}

/// What the patcher makes of each call and each site.
pub fn patched(audit: &Audit<'_>, patched: &Patched) -> String {
    let mut calls = Table::new(["call", "name", "relocation", "target", "sites"]);
    for report in &patched.calls {
        let target = report.relocation.branch_target();
        calls.row([
            report.call.number().to_string(),
            report.call.name().to_owned(),
            report.relocation.kind.to_string(),
            target.map_or("-".to_owned(), |target| format!("{target:08x}")),
            report.sites.to_string(),
        ]);
    }
    let mut sites = Table::new(["address", "call", "before", "after", "was", "is", "in"]);
    for report in &patched.sites {
        let (before, after) = (report.native.as_slice(), report.planned.as_slice());
        sites.row([
            format!("{:08x}", report.address),
            report.call.name().to_owned(),
            Hex(before).to_string(),
            Hex(after).to_string(),
            disassembly::line(before, report.address),
            disassembly::patched_line(after, report.address),
            audit.kernel.place(report.address),
        ]);
    }
    let Patched { generation, base, .. } = patched;
    format!("patched for a ROM of generation {generation} at {base:08x}\n\n{calls}\n{sites}")
}
