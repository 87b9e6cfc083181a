//! Masked sections inside masked sections.
//!
//! # Safety
//!
//! Guards are dropped in the reverse order of their creation. Restoring out of order is what one check
//! is about: nothing in the kernel relies on the sections that it breaks.
#![allow(unsafe_code)]

use paravirt_vmi::irq;

use super::flag::expect;
use super::{check, enable, restore};
use crate::report::{Check, Report};

pub fn run(report: &mut Report) {
    check(report, "irq.nesting", sections_end_with_the_outermost);
    check(report, "irq.nesting_masked", sections_in_masked_code_leave_it_masked);
    check(report, "irq.guard", guards_end_with_the_outermost);
    check(report, "irq.restore_in_order", restore_in_order);
    check(report, "irq.restore_out_of_order", restore_out_of_order);
}

/// A section for each level; `depth` is the innermost.
fn nest(check: &mut Check, depth: u32) {
    irq::without_interrupts(|| {
        expect(check, "inside a section", false);
        if depth > 1 {
            nest(check, depth - 1);
            expect(check, "after an inner section", false);
        }
    });
}

fn sections_end_with_the_outermost(check: &mut Check) {
    enable();
    nest(check, 8);
    expect(check, "after the outermost section", true);
    let result = irq::without_interrupts(|| irq::without_interrupts(|| 6) * 7);
    check.equal("result of nested sections", result, 42);
    expect(check, "after a section with a result", true);
}

fn sections_in_masked_code_leave_it_masked(check: &mut Check) {
    irq::disable();
    nest(check, 8);
    expect(check, "after the outermost section", false);
}

/// A guard whose life nests in those of the guards that exist.
fn guard() -> irq::Guard {
    // SAFETY: the checks below drop guards in the reverse order of their creation.
    unsafe { irq::Guard::new() }
}

fn guards_end_with_the_outermost(check: &mut Check) {
    enable();
    let outer = guard();
    expect(check, "under a guard", false);
    {
        let _middle = guard();
        expect(check, "under two guards", false);
        irq::without_interrupts(|| expect(check, "in a section under two guards", false));
        expect(check, "after the section", false);
    }
    expect(check, "after the inner guard", false);
    drop(outer);
    expect(check, "after the outer guard", true);

    irq::disable();
    drop(guard());
    expect(check, "after a guard in masked code", false);
}

fn restore_in_order(check: &mut Check) {
    enable();
    let outer = irq::save();
    irq::disable();
    let inner = irq::save();
    irq::disable();
    expect(check, "inside both", false);
    restore(inner);
    expect(check, "after the inner restore", false);
    restore(outer);
    expect(check, "after the outer restore", true);
}

/// Each restore does what its state says, whatever came before it.
fn restore_out_of_order(check: &mut Check) {
    enable();
    let first = irq::save();
    irq::disable();
    let second = irq::save();
    enable();
    let third = irq::save();
    irq::disable();
    restore(first);
    expect(check, "after restoring the first", true);
    restore(second);
    expect(check, "after restoring the second", false);
    restore(third);
    expect(check, "after restoring the third", true);
    restore(second);
    expect(check, "after restoring the second again", false);
    restore(second);
    expect(check, "after restoring the second twice", false);
    restore(first);
    expect(check, "after restoring the first again", true);
}
