//! Descriptor tables: loaded by a call, and used.
//!
//! # Safety
//!
//! The tables that are loaded hold the kernel's own entries where the kernel uses them, and stay where they
//! are. Interrupts are masked, so nobody sees a table that is not complete.
#![allow(unsafe_code)]

use paravirt_vmi::abi::{Call, DescriptorTableRegister};
use paravirt_vmi::descriptor::{self, Descriptor, Selector};

use super::super::outside;
use super::check;
use crate::gdt::{self, ENTRIES, FIRST_SPARE, FLAT_DATA, KERNEL_DATA};
use crate::report::{Check, Report};
use crate::traps::{SPARE, call_spare};
use crate::{idt, raw};

/// What the segments of the checks contain.
pub const BYTES: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
static CONTENTS: [u8; 4] = BYTES;

/// Entries of the kernel's GDT that the checks use.
pub const SEGMENT: u16 = FIRST_SPARE;
const OTHER_SEGMENT: u16 = FIRST_SPARE + 1;
const FLAT: u16 = FIRST_SPARE + 2;
const OTHER_FLAT: u16 = FIRST_SPARE + 3;
const LDT: u16 = FIRST_SPARE + 4;

/// A descriptor's bit 40: a segment register was loaded with it.
const ACCESSED: u64 = 1 << 40;

#[repr(C, align(4096))]
pub struct LocalTable(pub [Descriptor; 2]);
pub static mut LOCAL: LocalTable = LocalTable([Descriptor(0); 2]);
static mut OTHER_GDT: gdt::Table = gdt::Table([Descriptor(0); ENTRIES]);
static mut OTHER_IDT: idt::Table = idt::Table([Descriptor(0); crate::traps::VECTORS]);

pub fn run(report: &mut Report) {
    check(report, Call::SET_GDT, set_gdt);
    check(report, Call::GET_GDT, |check| {
        same(check, "GDT", descriptor::gdt(), gdt::register());
        same(check, "GDT", descriptor::gdt(), outside::gdt());
    });
    check(report, Call::SET_LDT, set_ldt);
    check(report, Call::GET_LDT, get_ldt);
    check(report, Call::SET_IDT, set_idt);
    check(report, Call::GET_IDT, get_idt);
}

/// The descriptor of a segment that begins at byte `first` of [`BYTES`].
pub fn contents(first: usize) -> Descriptor {
    gdt::data_segment(&raw const CONTENTS[first] as u32, (BYTES.len() - first - 1) as u32)
}

/// Puts a descriptor into the kernel's GDT, around the guest crate.
pub fn put(index: u16, descriptor: Descriptor) {
    let entry = gdt::table().wrapping_add(index.into());
    // SAFETY: the entry is one of the checks'.
    unsafe { entry.write_volatile(descriptor) };
}

/// Loads FS with a selector; the segment's first byte.
pub fn first_byte(selector: Selector) -> u8 {
    // SAFETY: the kernel does not use FS.
    unsafe { raw::set_fs(selector.0.into()) };
    // SAFETY: the callers name segments of one byte or more.
    let byte = unsafe { raw::fs_byte(0) };
    // SAFETY: the kernel does not use FS.
    unsafe { raw::set_fs(0) };
    byte
}

fn same(check: &mut Check, what: &str, found: DescriptorTableRegister, expected: DescriptorTableRegister) {
    check.equal(what, (found.base.get(), found.limit.get()), (expected.base.get(), expected.limit.get()));
}

/// Loads DS and ES, which are flat, and FS and GS, which the kernel does not use.
fn load_data_segments([ds, es, fs, gs]: [u16; 4]) {
    // SAFETY: the callers name flat segments.
    unsafe { raw::set_ds(ds.into()) };
    // SAFETY: as above.
    unsafe { raw::set_es(es.into()) };
    // SAFETY: the callers name data segments.
    unsafe { raw::set_fs(fs.into()) };
    // SAFETY: as above.
    unsafe { raw::set_gs(gs.into()) };
}

/// Loads a GDT in which FS and GS name other segments, and in which no data segment was used yet. (CS leaves
/// no trace: an emulator need not mark a code segment as used.)
fn set_gdt(check: &mut Check) {
    let kernel = gdt::register();
    put(SEGMENT, contents(0));
    put(OTHER_SEGMENT, contents(1));
    put(FLAT, FLAT_DATA);
    put(OTHER_FLAT, FLAT_DATA);
    let other = &raw mut OTHER_GDT;
    // SAFETY: nothing uses the other table.
    unsafe { other.copy_from_nonoverlapping(gdt::table().cast::<gdt::Table>(), 1) };
    // SAFETY: as above.
    let entries = unsafe { &mut (*other).0 };
    entries[usize::from(SEGMENT)] = contents(2);
    entries[usize::from(OTHER_SEGMENT)] = contents(3);
    entries[usize::from(KERNEL_DATA / 8)].0 &= !ACCESSED;
    let register = DescriptorTableRegister::new(kernel.limit.get(), other as u32);
    let [segment, other_segment, flat, other_flat] =
        [SEGMENT, OTHER_SEGMENT, FLAT, OTHER_FLAT].map(|index| gdt::selector(index).0);
    load_data_segments([flat, other_flat, segment, other_segment]);
    // SAFETY: each selector names in the other table what it may.
    unsafe { descriptor::set_gdt(&register) };
    // SAFETY: FS holds a segment of one byte or more.
    let fs = unsafe { raw::fs_byte(0) };
    // SAFETY: GS holds a segment of one byte or more.
    let bytes = (fs, unsafe { raw::gs_byte(0) });
    let loaded = outside::gdt();
    let used = |index: u16| {
        let entry = other.cast::<Descriptor>().wrapping_add(index.into());
        // SAFETY: an entry of the table; the processor may have changed it.
        let entry = unsafe { entry.read_volatile() };
        entry.0 & ACCESSED != 0
    };
    let reloaded = [KERNEL_DATA / 8, FLAT, OTHER_FLAT].map(used);
    load_data_segments([KERNEL_DATA, KERNEL_DATA, 0, 0]);
    // SAFETY: this is the kernel's table.
    unsafe { descriptor::set_gdt(&kernel) };
    same(check, "GDT", loaded, register);
    check.equal("bytes in FS and GS", bytes, (BYTES[2], BYTES[3]));
    // A hypervisor marks segments as used in a table of its own.
    if outside::is_visible() {
        check.equal("SS, DS, ES loaded anew", reloaded, [true; 3]);
    }
    same(check, "GDT", outside::gdt(), kernel);
}

/// The selector of an LDT whose second entry is the segment that begins at byte `first`.
pub fn local_table(first: usize) -> Selector {
    let table = &raw mut LOCAL;
    // SAFETY: no segment register holds a selector of the table.
    unsafe { (*table).0 = [Descriptor(0), contents(first)] };
    put(LDT, gdt::system_segment(table as u32, size_of::<[Descriptor; 2]>() as u32 - 1, 2));
    gdt::selector(LDT)
}

fn set_ldt(check: &mut Check) {
    let selector = local_table(1);
    // SAFETY: the selector names an LDT.
    unsafe { descriptor::set_ldt(selector) };
    check.equal("LDT", outside::ldt(), selector);
    let limit = raw::limit(Selector::ldt(1).0);
    if check.equal("limit of a segment in it", limit, Some(BYTES.len() as u32 - 2)) {
        check.equal("byte of a segment in it", first_byte(Selector::ldt(1)), BYTES[1]);
    }
    // SAFETY: no segment register holds a selector of the table.
    unsafe { descriptor::set_ldt(Selector::NULL) };
    check.equal("LDT", outside::ldt(), Selector::NULL);
    check.equal("a segment in it", raw::limit(Selector::ldt(1).0), None);
}

fn get_ldt(check: &mut Check) {
    let selector = local_table(1);
    // SAFETY: the selector names an LDT.
    unsafe { raw::set_ldt(selector.0.into()) };
    check.equal("LDT", descriptor::ldt(), selector);
    // SAFETY: no segment register holds a selector of the table.
    unsafe { raw::set_ldt(0) };
    check.equal("LDT", descriptor::ldt(), Selector::NULL);
}

/// Loads an IDT in which one gate leads elsewhere, and goes through the gate.
fn set_idt(check: &mut Check) {
    let kernel = idt::register(idt::table());
    let register = other_idt();
    // SAFETY: the other table has the kernel's gates, but for the spare one.
    unsafe { descriptor::set_idt(&register) };
    let (loaded, answer) = (outside::idt(), call_spare());
    // SAFETY: this is the kernel's table.
    unsafe { descriptor::set_idt(&kernel) };
    same(check, "IDT", loaded, register);
    check.equal("answer through the gate", answer, super::entry::ANSWER);
    same(check, "IDT", outside::idt(), kernel);
    check.equal("answer through the kernel's gate", call_spare(), 0);
}

fn get_idt(check: &mut Check) {
    let kernel = idt::register(idt::table());
    same(check, "IDT", descriptor::idt(), kernel);
    same(check, "IDT", outside::idt(), kernel);
    let register = other_idt();
    // SAFETY: the other table has the kernel's gates, but for the spare one.
    unsafe { raw::set_idt(&register) };
    same(check, "IDT", descriptor::idt(), register);
    // SAFETY: this is the kernel's table.
    unsafe { raw::set_idt(&kernel) };
}

/// A copy of the kernel's IDT whose spare gate leads to a handler with an answer.
fn other_idt() -> DescriptorTableRegister {
    let other = &raw mut OTHER_IDT;
    // SAFETY: nothing uses the other table.
    unsafe { other.copy_from_nonoverlapping(idt::table(), 1) };
    // SAFETY: as above.
    unsafe { (*other).0[usize::from(SPARE)] = super::entry::gate() };
    idt::register(other)
}
