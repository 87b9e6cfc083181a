//! The crate `critical-section`, whose sections are masked sections of this kernel, and a crate that relies
//! on it.
//!
//! # Safety
//!
//! Sections that are entered and left by hand nest.
#![allow(unsafe_code)]

use paravirt_vmi::irq;

use super::flag::expect;
use super::pending::{arrives_once, hold_back_a_tick};
use super::timer::Random;
use super::{check, enable, spin};
use crate::report::{Check, Report, figure};
use crate::{mailbox, pit, ticks};

/// How many items go through the channel.
const ITEMS: u32 = 4_000;
/// How many where ticks come one by one.
const SINGLE_ITEMS: u32 = 200;
/// How often the main loop looks for each item at the most.
const PATIENCE: u32 = 10_000;
/// The longest stretch between two looks, in instructions.
const LONGEST: u32 = 1 << 10;

pub fn run(report: &mut Report) {
    check(report, "critical_section.flag", flag);
    check(report, "critical_section.by_hand", sections_by_hand);
    check(report, "critical_section.masks", masks);
    check(report, "critical_section.channel", channel);
}

/// What holds of a kernel that is as it was built, in whatever ring it runs: of sections that do not nest, and
/// handlers that do not.
pub fn unpatched(report: &mut Report) {
    check(report, "critical_section.masks", |check| {
        arrives_once(check, |body| {
            enable();
            critical_section::with(|_| body());
        });
    });
    check(report, "critical_section.channel", single_ticks);
}

/// Sections of both kinds in each other, in unmasked and in masked code.
fn flag(check: &mut Check) {
    for enabled in [true, false] {
        let expect_outside = |check: &mut Check, when| expect(check, when, enabled);
        if enabled {
            enable();
        }
        critical_section::with(|_| {
            expect(check, "inside", false);
            critical_section::with(|_| expect(check, "inside two", false));
            expect(check, "behind the inner one", false);
            irq::without_interrupts(|| expect(check, "masked inside", false));
            expect(check, "behind what was masked inside", false);
        });
        expect_outside(check, "behind the outer one");
        irq::without_interrupts(|| {
            critical_section::with(|_| expect(check, "inside what is masked", false));
            expect(check, "behind the one in what is masked", false);
        });
        expect_outside(check, "behind what was masked");
        irq::disable();
    }
}

/// The two halves of a section, apart.
fn sections_by_hand(check: &mut Check) {
    enable();
    // SAFETY: released below, after the inner one.
    let outer = unsafe { critical_section::acquire() };
    expect(check, "inside", false);
    // SAFETY: released below.
    let inner = unsafe { critical_section::acquire() };
    expect(check, "inside two", false);
    // SAFETY: acquired last, and once.
    unsafe { critical_section::release(inner) };
    expect(check, "behind the inner one", false);
    // SAFETY: acquired first, and once.
    unsafe { critical_section::release(outer) };
    expect(check, "behind the outer one", true);
}

/// A tick that becomes pending in a section arrives behind the outermost one, once.
fn masks(check: &mut Check) {
    arrives_once(check, |body| {
        enable();
        critical_section::with(|_| critical_section::with(|_| body()));
    });
    enable();
    let before = ticks::count();
    critical_section::with(|_| {
        hold_back_a_tick(check);
        critical_section::with(|_| spin(1000));
        check.equal("ticks behind the inner section", ticks::count() - before, 0);
    });
    check.equal("tick arrives", ticks::wait_for(before + 1), true);
}

/// What the main loop has received.
#[derive(Default)]
struct Received {
    items: u32,
    lost: u32,
    twice: u32,
}

impl Received {
    /// Takes one item in: numbers come in order.
    fn take(&mut self, number: u32) {
        let expected = self.items + self.lost;
        match number.checked_sub(expected) {
            Some(missing) => {
                self.lost += missing;
                self.items += 1;
            }
            None => self.twice += 1,
        }
    }
}

/// The handler sends while the main loop receives; both count what went through.
fn channel(check: &mut Check) {
    let mut received = Received::default();
    let mut random = Random::new(0x1234_5678);
    let mut unmasked = true;
    let before = ticks::counts();
    mailbox::open(ITEMS);
    pit::periodic(pit::fast());
    enable();
    for _ in 0..ITEMS {
        let item = (0..PATIENCE).find_map(|_| {
            let item = mailbox::receive();
            unmasked &= irq::is_enabled();
            item
        });
        let Some(number) = item else { break };
        received.take(number);
        mailbox::count_up();
        if random.below(16) == 0 {
            spin(random.below(LONGEST));
        }
    }
    irq::disable();
    let after = ticks::counts();
    let sent = mailbox::close();
    let rest = core::iter::from_fn(mailbox::receive).count();
    let taken = received.items + received.twice;
    let counts_lost = (sent + taken).wrapping_sub(mailbox::count());
    figure("critical_section.items", received.items);
    figure("critical_section.lost", received.lost);
    figure("critical_section.twice", received.twice);
    figure("critical_section.counts_lost", counts_lost);
    check.equal("items sent", sent, ITEMS);
    check.equal("items received", received.items, ITEMS);
    check.equal("items lost", received.lost, 0);
    check.equal("items received twice", received.twice, 0);
    check.equal("items left over", rest, 0);
    check.equal("counts lost", counts_lost, 0);
    check.equal("enabled behind every section", unmasked, true);
    let ticks = after.delivered - before.delivered;
    check.at_least("ticks", ticks, ITEMS / mailbox::ITEMS_PER_TICK);
    check.equal("ticks while masked", after.while_masked - before.while_masked, 0);
}

/// The same with one tick after the other, each of them over before the next.
fn single_ticks(check: &mut Check) {
    let mut received = Received::default();
    mailbox::open(SINGLE_ITEMS);
    enable();
    for _ in 0..SINGLE_ITEMS / mailbox::ITEMS_PER_TICK {
        let before = ticks::count();
        pit::one_shot(pit::fast());
        check.equal("tick arrives", ticks::wait_for(before + 1), true);
        while let Some(number) = mailbox::receive() {
            received.take(number);
        }
        check.equal("enabled behind a section", irq::is_enabled(), true);
    }
    irq::disable();
    check.equal("items sent", mailbox::close(), SINGLE_ITEMS);
    check.equal("items received", received.items, SINGLE_ITEMS);
    check.equal("items lost", received.lost, 0);
    check.equal("items received twice", received.twice, 0);
}
