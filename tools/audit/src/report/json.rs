//! What was found, as JSON for programs. The README says what the fields mean; their names and meanings change with
//! [`VERSION`] alone.

use paravirt_vmi_abi::Call;
use serde::Serialize;

use crate::audit::{Audit, Finding, Status, What};
use crate::disassembly;
use crate::map::Content;
use crate::patched::Patched;
use crate::rule::Effect;
use crate::site::{Defect, Hex};

/// The version of the format.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    clean: bool,
    findings: Vec<FindingRow<'a>>,
    sites: SiteRows<'a>,
    unused_allowances: Vec<EntryRow<'a>>,
    counts: CountRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_lines: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patched: Option<PatchedRow<'a>>,
}

#[derive(Serialize)]
struct FindingRow<'a> {
    address: u32,
    length: u32,
    status: &'static str,
    mnemonic: String,
    text: String,
    place: String,
    section: &'a str,
    classified: bool,
    effect: Option<Effect>,
    reason: Option<&'static str>,
    calls: Vec<CallRow>,
    advice: Option<&'static str>,
    file: Option<&'a str>,
    line: Option<u32>,
    allowed_by: Option<EntryRow<'a>>,
}

#[derive(Serialize)]
struct CallRow {
    number: u32,
    name: &'static str,
    function: String,
}

#[derive(Serialize)]
struct EntryRow<'a> {
    line: usize,
    place: String,
    reason: &'a str,
}

#[derive(Serialize)]
struct SiteRows<'a> {
    records: usize,
    native: usize,
    defects: Vec<DefectRow<'a>>,
}

#[derive(Serialize)]
struct DefectRow<'a> {
    record: usize,
    record_address: u32,
    address: Option<u32>,
    call: Option<&'a str>,
    defect: &'static str,
    text: String,
}

#[derive(Serialize)]
struct CountRow {
    instructions: u64,
    code: u64,
    data: u64,
    unclassified: u64,
    filling: u64,
    undecodable: u64,
    through_table: u64,
}

#[derive(Serialize)]
struct PatchedRow<'a> {
    generation: String,
    rom: u32,
    calls: Vec<RelocationRow>,
    sites: Vec<PatchRow<'a>>,
}

#[derive(Serialize)]
struct RelocationRow {
    number: u32,
    name: &'static str,
    relocation: String,
    target: Option<u32>,
    sites: usize,
}

#[derive(Serialize)]
struct PatchRow<'a> {
    address: u32,
    call: &'a str,
    before: String,
    after: String,
    text: String,
    place: String,
}

/// The report, and what the patcher would make of the sites.
///
/// # Errors
///
/// None that a caller can cause.
pub fn report(audit: &Audit<'_>, patched: Option<&Patched>) -> Result<String, serde_json::Error> {
    let report = Report {
        version: VERSION,
        clean: audit.is_clean(),
        findings: audit.findings.iter().map(|finding| row(audit, finding)).collect(),
        sites: SiteRows {
            records: audit.sites.records,
            native: audit.sites.native_ranges().len(),
            defects: audit.sites.defects.iter().map(defect).collect(),
        },
        unused_allowances: audit.unused.iter().map(|index| entry(audit, *index)).collect(),
        counts: CountRow {
            instructions: audit.counts.instructions,
            code: audit.map.bytes(Content::Code),
            data: audit.map.bytes(Content::Data),
            unclassified: audit.map.bytes(Content::Unclassified),
            filling: audit.counts.filling,
            undecodable: audit.counts.undecodable,
            through_table: audit.counts.through_table,
        },
        no_lines: audit.lines.as_ref().map(ToString::to_string),
        patched: patched.map(|patched| patched_row(audit, patched)),
    };
    serde_json::to_string_pretty(&report)
}

fn row<'a>(audit: &'a Audit<'_>, finding: &'a Finding) -> FindingRow<'a> {
    let (kernel, address) = (audit.kernel, finding.address);
    let rule = match &finding.what {
        What::Instruction(_, rule) => Some(rule),
        What::Undecodable => None,
    };
    let advice = rule.and_then(|rule| match rule.replacement {
        crate::rule::Replacement::Advice(text) => Some(text),
        crate::rule::Replacement::Calls(..) => None,
    });
    FindingRow {
        address,
        length: finding.length,
        status: match finding.status {
            Status::Open => "open",
            Status::Allowed(_) => "allowed",
            Status::Stub(_) => "native-stub",
            Status::Unclassified => "unclassified",
        },
        mnemonic: finding.mnemonic(),
        text: finding.text(),
        place: kernel.place(address),
        section: kernel.section_at(address).map_or("", |index| kernel.code[index].name),
        classified: finding.content == Content::Code,
        effect: finding.effect(),
        reason: rule.map(|rule| rule.reason),
        calls: rule.iter().flat_map(|rule| rule.replacement.calls()).map(call).collect(),
        advice,
        file: finding.line.as_ref().map(|line| &*line.file),
        line: finding.line.as_ref().map(|line| line.number),
        allowed_by: match finding.status {
            Status::Allowed(index) => Some(entry(audit, index)),
            _ => None,
        },
    }
}

fn call(call: Call) -> CallRow {
    CallRow { number: call.number(), name: call.name(), function: crate::rule::function(call) }
}

fn entry<'a>(audit: &'a Audit<'_>, index: usize) -> EntryRow<'a> {
    let entry = &audit.allow.entries[index];
    EntryRow { line: entry.line, place: entry.place.to_string(), reason: &entry.reason }
}

fn defect(defect: &Defect) -> DefectRow<'_> {
    DefectRow {
        record: defect.index,
        record_address: defect.record,
        address: defect.site.map(|(address, _)| address),
        call: defect.site.map(|(_, call)| call.name()),
        defect: defect.kind.name(),
        text: defect.kind.to_string(),
    }
}

fn patched_row<'a>(audit: &'a Audit<'_>, patched: &'a Patched) -> PatchedRow<'a> {
    PatchedRow {
        generation: patched.generation.to_string(),
        rom: patched.base,
        calls: patched
            .calls
            .iter()
            .map(|report| RelocationRow {
                number: report.call.number(),
                name: report.call.name(),
                relocation: report.relocation.kind.to_string(),
                target: report.relocation.branch_target(),
                sites: report.sites,
            })
            .collect(),
        sites: patched
            .sites
            .iter()
            .map(|report| PatchRow {
                address: report.address,
                call: report.call.name(),
                before: Hex(report.native.as_slice()).to_string(),
                after: Hex(report.planned.as_slice()).to_string(),
                text: disassembly::patched_line(report.planned.as_slice(), report.address),
                place: audit.kernel.place(report.address),
            })
            .collect(),
    }
}
