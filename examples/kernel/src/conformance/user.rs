//! Ring 3 runs with interrupts enabled, by whichever site it was entered.

use paravirt_vmi::abi::Call;

use super::check;
use crate::activation::Activation;
use crate::report::{Check, Report, figure};
use crate::serial::line;
use crate::traps::{INTERRUPT_FLAG, flags_in_frame};
use crate::user::Entry;
use crate::user::ticking::{self, TICKS_WANTED};
use crate::{pit, ticks};

pub fn run(report: &mut Report, activation: &Activation, sysexit: bool) {
    check(report, "user.iret", |check| runs_enabled(check, Entry::Iret));
    if sysexit {
        check(report, "user.sysexit", |check| runs_enabled(check, Entry::Sysexit));
    } else {
        line!("user.sysexit is left out: CPUID has no SEP on this processor");
    }
    for (id, call) in [("iret.by", Call::IRET), ("sysexit.by", Call::SYSEXIT)] {
        figure(id, activation.relocation_kind(call).0.into());
    }
}

/// The program sees IF = 1 before and after a loop in which ticks arrive, and ring 3 is where they
/// interrupt.
fn runs_enabled(check: &mut Check, entry: Entry) {
    let start = ticks::counts();
    pit::periodic(pit::fast());
    let answers = ticking::run(entry);
    check.equal("IF behind the program", flags_in_frame() & INTERRUPT_FLAG, 0);
    let from_user = ticks::counts().from_user - start.from_user;
    for flags in [answers.flags_at_start, answers.flags_at_end] {
        check.equal("IF in the program's EFLAGS", flags & INTERRUPT_FLAG, INTERRUPT_FLAG);
    }
    check.at_least("ticks that the program saw", answers.ticks_in_loop, TICKS_WANTED);
    check.at_least("ticks that interrupted ring 3", from_user, TICKS_WANTED);
}
