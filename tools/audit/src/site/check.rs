//! [`Sites`]: the records of a kernel, each looked at by itself and beside its neighbours.

use std::ops::Range;

use iced_x86::FlowControl;
use paravirt_vmi::site::{
    BRANCH_LENGTH, NativeCode, RecordDefect, RecordError, Site, SiteKind, SiteRecord, SiteTable, StubTable,
};
use paravirt_vmi_abi::{Call, RelocationKinds};

use super::{Cpu, Defect, DefectKind, is_filler};
use crate::disassembly;
use crate::kernel::{Kernel, Records, SymbolKind};

/// The length of a record, in bytes.
const RECORD: usize = size_of::<SiteRecord>();

/// A site whose record is sound.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// The index of its record.
    pub index: usize,
    /// Linear address of its record.
    pub record: u32,
    /// The site.
    pub site: Site,
    /// Whether it lies in the code and holds its native form.
    pub is_native: bool,
}

/// The sites of a kernel.
#[derive(Clone, Debug)]
pub struct Sites {
    /// The number of records, sound or not.
    pub records: usize,
    /// The sites whose records are sound, by address.
    pub sites: Vec<Checked>,
    /// What is wrong with them, in order of record.
    pub defects: Vec<Defect>,
    /// The native stubs: those of the kernel's table, else those that its sites agree about.
    pub stubs: StubTable,
}

impl Checked {
    /// A defect of this site.
    fn defect(&self, kind: DefectKind) -> Defect {
        let site = Some((self.site.address, self.site.form.call));
        Defect { index: self.index, record: self.record, site, kind }
    }
}

impl Sites {
    /// Looks at every record of a kernel; padding must be code that `cpu` decodes.
    pub fn new(kernel: &Kernel<'_>, cpu: Cpu) -> Self {
        let stubs = kernel.stubs.unwrap_or([0; Call::COUNT]);
        let mut sites = Self { records: 0, sites: Vec::new(), defects: Vec::new(), stubs };
        let Some(records) = kernel.records else { return sites };
        sites.read(records);
        sites.sites.sort_by_key(|checked| (checked.site.address, checked.index));
        if kernel.stubs.is_none() {
            sites.infer_stubs(kernel);
        }
        for index in 0..sites.sites.len() {
            sites.look_at(kernel, cpu, index);
        }
        sites.overlaps();
        sites.symbols_into(kernel);
        sites.in_order();
        sites
    }

    /// Takes in the records, each as a table of its own: one bad record does not hide the next.
    fn read(&mut self, Records { address, bytes }: Records<'_>) {
        self.records = bytes.len().div_ceil(RECORD);
        for (index, bytes) in bytes.chunks(RECORD).enumerate() {
            let record = address.wrapping_add((index * RECORD) as u32);
            let read = SiteTable::from_bytes(record, bytes, &self.stubs);
            let site = read.and_then(|table| table.iter().next().transpose());
            match site {
                Ok(Some(site)) => self.sites.push(Checked { index, record, site, is_native: false }),
                Ok(None) => {}
                Err(error) => {
                    // Of the last one, which is cut off, the table's length is what is wrong.
                    let defect = match error.defect {
                        RecordDefect::TableLength { .. } => {
                            let length = index * RECORD + bytes.len();
                            RecordDefect::TableLength { length }
                        }
                        defect => defect,
                    };
                    let kind = DefectKind::Record(RecordError { record_address: record, defect });
                    self.defects.push(Defect { index, record, site: None, kind });
                }
            }
        }
    }

    /// Takes for the stub of a call what the first site calls that calls code.
    fn infer_stubs(&mut self, kernel: &Kernel<'_>) {
        for Checked { site, .. } in &mut self.sites {
            let stub = &mut self.stubs[site.form.call.number() as usize];
            if site.form.code == NativeCode::Stub && *stub == 0 {
                let target = call_target(kernel, site.address);
                *stub = target.filter(|target| kernel.section_at(*target).is_some()).unwrap_or(0);
            }
        }
        for Checked { site, .. } in &mut self.sites {
            site.stub = self.stubs[site.form.call.number() as usize];
        }
    }

    /// Compares a site with its native form.
    fn look_at(&mut self, kernel: &Kernel<'_>, cpu: Cpu, index: usize) {
        let checked = self.sites[index];
        let site = checked.site;
        let native = site.native();
        let native = native.as_slice();
        let Some(found) = kernel.bytes(site.address, native.len()) else {
            self.defects.push(checked.defect(DefectKind::OutsideCode));
            return;
        };
        if found == native {
            self.sites[index].is_native = true;
        } else {
            let target = call_target(kernel, site.address).filter(|_| site.form.code == NativeCode::Stub);
            let kind = match target {
                Some(target) if kernel.section_at(target).is_none() => DefectKind::StubOutsideCode { target },
                Some(target) if kernel.stubs.is_none() => {
                    DefectKind::StubsDiffer { target, first: site.stub }
                }
                _ => DefectKind::NotNative { expected: native.to_vec(), found: found.to_vec() },
            };
            self.defects.push(checked.defect(kind));
        }
        let instructions = disassembly::instructions(found, site.address);
        for filler in instructions.iter().filter(|found| is_filler(found) && !cpu.decodes(found)) {
            let (instruction, cpu) = (disassembly::text(filler), cpu.name());
            self.defects.push(checked.defect(DefectKind::Padding { instruction, cpu }));
        }
        // A jump is the same as the native form where that does not come back, and only there.
        let last = instructions.iter().rfind(|found| !is_filler(found));
        let comes_back = last.is_none_or(|last| last.flow_control() != FlowControl::Return);
        let jumps = site.form.call.info().relocations.contains(RelocationKinds::JUMP_REL);
        let is_fall_through = site.form.kind == SiteKind::FallThrough;
        if comes_back != is_fall_through || comes_back == jumps {
            self.defects.push(checked.defect(DefectKind::Flow));
        }
    }

    /// Finds sites that have bytes in common with the one before them.
    fn overlaps(&mut self) {
        let Some(mut longest) = self.sites.first() else { return };
        for checked in &self.sites[1..] {
            if u64::from(checked.site.address) < end(longest) {
                let (other, address) = (longest.index, longest.site.address);
                self.defects.push(checked.defect(DefectKind::Overlap { other, address }));
            }
            if end(checked) >= end(longest) {
                longest = checked;
            }
        }
    }

    /// Finds symbols in the middle of sites.
    fn symbols_into(&mut self, kernel: &Kernel<'_>) {
        for symbol in kernel.symbols.iter().filter(|symbol| symbol.kind != SymbolKind::Object) {
            if let Some(site) = self.around(symbol.address) {
                let (name, address) = (symbol.demangled(), symbol.address);
                let defect = site.defect(DefectKind::SymbolInto { name, address });
                self.defects.push(defect);
            }
        }
    }

    /// The site in the middle of which an address lies.
    fn around(&self, address: u32) -> Option<&Checked> {
        let index = self.sites.partition_point(|checked| checked.site.address < address).checked_sub(1)?;
        Some(&self.sites[index]).filter(|checked| checked.site.range().contains(&address))
    }

    /// Says that the instruction at `from` branches to `target`, and remembers if that is the middle of a site.
    pub fn branch(&mut self, from: u32, target: u32) {
        if let Some(site) = self.around(target) {
            let defect = site.defect(DefectKind::BranchInto { from, target });
            self.defects.push(defect);
        }
    }

    /// Puts the defects in order of record.
    pub fn in_order(&mut self) {
        self.defects.sort_by_key(|defect| defect.index);
    }

    /// The addresses of the sites that hold their native form, in order.
    pub fn native_ranges(&self) -> Vec<Range<u32>> {
        self.sites.iter().filter(|checked| checked.is_native).map(|checked| checked.site.range()).collect()
    }
}

/// The address behind a site, in which a sum beyond 4 GiB does not wrap.
fn end(checked: &Checked) -> u64 {
    u64::from(checked.site.address) + checked.site.form.length() as u64
}

/// Where the `call` at an address leads, if there is one.
fn call_target(kernel: &Kernel<'_>, address: u32) -> Option<u32> {
    let call = disassembly::first(kernel.bytes(address, BRANCH_LENGTH)?, address)?;
    (call.len() == BRANCH_LENGTH && call.is_call_near()).then(|| call.near_branch32())
}
