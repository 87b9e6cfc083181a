//! The flag itself: what the functions of `irq` make of it, and what an interrupt frame says of it.

use paravirt_vmi::irq;

use super::{check, enable, restore};
use crate::report::{Check, Report};
use crate::traps::{INTERRUPT_FLAG, flags_in_frame};

pub fn run(report: &mut Report) {
    check(report, "irq.agree", agree);
    check(report, "irq.restore", restore_sets_what_the_state_says);
    check(report, "irq.state", states_compare_by_the_flag_alone);
}

/// Expects the kernel to be as `enabled` says, by all that can tell.
#[inline(never)]
pub fn expect(check: &mut Check, when: &str, enabled: bool) {
    check.equal(when, irq::is_enabled(), enabled);
    check.equal(when, irq::save().is_enabled(), enabled);
    check.equal(when, flags_in_frame() & INTERRUPT_FLAG != 0, enabled);
}

/// What each function leaves behind.
pub fn agree(check: &mut Check) {
    for _ in 0..4 {
        irq::disable();
        expect(check, "after disable", false);
        irq::disable();
        expect(check, "after disable twice", false);
        enable();
        expect(check, "after enable", true);
        enable();
        expect(check, "after enable twice", true);
    }
}

/// What each state leaves behind.
pub fn restore_sets_what_the_state_says(check: &mut Check) {
    irq::disable();
    let masked = irq::save();
    expect(check, "after save of masked", false);
    enable();
    let unmasked = irq::save();
    expect(check, "after save of unmasked", true);

    for (state, enabled) in [(unmasked, true), (masked, false)] {
        irq::disable();
        restore(state);
        expect(check, "after restore from masked", enabled);
        enable();
        restore(state);
        expect(check, "after restore from unmasked", enabled);
    }
}

/// A native `pushf` answers with all of EFLAGS, a ROM may; only bit 9 has a meaning.
fn states_compare_by_the_flag_alone(check: &mut Check) {
    let with_flags = |operand: u32| {
        // leaves CF and ZF as the comparison with `operand` sets them
        let comparison = core::hint::black_box(operand).checked_sub(1);
        let state = irq::save();
        core::hint::black_box(comparison);
        state
    };
    irq::disable();
    let masked = [with_flags(0), with_flags(1), with_flags(2)];
    enable();
    let unmasked = [with_flags(0), with_flags(1), with_flags(2)];
    for index in 0..3 {
        check.equal("masked state", masked[index], masked[0]);
        check.equal("unmasked state", unmasked[index], unmasked[0]);
        check.equal("masked is unmasked", masked[index] == unmasked[index], false);
    }
}
