//! What masking costs, for `cargo xtask bench`: this crate's forms, and the same written by hand.
//!
//! Each form runs in a loop of its own, next to a loop that does nothing, with interrupts enabled and no source of
//! any. The time-stamp counter says what it took: instructions where the emulator counts them, else its time.
//!
//! ```text
//! @ticks FORM TIMES TICKS...
//! ```
//!
//! # Safety
//!
//! Nothing relies on masked interrupts while a form runs, and none comes. What is written by hand lies in the section of
//! sensitive instructions, see [`crate::sensitive`]; it runs where these do what they say, or trap.
#![allow(unsafe_code)]

use core::arch::asm;
use core::cell::UnsafeCell;
use core::fmt::{self, Write as _};

use paravirt_vmi::irq;

use super::{enable, settle};
use crate::activation::{Activation, Privilege};
use crate::raw;
use crate::report::Report;
use crate::serial::line;
use crate::traps::{INTERRUPT_FLAG, flags_in_frame};

/// How often a form is run in one measurement, and how often everything is measured.
const EFFORT: (u32, usize) = (10_000, ROUNDS);
/// The same where most forms trap, and take thousands of instructions each.
const TRAPPED_EFFORT: (u32, usize) = (1000, 3);
/// The most rounds.
const ROUNDS: usize = 11;

/// What the sections store to.
struct Work(UnsafeCell<u32>);

// SAFETY: no handler uses it.
unsafe impl Sync for Work {}

static WORK: Work = Work(UnsafeCell::new(0));

/// The work in a section: one store.
#[inline(always)]
fn work() {
    // SAFETY: nothing refers to it.
    unsafe { WORK.0.get().write_volatile(1) };
}

/// A function that runs a form so many times.
macro_rules! form {
    ($(#[$attribute:meta])* $name:ident: $body:expr) => {
        $(#[$attribute])*
        #[inline(never)]
        fn $name(times: u32) {
            for _ in 0..times {
                $body;
            }
        }
    };
}

form!(
    /// The loop alone.
    // SAFETY: there is no instruction; it keeps the loop.
    empty: unsafe { asm!("", options(nomem, nostack, preserves_flags)) }
);
form!(
    /// The work alone.
    work_alone: work()
);
form!(disable: irq::disable());
form!(unmask: enable());
form!(empty_section: irq::without_interrupts(|| ()));
form!(section: irq::without_interrupts(work));
form!(save_restore: {
    let state = irq::save();
    irq::disable();
    work();
    // SAFETY: see the module.
    unsafe { irq::restore(state) };
});

form!(
    /// `cli`.
    #[unsafe(link_section = ".sensitive.text")]
    // SAFETY: see the module.
    disable_by_hand: unsafe { asm!("cli", options(nostack)) }
);
form!(
    /// `sti`.
    #[unsafe(link_section = ".sensitive.text")]
    // SAFETY: see the module.
    unmask_by_hand: unsafe { asm!("sti", options(nostack)) }
);
form!(
    /// The section that tests the saved flag, with the branch where a person would put it.
    #[unsafe(link_section = ".sensitive.text")]
    section_by_hand: {
        let flags: u32;
        // SAFETY: see the module.
        unsafe { asm!("pushfd", "pop {}", "cli", out(reg) flags) };
        work();
        // SAFETY: see the module.
        unsafe { asm!("test {0:h}, 2", "jz 2f", "sti", "2:", in(reg_abcd) flags, options(nostack)) };
    }
);
form!(
    /// The section that restores all flags, as kernels for one machine do.
    #[unsafe(link_section = ".sensitive.text")]
    save_restore_by_hand: {
        let flags: u32;
        // SAFETY: see the module.
        unsafe { asm!("pushfd", "pop {}", "cli", out(reg) flags) };
        work();
        // SAFETY: see the module.
        unsafe { asm!("push {}", "popfd", in(reg) flags) };
    }
);
form!(
    /// The shape of the crate x86_64's `without_interrupts`: nothing is masked where it is masked already.
    #[unsafe(link_section = ".sensitive.text")]
    section_of_x86_64: {
        let flags: u32;
        // SAFETY: see the module.
        unsafe { asm!("pushfd", "pop {}", out(reg) flags, options(nomem, preserves_flags)) };
        let was_enabled = flags & INTERRUPT_FLAG != 0;
        if was_enabled {
            // SAFETY: see the module.
            unsafe { asm!("cli", options(preserves_flags, nostack)) };
        }
        work();
        if was_enabled {
            // SAFETY: see the module.
            unsafe { asm!("sti", options(preserves_flags, nostack)) };
        }
    }
);

/// A form: its name, and the function that runs it.
type Form = (&'static str, fn(u32));

/// The forms of the guest crate.
const FORMS: [Form; 7] = [
    ("empty", empty),
    ("work", work_alone),
    ("disable", disable),
    ("enable", unmask),
    ("without_interrupts.empty", empty_section),
    ("without_interrupts", section),
    ("save_restore", save_restore),
];
/// Those written by hand; the last one has no effect in a ring in which `popf` leaves the flag alone.
const BY_HAND: [Form; 5] = [
    ("disable.by_hand", disable_by_hand),
    ("enable.by_hand", unmask_by_hand),
    ("without_interrupts.by_hand", section_by_hand),
    ("without_interrupts.x86_64", section_of_x86_64),
    ("save_restore.by_hand", save_restore_by_hand),
];

pub fn run(report: &mut Report, activation: &Activation) {
    settle();
    let mut ticks = [[0_u64; ROUNDS]; FORMS.len() + BY_HAND.len()];
    let (by_hand, (times, rounds)) = match activation.privilege() {
        Privilege::Ring0 => (&BY_HAND[..], EFFORT),
        // They would trap in a patched kernel, where nobody would use them.
        Privilege::Paravirtual => (&[][..], EFFORT),
        Privilege::Trapped => (&BY_HAND[..BY_HAND.len() - 1], TRAPPED_EFFORT),
    };
    let forms = || FORMS.iter().chain(by_hand);
    report.check("bench.flag", |check| {
        for round in 0..rounds {
            for ((name, run), ticks) in forms().zip(&mut ticks) {
                // Once: a form that does the opposite may come out right behind an even number of runs.
                enable();
                run(1);
                check.equal(name, flags_are_enabled(), !name.starts_with("disable"));
                enable();
                let start = raw::rdtsc();
                run(times);
                ticks[round] = raw::rdtsc() - start;
            }
        }
    });
    for ((name, _), ticks) in forms().zip(&ticks) {
        line!("@ticks {name} {times}{}", Numbers(&ticks[..rounds]));
    }
    settle();
}

/// IF, as an interrupt finds it.
fn flags_are_enabled() -> bool {
    flags_in_frame() & INTERRUPT_FLAG != 0
}

/// Numbers, each behind a blank.
struct Numbers<'a>(&'a [u64]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|number| {
            f.write_char(' ')?;
            number.fmt(f)
        })
    }
}
