//! What user programs do to the interrupt flag, and what they get: the seven claims, each with its figures.
//!
//! 1. Interrupts are always enabled while user code runs.
//! 2. User code may be granted ports, but never influence on the interrupt flag.
//! 3. `cli` and `sti` fault without that grant; with it they do nothing.
//! 4. `popf` leaves the interrupt flag alone, without a trap.
//! 5. User code sees IF = 1.
//! 6. A program that masks interrupts for a long loop neither does so nor is ended.
//! 7. What programs mask interrupts for can be done without.

use super::check;
use crate::fault::{Fault, GENERAL_PROTECTION};
use crate::report::{Check, Report, claim, figure};
use crate::serial::line;
use crate::traps::INTERRUPT_FLAG;
use crate::user::instruction::{self, Instruction};
use crate::user::video::Right;
use crate::user::{self, Entry, Outcome, clock, dot_clock, mail, nested, video};
use crate::{cmos, pit, ticks, vga};

/// Timer cycles from tick to tick in the measurement, 40 milliseconds, and how many instructions a tick takes,
/// about 7 milliseconds. The screen is drawn in some 14: of twelve drawings some begin or end in a tick, and
/// some meet none.
const RARE: u16 = 47_700;
const WORK: u32 = 7_000_000;

pub fn run(report: &mut Report) {
    let [entries, masked] = user::entries();
    check(report, "program.mail", masks_in_vain);
    check(report, "program.nested", nests_in_vain);
    check(report, "program.without_ports", faults_without_ports);
    check(report, "program.frame", a_frame_with_if_clear_is_corrected);
    if vga::is_present() {
        check(report, "program.video", video_is_handed_over);
    } else {
        line!("program.video is left out: this machine has no VGA");
    }
    if vga::has_retrace() {
        check(report, "program.dot_clock", the_best_measurement_is_undisturbed);
    } else {
        line!("program.dot_clock is left out: this machine shows no retrace");
    }
    check(report, "program.clock", readings_agree);
    check(report, "program.entries", |check| {
        let [later, masked_later] = user::entries();
        check.equal("entries into the kernel with IF = 0 in ring 3", masked_later - masked, 0);
        claim(1, "user.entries", later - entries);
        claim(1, "user.entries_masked", masked_later - masked);
    });
}

/// Ends a check's doubts about a program that must end by itself.
fn ended_by_itself(check: &mut Check, outcome: &Outcome) {
    check.equal("exception that ended the program", outcome.fault, None);
}

/// Ticks arrive in the loop that the program takes to be masked.
fn masks_in_vain(check: &mut Check) {
    pit::periodic(pit::fast());
    let mut outcome = None;
    let in_loop = ticks::watch(mail::masked(), || outcome = Some(mail::run()));
    let Some(outcome) = outcome else { return };
    ended_by_itself(check, &outcome);
    let rounds = outcome.answers[0];
    check.equal("rounds", rounds, mail::ROUNDS);
    check.equal("cli and sti that were skipped", outcome.skipped, [mail::ROUNDS; 2]);
    check.at_least("ticks in the loop", in_loop, mail::ROUNDS);
    claim(6, "mail.rounds", rounds);
    claim(6, "mail.ticks_in_masked_loop", in_loop);
    claim(6, "mail.killed", outcome.fault.is_some().into());
    claim(3, "mail.skipped", outcome.skipped.iter().sum());
}

/// `pushf` shows IF = 1 at every step, and `popf` changes nothing.
fn nests_in_vain(check: &mut Check) {
    pit::periodic(pit::fast());
    let mut outcome = None;
    let in_sections = ticks::watch(nested::masked(), || outcome = Some(nested::run()));
    let Some(outcome) = outcome else { return };
    ended_by_itself(check, &outcome);
    let mut clear = 0;
    for (step, flags) in nested::STEPS.iter().zip(outcome.answers) {
        check.equal(step, flags & INTERRUPT_FLAG, INTERRUPT_FLAG);
        clear += u32::from(flags & INTERRUPT_FLAG == 0);
    }
    check.equal("cli that were skipped", outcome.skipped, [2, 0]);
    check.at_least("ticks in the sections", in_sections, 1);
    let behind_popf = outcome.answers[5] & INTERRUPT_FLAG == 0;
    claim(2, "nested.if_clear_behind_cli", u32::from(outcome.answers[2] & INTERRUPT_FLAG == 0));
    claim(4, "nested.if_clear_behind_popf", behind_popf.into());
    claim(5, "nested.looks_at_eflags", nested::STEPS.len() as u32);
    claim(5, "nested.if_clear", clear);
}

/// Without ports the instructions are what they are on hardware.
fn faults_without_ports(check: &mut Check) {
    let mut faults = 0;
    for instruction in [Instruction::Cli, Instruction::Sti] {
        let outcome = user::run(Entry::Iret, instruction.program());
        let found =
            outcome.fault.map(|Fault { vector, error_code, eip, .. }| (vector, error_code, Some(eip)));
        check.equal("exception", found, Some((GENERAL_PROTECTION, 0, instruction.address())));
        check.equal("cli and sti that were skipped", outcome.skipped, [0; 2]);
        faults += u32::from(outcome.fault.is_some());
    }
    for instruction in [Instruction::In, Instruction::Out] {
        let fault = user::run(Entry::Iret, instruction.program()).fault;
        check.equal("exception at a port", fault.map(|fault| fault.vector), Some(GENERAL_PROTECTION));
    }
    claim(3, "without_ports.faults", faults);
}

/// A frame that is to lead to masked interrupts cannot be built.
fn a_frame_with_if_clear_is_corrected(check: &mut Check) {
    use paravirt_vmi::user::UserFlags;
    let program = Instruction::Popf.program();
    let outcome = user::run_with_flags(program, UserFlags::new(0).bits());
    ended_by_itself(check, &outcome);
    let (before, behind, _) = instruction::answers(&outcome);
    check.equal("IF at the start", before & INTERRUPT_FLAG, INTERRUPT_FLAG);
    check.equal("IF behind popf", behind & INTERRUPT_FLAG, INTERRUPT_FLAG);
}

/// The kernel and the program keep out of each other's way by agreement.
fn video_is_handed_over(check: &mut Check) {
    let refused = video::run(Right::None);
    let fault = refused.fault.map(|fault| (fault.vector, fault.error_code));
    check.equal("exception without any right", fault, Some((GENERAL_PROTECTION, 0)));

    let mut run = |right| {
        pit::periodic(pit::fast());
        vga::move_cursor(true);
        let outcome = video::run(right);
        pit::quiet();
        let moves = vga::moves();
        vga::move_cursor(false);
        ended_by_itself(check, &outcome);
        check.at_least("ticks meanwhile", outcome.answers[video::answer::TICKS], video::ROUNDS);
        (outcome.answers, moves)
    };
    let (without, _) = run(Right::Ports);
    let (with, [_, kept_away]) = run(Right::HandOver);
    let raced = |answers: &[u32]| answers[video::answer::RACED];
    check.at_least("values lost without hand-over", raced(&without), 1);
    check.equal("values lost", raced(&with), 0);
    check.equal("calls refused", with[video::answer::CALLS], 0);
    check.at_least("ticks at which the kernel kept away", kept_away, video::ROUNDS);
    let taken = vga::give_back();
    check.equal("the program still has the hardware", taken, false);
    claim(7, "video.lost_without_hand_over", raced(&without));
    claim(7, "video.lost", raced(&with));
    claim(2, "video.written", video::ROUNDS - raced(&with));
}

/// The same measurement twice, at rest and with ticks that take long.
fn the_best_measurement_is_undisturbed(check: &mut Check) {
    use dot_clock::answer::{BEST, LONGEST, SHORTEST, TICKS};
    pit::quiet();
    let at_rest = dot_clock::run();
    ended_by_itself(check, &at_rest);
    ticks::set_work(WORK);
    pit::periodic(RARE);
    let disturbed = dot_clock::run();
    pit::quiet();
    ticks::set_work(0);
    ended_by_itself(check, &disturbed);
    let reference = at_rest.answers[BEST].max(1);
    let [best, shortest, longest] = [BEST, SHORTEST, LONGEST].map(|index| disturbed.answers[index]);
    let permille = |cycles: u32| (u64::from(cycles) * 1000 / u64::from(reference)) as u32;
    let off = permille(best.abs_diff(reference));
    check.equal("the best measurement is right to one in a hundred", off <= 10, true);
    check.at_least("thousandths by which the others differ", permille(longest - shortest.min(longest)), 20);
    check.at_least("ticks meanwhile", disturbed.answers[TICKS], 2);
    claim(7, "dot_clock.cycles_at_rest", reference);
    claim(7, "dot_clock.best", best);
    claim(7, "dot_clock.shortest", shortest);
    claim(7, "dot_clock.longest", longest);
}

/// The program's last reading lies between two of the kernel's, and none was earlier than the one before.
fn readings_agree(check: &mut Check) {
    use clock::answer::{BACKWARDS, DATE, DISAGREED, TICKS, TIME};
    let before = cmos::read();
    pit::periodic(pit::fast());
    let outcome = clock::run();
    pit::quiet();
    let after = cmos::read();
    ended_by_itself(check, &outcome);
    let found = cmos::Reading { date: outcome.answers[DATE], time: outcome.answers[TIME] };
    if !(before <= found && found <= after) {
        check.failed(format_args!("the program reads {found:x?}, between {before:x?} and {after:x?}"));
    }
    check.equal("readings that went backwards", outcome.answers[BACKWARDS], 0);
    check.at_least("ticks meanwhile", outcome.answers[TICKS], clock::READINGS / 10);
    claim(7, "clock.readings", clock::READINGS);
    figure("program.clock.disagreed", outcome.answers[DISAGREED]);
}
