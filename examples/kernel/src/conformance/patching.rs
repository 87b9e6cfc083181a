//! The text: as planned, native again, patched again.
//!
//! Besides what the plan says of itself, the checksum of the whole text decides: it shows that the
//! native text came back to the last byte, outside the sites too.
//!
//! # Safety
//!
//! Text is written with interrupts masked, by the only processor that runs.
#![allow(unsafe_code)]

use paravirt_vmi::boot::Vmi;
use paravirt_vmi::irq;
use paravirt_vmi::patch::CommitError;

use super::{check, flag, timer};
use crate::activation::Activation;
use crate::report::{Check, Report};
use crate::serial::line;
use crate::text;

/// How many ticks the masking check takes while the text is under test.
const TICKS: u32 = 200;

pub fn run(report: &mut Report, activation: &Activation) {
    match &activation.vmi {
        None => {
            check(report, "patch.native", |check| text_is_native(check, activation));
            line!("patch.applied, patch.revert, patch.again, patch.twice need a ROM");
        }
        Some(vmi) if vmi.kernel_ring != 0 => {
            check(report, "patch.applied", |check| text_is_patched(check, activation, vmi));
            line!("patch.revert, patch.again, patch.twice need ring 0");
        }
        Some(vmi) => {
            let patched_text = text::checksum();
            check(report, "patch.applied", |check| text_is_patched(check, activation, vmi));
            check(report, "patch.revert", |check| {
                check.succeeded("revert", revert(vmi));
                text_is_native(check, activation);
                check.succeeded("native sites", vmi.plan.verify_native(&text::writer()));
                masking_works(check);
            });
            check(report, "patch.again", |check| {
                check.succeeded("commit", commit(vmi));
                check.equal("text is patched as before", text::checksum(), patched_text);
                text_is_patched(check, activation, vmi);
                masking_works(check);
            });
            check(report, "patch.twice", |check| {
                check.succeeded("commit on top", commit(vmi));
                check.equal("text is patched as before", text::checksum(), patched_text);
                masking_works(check);
            });
        }
    }
}

fn commit(vmi: &Vmi) -> Result<(), CommitError> {
    // SAFETY: interrupts are masked, no other processor runs, and the ROM was initialised at boot.
    unsafe { vmi.plan.commit(&mut text::writer()) }
}

fn revert(vmi: &Vmi) -> Result<(), CommitError> {
    // SAFETY: interrupts are masked, no other processor runs, and the kernel is in ring 0.
    unsafe { vmi.plan.revert(&mut text::writer()) }
}

/// Every site holds its native bytes, and nothing else in the text has changed either.
fn text_is_native(check: &mut Check, activation: &Activation) {
    check.equal("text is native", text::checksum(), activation.native_text);
    for site in text::sites() {
        for (address, &native) in site.range().zip(site.native().as_slice()) {
            check.equal("byte of a site", text::byte(address), native);
        }
    }
}

/// Every site holds what the plan says, which is not the native text.
fn text_is_patched(check: &mut Check, activation: &Activation, vmi: &Vmi) {
    check.succeeded("planned sites", vmi.plan.verify(&text::writer()));
    let has_sites = text::sites().next().is_some();
    check.equal("text differs", text::checksum() != activation.native_text, has_sites);
}

/// The flag and the timer behave as they do in the rest of the suite.
fn masking_works(check: &mut Check) {
    flag::agree(check);
    flag::restore_sets_what_the_state_says(check);
    irq::disable();
    timer::mask_and_unmask(check, TICKS);
}
