//! The example driver, in a kernel: its handler samples every tick, and the main loop sees each sample once.
//!
//! The same source is explored on the host; the hashes of its files say so.
//!
//! # Safety
//!
//! The suite is the kernel's idle loop: nothing above it relies on masked interrupts.
#![allow(unsafe_code)]

use paravirt_vmi::irq;
use vmi_sampler::source::SOURCES;
use vmi_sampler::{Lateness, Period};

use super::timer::Random;
use super::{check, enable, spin, when_ticking};
use crate::report::{Check, Report, figure, source};
use crate::sampling::{self, ROOM, SAMPLER};
use crate::{pit, ticks};

/// How many ticks are sampled at least.
const TICKS: u32 = 1_000;
/// How many turns the main loop makes for each tick at the most.
const PATIENCE: u32 = 100;
/// The longest stretch of work for each count of the period, in instructions: half the period in ring 0.
const WORK: u32 = 400;

pub fn run(report: &mut Report) {
    check(report, "sampler.ticks", when_ticking(each_tick_is_seen_once));
    check(report, "sampler.overflow", when_ticking(what_does_not_fit_is_counted));
    for file in SOURCES {
        source(file.file, file.hash);
    }
}

/// Takes samples, and knows which one comes next.
struct Reader {
    period: Period,
    next: u32,
    lateness: Lateness,
}

impl Reader {
    /// Turns the driver on; the next sample is the first one.
    fn start(check: &mut Check) -> Self {
        check.equal("samples left over", SAMPLER.take(), None);
        let period = Period::new(pit::fast()).expect("the timer can tick so fast");
        let reader = Self { period, next: SAMPLER.ticks(), lateness: Lateness::new() };
        sampling::start(period);
        enable();
        reader
    }

    /// Takes all samples that there are.
    fn drain(&mut self, check: &mut Check) {
        while let Some(sample) = SAMPLER.take() {
            check.equal("number of the tick", sample.tick, self.next);
            self.next = sample.tick.wrapping_add(1);
            match self.period.elapsed(sample.count) {
                Some(counts) => self.lateness.add(counts),
                None => check.failed(format_args!("count in the handler: {}", sample.count)),
            }
        }
    }
}

fn each_tick_is_seen_once(check: &mut Check) {
    let (before, lost) = (ticks::count(), SAMPLER.lost());
    let mut random = Random::new(0x6C07_8965);
    let mut reader = Reader::start(check);
    let first = reader.next;
    let longest = WORK * u32::from(reader.period.counts());
    for _ in 0..PATIENCE * TICKS {
        match random.below(4) {
            0 => irq::without_interrupts(|| spin(random.below(longest))),
            // Some periods: samples pile up.
            1 => spin(random.below(8 * longest)),
            2 => {
                let count = SAMPLER.count();
                check.equal("elapsed", reader.period.elapsed(count).is_some(), true);
            }
            // SAFETY: see the module.
            _ => unsafe { SAMPLER.wait() },
        }
        reader.drain(check);
        if reader.lateness.samples() >= TICKS {
            break;
        }
    }
    sampling::stop();
    let delivered = ticks::count() - before;
    pit::quiet();
    reader.drain(check);
    check.equal("ticks that the driver has seen", SAMPLER.ticks().wrapping_sub(first), delivered);
    check.equal("samples", reader.lateness.samples(), delivered);
    check.equal("samples lost", SAMPLER.lost().wrapping_sub(lost), 0);
    check.at_least("samples", reader.lateness.samples(), TICKS);
    figure("sampler.samples", reader.lateness.samples());
    figure("sampler.lost", SAMPLER.lost().wrapping_sub(lost));
    figure("sampler.period", reader.period.counts().into());
    if let (Some((_, worst)), Some(mean)) = (reader.lateness.range(), reader.lateness.mean()) {
        figure("sampler.worst", worst.into());
        figure("sampler.mean", mean.into());
    }
}

/// Nobody takes samples for a while: the first ones are there, the others are counted.
fn what_does_not_fit_is_counted(check: &mut Check) {
    let (before, lost) = (ticks::count(), SAMPLER.lost());
    let mut reader = Reader::start(check);
    let came = ticks::wait_for(before + 3 * ROOM as u32);
    sampling::stop();
    let delivered = ticks::count() - before;
    pit::quiet();
    reader.drain(check);
    check.equal("ticks arrive", came, true);
    check.equal("samples", reader.lateness.samples(), ROOM as u32);
    check.equal("samples lost", SAMPLER.lost().wrapping_sub(lost), delivered.wrapping_sub(ROOM as u32));
}
