//! What holds of a kernel that is as it was built, in whatever ring it runs: natively, and on a hypervisor that
//! it does not know of. There each of its privileged instructions traps and is carried out.
//!
//! What does not trap there, `pushf` and `popf`, is why the rest of the suite cannot be run so: see `hole`.

use paravirt_vmi::irq;

use super::{check, enable, spin};
use super::{critical_section, exits, halt, hole, iopl, pending, programs, sampler, timer, user};
use crate::activation::{Activation, Privilege};
use crate::report::{Check, Report};
use crate::traps::{INTERRUPT_FLAG, flags_in_frame};
use crate::{pic, pit, ticks};

/// How many ticks are held back, one after the other.
const TICKS: u32 = 200;

pub fn run(report: &mut Report, activation: &Activation, sysexit: bool) {
    check(report, "unpatched.boot", |check| {
        check.equal("patched", activation.vmi.is_some(), false);
    });
    check(report, "unpatched.masking", masking);
    check(report, "unpatched.nesting", |check| {
        nesting(check, activation.privilege() == Privilege::Ring0);
    });
    timer::arrive(report);
    pending::after_enable(report);
    halt::run(report);
    sampler::run(report);
    critical_section::unpatched(report);
    hole::run(report, activation);
    user::run(report, activation, sysexit);
    programs::run(report);
    iopl::run(report, activation, sysexit);
    exits::run(report, activation);
}

/// IF, as an interrupt finds it.
fn is_enabled() -> bool {
    flags_in_frame() & INTERRUPT_FLAG != 0
}

/// Each tick becomes pending while masked, and arrives when unmasked.
fn masking(check: &mut Check) {
    for _ in 0..TICKS {
        let before = ticks::count();
        irq::disable();
        ticks::believe_masked(true);
        pit::one_shot(pit::fast());
        check.equal("tick pending while masked", ticks::wait_until_pending(), true);
        check.equal("enabled while masked", is_enabled(), false);
        check.equal("ticks while masked", ticks::count() - before, 0);
        ticks::believe_masked(false);
        enable();
        check.equal("tick arrives", ticks::wait_for(before + 1), true);
        check.equal("enabled after unmasking", is_enabled(), true);
        spin(1000);
        check.equal("ticks after unmasking", ticks::count() - before, 1);
        check.equal("tick still pending", pic::is_pending(ticks::LINE), false);
    }
}

/// A section inside a section: its end asks `pushf` what it was before, and unmasks too early in ring 1.
fn nesting(check: &mut Check, is_ring_0: bool) {
    enable();
    irq::without_interrupts(|| {
        check.equal("enabled in the outer section", is_enabled(), false);
        irq::without_interrupts(|| {
            check.equal("enabled in the inner section", is_enabled(), false);
        });
        check.equal("enabled behind the inner section", is_enabled(), !is_ring_0);
    });
    check.equal("enabled behind the outer section", is_enabled(), true);
}
