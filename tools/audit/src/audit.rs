//! [`Audit`]: everything that was found in a kernel.

use std::collections::HashMap;
use std::ops::Range;

use iced_x86::{Instruction, Register};
use paravirt_vmi_abi::Call;

use crate::allow::{AllowList, Subject};
use crate::disassembly;
use crate::kernel::Kernel;
use crate::lines::{self, Line, LinesError};
use crate::map::{Content, Map};
use crate::rule::{Effect, Rule};
use crate::scan::{Item, scan};
use crate::site::{Cpu, Sites, is_filler};

/// How to audit a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The oldest processor that must be able to decode the padding in sites.
    pub cpu: Cpu,
    /// Where any instruction may stand.
    pub allow: &'a AllowList,
}

/// What was found in a kernel.
#[derive(Clone, Debug)]
pub struct Audit<'a> {
    /// The kernel.
    pub kernel: &'a Kernel<'a>,
    /// The allow-list.
    pub allow: &'a AllowList,
    /// What is code and what is data.
    pub map: Map,
    /// The sites, and what is wrong with them.
    pub sites: Sites,
    /// Instructions that should be calls, and bytes in code that are none, by address.
    pub findings: Vec<Finding>,
    /// The entries of the allow-list that allow nothing, by index.
    pub unused: Vec<usize>,
    /// What was counted.
    pub counts: Counts,
    /// Why there are no source lines; `None` if there are.
    pub lines: Option<LinesError>,
}

/// Something found at an address.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Linear address.
    pub address: u32,
    /// Length in bytes.
    pub length: u32,
    /// What is there.
    pub what: What,
    /// Whether a symbol says that it is code.
    pub content: Content,
    /// What to make of it.
    pub status: Status,
    /// The line of the source, if the debug information has it.
    pub line: Option<Line>,
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// An instruction with a rule.
    Instruction(Instruction, Rule),
    /// Bytes with which no instruction begins.
    Undecodable,
}

/// The word that stands for undecodable bytes where a mnemonic would.
pub const UNDECODABLE: &str = "undecodable";

/// What to make of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It should not be there.
    Open,
    /// An entry of the allow-list, by index, lets it be there.
    Allowed(usize),
    /// It is in the native stub of a call, which only sites reach that are not patched.
    Stub(Call),
    /// No symbol says that the bytes, which are no instruction, are code.
    Unclassified,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instructions decoded outside sites.
    pub instructions: u64,
    /// Bytes that no symbol says anything about, and that do nothing: what lies between functions.
    pub filling: u64,
    /// Bytes with which no instruction begins.
    pub undecodable: u64,
    /// Calls and jumps through the table of an `indirect` build.
    pub through_table: u64,
}

impl Finding {
    /// The mnemonic, as Intel writes it.
    pub fn mnemonic(&self) -> String {
        match &self.what {
            What::Instruction(instruction, _) => format!("{:?}", instruction.mnemonic()).to_lowercase(),
            What::Undecodable => UNDECODABLE.to_owned(),
        }
    }

    /// The instruction in Intel syntax, or how many bytes are none.
    pub fn text(&self) -> String {
        match &self.what {
            What::Instruction(instruction, _) => disassembly::text(instruction),
            What::Undecodable if self.length == 1 => "1 byte".to_owned(),
            What::Undecodable => format!("{} bytes", self.length),
        }
    }

    /// What becomes of it; `None` if it is no instruction.
    pub fn effect(&self) -> Option<Effect> {
        match &self.what {
            What::Instruction(_, rule) => Some(rule.effect),
            What::Undecodable => None,
        }
    }

    /// Whether something says that it may be there.
    pub fn is_excused(&self) -> bool {
        matches!(self.status, Status::Allowed(_) | Status::Stub(_))
    }

    /// Whether it should not be there.
    pub fn is_open(&self) -> bool {
        self.status == Status::Open
    }
}

impl<'a> Audit<'a> {
    /// Audits `kernel`, whose ELF file is `data`.
    pub fn new(kernel: &'a Kernel<'a>, data: &[u8], options: Options<'a>) -> Self {
        let map = Map::new(kernel);
        let mut sites = Sites::new(kernel, options.cpu);
        let mut counts = Counts::default();
        let mut findings = Vec::new();
        let table = kernel.calls.map(|start| start..start.wrapping_add(4 * Call::COUNT as u32));
        scan(kernel, &map, &sites.native_ranges(), |item, content| match item {
            Item::Instruction(instruction) => {
                counts.instructions += 1;
                if content == Content::Unclassified && is_filler(instruction) {
                    counts.filling += instruction.len() as u64;
                }
                if instruction.near_branch_target() != 0 {
                    sites.branch(instruction.ip32(), instruction.near_branch32());
                }
                if table.as_ref().is_some_and(|table| is_through(instruction, table)) {
                    counts.through_table += 1;
                }
                if let Some(rule) = Rule::of(instruction) {
                    let what = What::Instruction(*instruction, rule);
                    findings.push(Finding::new(instruction.ip32(), instruction.len() as u32, what, content));
                }
            }
            Item::Undecodable(address) => {
                counts.undecodable += 1;
                match findings.last_mut() {
                    Some(last) if last.continues_at(address, content) => last.length += 1,
                    _ => findings.push(Finding::new(address, 1, What::Undecodable, content)),
                }
            }
        });
        sites.in_order();
        let mut audit = Self {
            kernel,
            allow: options.allow,
            map,
            sites,
            findings,
            unused: Vec::new(),
            counts,
            lines: None,
        };
        audit.find_lines(data);
        audit.judge();
        audit
    }

    /// Whether nothing is wrong: no finding is open, no site has a defect, each entry of the allow-list is needed.
    pub fn is_clean(&self) -> bool {
        self.open().next().is_none() && self.sites.defects.is_empty() && self.unused.is_empty()
    }

    /// The findings that should not be there.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_open())
    }

    /// Gives every finding its source line.
    fn find_lines(&mut self, data: &[u8]) {
        let addresses: Vec<_> = self.findings.iter().map(|finding| finding.address).collect();
        match lines::find(data, &addresses) {
            Ok(lines) => {
                for (finding, line) in self.findings.iter_mut().zip(lines) {
                    finding.line = line;
                }
            }
            Err(error) => self.lines = Some(error),
        }
    }

    /// Decides what to make of each finding.
    fn judge(&mut self) {
        let (kernel, allow) = (self.kernel, self.allow);
        let stubs = stubs(kernel);
        let mut is_used = vec![false; allow.entries.len()];
        let mut names = HashMap::new();
        for finding in &mut self.findings {
            let symbol = kernel.symbol_at(finding.address);
            let section = kernel.section_at(finding.address).map_or("", |index| kernel.code[index].name);
            if let Some(index) = symbol {
                names.entry(index).or_insert_with(|| kernel.symbols[index].demangled());
            }
            let symbol = symbol.map(|index| [kernel.symbols[index].name, names[&index].as_str()]);
            let source = finding.line.as_ref().map(|line| &*line.file);
            let (address, mnemonic) = (finding.address, finding.mnemonic());
            let subject = Subject { symbol, section, address, source, mnemonic: &mnemonic };
            let matching = allow.matching(&subject);
            for index in &matching {
                is_used[*index] = true;
            }
            let is_code = finding.content == Content::Code;
            finding.status = match (matching.first(), stub_at(&stubs, address), &finding.what) {
                (_, Some(call), What::Instruction(..)) => Status::Stub(call),
                (Some(index), ..) => Status::Allowed(*index),
                (None, _, What::Undecodable) if !is_code => Status::Unclassified,
                _ => Status::Open,
            };
        }
        self.unused = (0..is_used.len()).filter(|index| !is_used[*index]).collect();
    }
}

impl Finding {
    fn new(address: u32, length: u32, what: What, content: Content) -> Self {
        Self { address, length, what, content, status: Status::Open, line: None }
    }

    /// Whether undecodable bytes go on at `address`.
    fn continues_at(&self, address: u32, content: Content) -> bool {
        let is_undecodable = matches!(self.what, What::Undecodable);
        is_undecodable && self.content == content && self.address + self.length == address
    }
}

/// Whether an instruction calls or jumps through a table at these addresses.
fn is_through(instruction: &Instruction, table: &Range<u32>) -> bool {
    let is_branch = instruction.is_call_near_indirect() || instruction.is_jmp_near_indirect();
    is_branch
        && instruction.memory_base() == Register::None
        && instruction.memory_index() == Register::None
        && table.contains(&instruction.memory_displacement32())
}

/// The native stubs that the kernel's own table names: where they are, by address. One without a size ends at the
/// next symbol.
fn stubs(kernel: &Kernel<'_>) -> Vec<(Range<u32>, Call)> {
    let mut stubs = Vec::new();
    for (call, &start) in Call::all().zip(kernel.stubs.iter().flatten()) {
        let first = kernel.symbols.partition_point(|symbol| symbol.address < start);
        let behind = kernel.symbols.partition_point(|symbol| symbol.address <= start);
        let size = kernel.symbols[first..behind].iter().map(|symbol| symbol.size).max();
        let Some((size, section)) = size.zip(kernel.section_at(start)) else { continue };
        let section = kernel.code[section].range().end;
        let next = kernel.symbols.get(behind).map_or(section, |symbol| symbol.address.min(section));
        let end = if size > 0 { start.saturating_add(size).min(section) } else { next };
        stubs.push((start..end, call));
    }
    stubs.sort_by_key(|(range, _)| range.start);
    stubs
}

/// The call whose native stub an address lies in.
fn stub_at(stubs: &[(Range<u32>, Call)], address: u32) -> Option<Call> {
    let index = stubs.partition_point(|(range, _)| range.start <= address).checked_sub(1)?;
    let (range, call) = &stubs[index];
    range.contains(&address).then_some(*call)
}
