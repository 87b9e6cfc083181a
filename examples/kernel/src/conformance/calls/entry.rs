//! Entries of descriptor tables: written by a call, and used.
//!
//! # Safety
//!
//! The entries are those that the kernel does not use itself.
#![allow(unsafe_code)]

use core::arch::global_asm;

use paravirt_vmi::abi::Call;
use paravirt_vmi::descriptor::{self, Descriptor, Selector};

use super::check;
use super::descriptor::{BYTES, LOCAL, SEGMENT, contents, first_byte, local_table, put};
use crate::report::{Check, Report};
use crate::traps::{SPARE, call_spare};
use crate::{gdt, idt, raw};

/// What the handler at [`gate`] leaves in EAX.
pub const ANSWER: u32 = 0x0000_4242;

unsafe extern "C" {
    static answering_handler: u8;
}

global_asm!(
    r#"
    .text
    .globl answering_handler
answering_handler:
    mov eax, {answer}
"#,
    paravirt_vmi::iret_site!(),
    answer = const ANSWER,
);

/// The gate to a handler that answers.
pub fn gate() -> Descriptor {
    idt::gate(&raw const answering_handler as u32)
}

pub fn run(report: &mut Report) {
    check(report, Call::WRITE_GDT_ENTRY, |check| {
        put(SEGMENT, Descriptor(0));
        let table = gdt::table();
        for first in [1, 2] {
            // SAFETY: no segment register holds the entry's selector.
            unsafe { descriptor::write_gdt_entry(table, SEGMENT, contents(first)) };
            holds(check, gdt::selector(SEGMENT), first);
        }
        put(SEGMENT, Descriptor(0));
    });
    check(report, Call::WRITE_LDT_ENTRY, |check| {
        let selector = local_table(0);
        // SAFETY: the selector names an LDT.
        unsafe { raw::set_ldt(selector.0.into()) };
        let table = (&raw mut LOCAL).cast();
        for first in [1, 2] {
            // SAFETY: no segment register holds the entry's selector.
            unsafe { descriptor::write_ldt_entry(table, 1, contents(first)) };
            holds(check, Selector::ldt(1), first);
        }
        // SAFETY: no segment register holds a selector of the table.
        unsafe { raw::set_ldt(0) };
    });
    check(report, Call::WRITE_IDT_ENTRY, |check| {
        let table = idt::table().cast::<Descriptor>();
        let entry = table.wrapping_add(SPARE.into());
        // SAFETY: an entry of the table.
        let before = unsafe { entry.read_volatile() };
        check.equal("answer through the old gate", call_spare(), 0);
        // SAFETY: nobody uses the vector meanwhile.
        unsafe { descriptor::write_idt_entry(table, SPARE, gate()) };
        check.equal("answer through the new gate", call_spare(), ANSWER);
        // SAFETY: as above.
        unsafe { descriptor::write_idt_entry(table, SPARE, before) };
        check.equal("answer through the old gate", call_spare(), 0);
        // SAFETY: as above.
        unsafe { entry.write_volatile(before) };
    });
}

/// Expects the segment to be that of the bytes from `first` on: by its limit, its rights, and itself.
fn holds(check: &mut Check, selector: Selector, first: usize) {
    let limit = (BYTES.len() - first - 1) as u32;
    if check.equal("limit", raw::limit(selector.0), Some(limit)) {
        let rights = raw::rights(selector.0).map(|rights| rights & 0x0040_9E00);
        // 32 bits wide, present, data, expands upwards, writable
        check.equal("rights", rights, Some(0x0040_9200));
        check.equal("first byte", first_byte(selector), BYTES[first]);
    }
}
