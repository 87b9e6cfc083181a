//! Rounds: every form once, and again, so that what disturbs one disturbs the others too.
//!
//! # Safety
//!
//! Reads the time-stamp counter, sets an alarm, and starts this program anew in its own place.
#![allow(unsafe_code)]

use std::arch::asm;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering::Relaxed;
use std::{env, thread};

use paravirt_vmi_abi::flags::InterruptMask;
use vmi_hypervisor::layout::shared;

use crate::machine::SharedPage;
use crate::state::{Kernel, State};
use crate::{monitor, padding, section};

/// The seconds after which the process is ended, whatever it does.
const LIMIT: u32 = 120;

/// How often every form is measured.
const ROUNDS: usize = 1001;
/// Sections in a measurement, and where each is two signals.
const SECTIONS: u32 = 4096;
const TRAPPED_SECTIONS: u32 = 64;

/// How often the program is started until there is room for the page that it shares with the ROM: where the stack
/// lies is random, and about one in six has none.
const ATTEMPTS: u32 = 40;

/// The name of calls in this build.
const CALLS: &str = if cfg!(feature = "indirect") { "indirect" } else { "calls" };

/// What one form has taken in each round.
struct Form {
    name: String,
    state: State,
    sections: u32,
    run: fn(u32),
    ticks: Vec<u64>,
}

/// The forms, in the order in which a round measures them.
fn forms() -> Vec<Form> {
    let mut forms = Vec::new();
    let mut add = |name: &str, state, sections, run| {
        forms.push(Form { name: name.to_owned(), state, sections, run, ticks: Vec::new() });
    };
    let mut patched = |name: &str, state| {
        add(&format!("without_interrupts.{name}"), state, SECTIONS, section::without_interrupts as fn(u32));
        add(&format!("disable_enable.{name}"), state, SECTIONS, section::disable_enable);
        add(&format!("save_restore.{name}"), state, SECTIONS, section::save_restore);
    };
    if !cfg!(feature = "indirect") {
        patched("inline", State::Inline);
    }
    patched(CALLS, State::Calls);
    for (name, run) in [
        ("without_interrupts.by_hand", section::by_hand as fn(u32)),
        ("disable_enable.by_hand", section::stores_by_hand),
        ("work", section::nothing),
        ("padding.prefixes", padding::prefixes),
        ("padding.filler", padding::filler),
    ] {
        add(name, State::Native, SECTIONS, run);
    }
    add("without_interrupts.trapped", State::Native, TRAPPED_SECTIONS, section::without_interrupts);
    forms
}

/// Measures, and writes what was measured.
pub fn main() -> ExitCode {
    // SAFETY: ends the process, at most.
    unsafe { libc::alarm(LIMIT) };
    // First of all, so that nothing else is put there.
    if let Err(error) = SharedPage::map() {
        return start_again(&error);
    }
    // A thread, so that the stack is not one that grows towards the page.
    match thread::Builder::new().spawn(measure).map(thread::JoinHandle::join) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Starts the program in its own place, where the stack lies elsewhere; returns if that was done too often.
fn start_again(reason: &std::io::Error) -> ExitCode {
    let attempt: u32 = env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1);
    if attempt >= ATTEMPTS {
        eprintln!("no room for the shared page in {attempt} processes: {reason}");
        return ExitCode::FAILURE;
    }
    let error = match env::current_exe() {
        Ok(program) => Command::new(program).arg((attempt + 1).to_string()).exec(),
        Err(error) => error,
    };
    eprintln!("cannot start again: {error}");
    ExitCode::FAILURE
}

fn measure() {
    monitor::start();
    let mut kernel = Kernel::boot();
    let mut forms = forms();
    for _ in 0..ROUNDS {
        for state in [State::Inline, State::Calls, State::Native] {
            let measured = forms.iter_mut().filter(|form| form.state == state);
            kernel.run_in(state, || measured.for_each(Form::measure));
        }
    }
    for Form { name, sections, ticks, .. } in &forms {
        let ticks: Vec<_> = ticks.iter().map(u64::to_string).collect();
        println!("@ticks {name} {sections} {}", ticks.join(" "));
    }
}

impl Form {
    /// Runs once for the caches, and once for the clock; with the flag set, so that every section has something to put
    /// back.
    fn measure(&mut self) {
        SharedPage::word(shared::FLAG).store(InterruptMask::IF.bits(), Relaxed);
        (self.run)(self.sections);
        let start = now();
        (self.run)(self.sections);
        self.ticks.push(now() - start);
    }
}

/// The time-stamp counter, when everything before is done and nothing behind has begun. CPUID would do that as well, but
/// traps in a virtual machine.
fn now() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: a processor that runs 64-bit Linux has the instructions.
    unsafe { asm!("lfence", "rdtsc", "lfence", out("eax") low, out("edx") high, options(nostack)) };
    u64::from(high) << 32 | u64::from(low)
}
