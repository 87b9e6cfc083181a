//! What masking and unmasking cost under a hypervisor: nothing where the sites are patched, a trap each time
//! where they are not.
//!
//! The hypervisor counts how often it was entered, and shows the count at a port. Where nobody answers there,
//! nobody counts.

use core::hint::black_box;

use paravirt_vmi::irq;

use super::{check, enable, restore};
use crate::activation::{Activation, Privilege};
use crate::port::Port32;
use crate::report::{Check, Report, figure};
use crate::serial::line;

/// How often each function is called.
const TIMES: u32 = 10_000;
/// How often a count is taken. The hypervisor has interrupts of its own, so the least counts.
const COUNTS: u32 = 3;

/// A function, and whether its native form traps.
const FUNCTIONS: [(&str, fn(), bool); 5] = [
    ("exits.disable", irq::disable, true),
    ("exits.enable", enable, true),
    // `pushf`
    ("exits.save", save, false),
    ("exits.restore", save_and_restore, true),
    ("exits.without_interrupts", without_interrupts, true),
];

pub fn run(report: &mut Report, activation: &Activation) {
    if counter().is_none() {
        line!("exits.* are left out: no hypervisor counts them on this machine");
        return;
    }
    check(report, "exits.masking", |check| masking(check, activation.privilege()));
}

/// The number of times that the hypervisor was entered, if there is one that counts.
#[allow(unsafe_code)]
fn counter() -> Option<u32> {
    // SAFETY: the port belongs to the hypervisor, which answers with a number; elsewhere to nobody.
    const COUNTER: Port32 = unsafe { Port32::new(0x5650) };
    let count = COUNTER.read();
    (count != !0).then_some(count)
}

fn save() {
    black_box(irq::save());
}

fn save_and_restore() {
    restore(black_box(irq::save()));
}

fn without_interrupts() {
    irq::without_interrupts(|| black_box(0));
}

/// How often the hypervisor was entered while `f` ran.
fn exits(f: impl Fn()) -> u32 {
    let count = |f: &dyn Fn()| {
        let before = counter().unwrap_or_default();
        f();
        counter().unwrap_or_default().wrapping_sub(before)
    };
    // Reading the counter is an exit too.
    let least = |f: &dyn Fn()| (0..COUNTS).map(|_| count(f)).min().unwrap_or_default();
    least(&f).saturating_sub(least(&|| ()))
}

fn masking(check: &mut Check, privilege: Privilege) {
    enable();
    for (name, function, traps) in FUNCTIONS {
        let found = exits(|| (0..TIMES).for_each(|_| function()));
        figure(name, found);
        match privilege {
            Privilege::Trapped if traps => check.at_least(name, found, TIMES),
            _ => {
                check.equal(name, found, 0);
            }
        }
    }
    irq::disable();
}
