//! `pushf` and `popf` in the kernel: in ring 1 the one shows IF = 1 always, the other leaves IF alone, and
//! neither traps. A kernel that masks interrupts by them cannot be helped by a hypervisor.
//!
//! What is expected of them depends on the ring; that `cli` and `sti` work does not.
//!
//! # Safety
//!
//! The suite unmasks interrupts.
#![allow(unsafe_code)]

use paravirt_vmi::irq;

use super::{check, enable};
use crate::activation::{Activation, Privilege};
use crate::report::{Check, Report, claim};
use crate::sensitive;
use crate::traps::{INTERRUPT_FLAG, flags_in_frame};

pub fn run(report: &mut Report, activation: &Activation) {
    let is_ring_0 = activation.privilege() == Privilege::Ring0;
    check(report, "hole.pushf", |check| pushf_shows_the_flag_of_the_machine(check, is_ring_0));
    check(report, "hole.popf", |check| popf_does_not_mask(check, is_ring_0));
    check(report, "hole.nested", |check| sections_do_not_end(check, is_ring_0));
}

/// IF, as an interrupt finds it.
fn is_enabled() -> bool {
    flags_in_frame() & INTERRUPT_FLAG != 0
}

/// IF, as `pushf` shows it.
fn pushf_shows_enabled() -> bool {
    sensitive::pushf() & INTERRUPT_FLAG != 0
}

fn pushf_shows_the_flag_of_the_machine(check: &mut Check, is_ring_0: bool) {
    sensitive::cli();
    check.equal("enabled after cli", is_enabled(), false);
    let masked = pushf_shows_enabled();
    check.equal("IF in pushf after cli", masked, !is_ring_0);
    // SAFETY: see the module.
    unsafe { sensitive::sti() };
    check.equal("enabled after sti", is_enabled(), true);
    check.equal("IF in pushf after sti", pushf_shows_enabled(), true);
    claim(4, "kernel.if_in_pushf_while_masked", masked.into());
}

fn popf_does_not_mask(check: &mut Check, is_ring_0: bool) {
    enable();
    sensitive::popf_if_clear();
    let masked = !is_enabled();
    check.equal("masked after popf with IF = 0", masked, is_ring_0);
    claim(4, "kernel.masked_by_popf", masked.into());
}

/// A masked section as kernels write it ends in ring 0, and lasts for ever in ring 1.
fn sections_do_not_end(check: &mut Check, is_ring_0: bool) {
    enable();
    let outer = sensitive::pushf();
    sensitive::cli();
    let inner = sensitive::pushf();
    sensitive::cli();
    // SAFETY: see the module.
    unsafe { sensitive::popf(inner) };
    check.equal("enabled behind the inner section", is_enabled(), false);
    // SAFETY: see the module.
    unsafe { sensitive::popf(outer) };
    let ended = is_enabled();
    check.equal("enabled behind the outer section", ended, is_ring_0);
    irq::disable();
    claim(4, "kernel.section_ended_by_popf", ended.into());
}
