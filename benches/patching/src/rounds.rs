//! Rounds: this crate and the peer by turns.
//!
//! # Safety
//!
//! Reads the time-stamp counter, and sets an alarm.
#![allow(unsafe_code)]

use std::arch::asm;

use crate::{ours, peer};

/// The seconds after which the process is ended, whatever it does.
const LIMIT: u32 = 240;

/// Numbers of sites, and how often each is measured.
const SIZES: [(usize, usize); 4] = [(10, 501), (1_000, 201), (100_000, 21), (1_000_000, 11)];
/// Rounds with the peer as published, which takes microseconds a site.
const LINUX_ROUNDS: usize = 3;

/// What was measured: its name, and the ticks in each round.
#[derive(Default)]
struct Samples(Vec<(&'static str, Vec<u64>)>);

impl Samples {
    /// Measures, and adds what it took.
    fn time<T>(&mut self, name: &'static str, run: impl FnOnce() -> T) -> T {
        let start = now();
        let result = run();
        let ticks = now() - start;
        match self.0.iter_mut().find(|(found, _)| *found == name) {
            Some((_, samples)) => samples.push(ticks),
            None => self.0.push((name, vec![ticks])),
        }
        result
    }

    /// Begins anew: the first round maps and warms.
    fn forget(&mut self) {
        self.0.iter_mut().for_each(|(_, ticks)| ticks.clear());
    }

    /// Writes them, for so many sites each.
    fn print(&self, sites: usize) {
        for (name, ticks) in &self.0 {
            let ticks: Vec<_> = ticks.iter().map(u64::to_string).collect();
            println!("@ticks {name} {sites} {}", ticks.join(" "));
        }
    }
}

/// Measures, and writes what was measured.
pub fn main() {
    // SAFETY: ends the process, at most.
    unsafe { libc::alarm(LIMIT) };
    let mut once = Samples::default();
    once.time("static_keys.init", peer::initialize);
    once.print(peer::sites());
    for (sites, rounds) in SIZES {
        measure(sites, rounds).print(sites);
    }
    // Last of all: it maps every page of its sites anew.
    for (sites, _) in SIZES {
        if let Some(key) = peer::linux(sites) {
            measure_linux(key).print(sites);
        }
    }
}

/// So many rounds with so many sites; one more before, which maps and warms.
fn measure(sites: usize, rounds: usize) -> Samples {
    let kernel = ours::Kernel::new(sites);
    let mut writer = kernel.writer();
    let mut samples = Samples::default();
    for round in 0..=rounds {
        let plan = samples.time("patching.plan", || kernel.plan());
        samples.time("patching.commit", || ours::commit(&plan, &mut writer));
        samples.time("patching.revert", || ours::revert(&plan, &mut writer));
        if let Some(key) = peer::plain(sites) {
            samples.time("static_keys.plain.enable", || key.set(true));
            samples.time("static_keys.plain.disable", || key.set(false));
        }
        if round == 0 {
            samples.forget();
        }
    }
    samples
}

/// The same with the peer as published.
fn measure_linux(key: &dyn peer::Key) -> Samples {
    let mut samples = Samples::default();
    for round in 0..=LINUX_ROUNDS {
        samples.time("static_keys.linux.enable", || key.set(true));
        samples.time("static_keys.linux.disable", || key.set(false));
        if round == 0 {
            samples.forget();
        }
    }
    samples
}

/// The time-stamp counter, when everything before is done and nothing behind has begun.
fn now() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: a processor that runs 64-bit Linux has the instructions.
    unsafe { asm!("lfence", "rdtsc", "lfence", out("eax") low, out("edx") high, options(nostack)) };
    u64::from(high) << 32 | u64::from(low)
}
