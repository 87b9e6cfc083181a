//! A kernel's text and site records, as large as one likes.
//!
//! # Safety
//!
//! The text is memory of this process that nobody executes, and that the writer alone refers to.
#![allow(unsafe_code)]

use std::ptr;

use paravirt_vmi::patch::{DirectWriter, Plan, Relocation, RelocationTable};
use paravirt_vmi::site::{MAX_SITE_LENGTH, NativeCode, NativeForm, SiteRecord, SiteTable, StubTable};
use paravirt_vmi_abi::{Call, RelocationKind};

/// The calls of the sites, in turn.
const CALLS: [Call; 3] = [Call::GET_INTERRUPT_MASK, Call::DISABLE_INTERRUPTS, Call::ENABLE_INTERRUPTS];

/// Linear address of a ROM that answers with a call of its own for each call of the interface.
const ROM: u32 = 0xC00C_3000;
/// Bytes from one of these to the next.
const ENTRY: u32 = 0x20;

/// Text with sites, and their records.
pub struct Kernel {
    text: u32,
    length: usize,
    records: Vec<SiteRecord>,
    stubs: StubTable,
}

impl Kernel {
    /// A kernel with so many sites, all native.
    pub fn new(sites: usize) -> Self {
        let length = sites * MAX_SITE_LENGTH;
        let text = map(length);
        let mut records = Vec::with_capacity(sites);
        let mut address = text;
        for (index, call) in CALLS.into_iter().cycle().take(sites).enumerate() {
            let NativeCode::Inline(bytes) = NativeForm::of(call).code else {
                panic!("{call} has no native form of its own");
            };
            let to = ptr::with_exposed_provenance_mut::<u8>(address as usize);
            // SAFETY: the mapping has room for every site, and nothing refers to it yet.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
            let record = records.as_ptr() as u32 + (index * size_of::<SiteRecord>()) as u32;
            let offset = address.wrapping_sub(record) as i32;
            records.push(SiteRecord { offset: offset.into(), call: call.number() as u8 });
            address += bytes.len() as u32;
        }
        Self { text, length, records, stubs: [0; Call::COUNT] }
    }

    /// What the patcher writes through.
    pub fn writer(&self) -> DirectWriter {
        // SAFETY: the mapping stays, and nothing refers to it.
        unsafe { DirectWriter::new(self.text..self.text + self.length as u32) }
    }

    /// The plan that calls a ROM at every site.
    pub fn plan(&self) -> Plan<'_> {
        let end = ROM + ENTRY * Call::COUNT as u32;
        let relocations = RelocationTable::query(ROM..end, |call| Relocation {
            kind: RelocationKind::CALL_REL,
            target: ROM + ENTRY * call.number(),
        });
        let sites = SiteTable::new(self.records.as_ptr() as u32, &self.records, &self.stubs);
        Plan::new(sites, relocations.expect("calls into the ROM"), &self.writer()).expect("native sites")
    }
}

/// Writes the plan.
pub fn commit(plan: &Plan<'_>, writer: &mut DirectWriter) {
    // SAFETY: nothing executes the text.
    unsafe { plan.commit(writer) }.expect("text that can be written");
}

/// Takes it back.
pub fn revert(plan: &Plan<'_>, writer: &mut DirectWriter) {
    // SAFETY: nothing executes the text.
    unsafe { plan.revert(writer) }.expect("text that can be written");
}

/// Maps memory like a kernel's text before that becomes read-only; its address.
fn map(length: usize) -> u32 {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: replaces nothing that is mapped.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
    assert!(at != libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    at.expose_provenance() as u32
}
