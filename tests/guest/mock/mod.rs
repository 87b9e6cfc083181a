//! The mock processor: when interrupts arrive, what it notices, and when it gives up.

mod alarms;
mod correct;
mod delivery;
mod devices;
mod end;
mod halt;
mod journal;
mod leave;
mod limits;
mod misuse;
mod nesting;
mod order;
mod unwinding;

use std::fmt::Debug;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, Entry, Event, Failure, Flavour, Limits, try_run};

/// The vector of the timer, and of another device.
const TIMER: u8 = 0x20;
const KEYBOARD: u8 = 0x21;

/// `irq::enable`, of code on which nothing relies.
#[track_caller]
fn enable() {
    // SAFETY: no code in these tests relies on masked interrupts for its soundness.
    unsafe { irq::enable() };
}

/// `irq::restore`, in whatever order.
#[track_caller]
fn restore(state: irq::State) {
    // SAFETY: as in `enable`.
    unsafe { irq::restore(state) };
}

/// `irq::enable_and_halt`.
#[track_caller]
fn halt() {
    // SAFETY: as in `enable`.
    unsafe { irq::enable_and_halt() };
}

/// `irq::Guard::new`.
#[track_caller]
fn guard() -> irq::Guard {
    // SAFETY: as in `enable`.
    unsafe { irq::Guard::new() }
}

/// What has happened from `first` on, a line each, handlers indented; calls of `irq` by their names.
fn trace(cpu: Cpu) -> Vec<String> {
    cpu.journal().iter().map(line).collect()
}

fn line(entry: &Entry) -> String {
    let indent = "  ".repeat(entry.depth);
    match &entry.event {
        Event::Call { call, .. } => format!("{indent}{call}"),
        Event::Raised { vector } => format!("{indent}raise {vector:#04x}"),
        Event::Delivered { vector } => format!("{indent}enter {vector:#04x}"),
        Event::Returned { vector } => format!("{indent}leave {vector:#04x}"),
        event => format!("{indent}{event}"),
    }
}

/// Runs `f` on a fresh processor with a timer and a keyboard whose handlers do nothing, in each flavour: what has
/// happened, natively and under a hypervisor.
fn traces(f: fn(Cpu)) -> [Vec<String>; 2] {
    Flavour::ALL.map(|flavour| {
        let result = try_run(Limits::DEFAULT, move |cpu| {
            cpu.set_flavour(flavour);
            cpu.handle(TIMER, || ());
            cpu.handle(KEYBOARD, || ());
            f(cpu);
            trace(cpu)
        });
        result.unwrap_or_else(|failure| panic!("{flavour:?}: {failure}"))
    })
}

/// Why `f` fails on a fresh processor.
#[track_caller]
fn failure<R: Debug + Send + 'static>(f: impl FnOnce(Cpu) -> R + Send + 'static) -> Failure {
    failure_within(Limits::DEFAULT, f)
}

/// Why `f` fails on a fresh processor with other limits.
#[track_caller]
fn failure_within<R: Debug + Send + 'static>(
    limits: Limits,
    f: impl FnOnce(Cpu) -> R + Send + 'static,
) -> Failure {
    try_run(limits, f).expect_err("the test fails")
}

/// The place of the one line of `source`, at `file`, that ends with the comment `mark`.
#[track_caller]
fn marked(file: &str, source: &str, mark: &str) -> String {
    let comment = format!("// {mark}");
    let lines = source.lines().enumerate();
    let found: Vec<usize> =
        lines.filter(|(_, line)| line.ends_with(&comment)).map(|(index, _)| index + 1).collect();
    match *found {
        [line] => format!("{file}:{line}"),
        _ => panic!("{} lines are marked {mark:?}", found.len()),
    }
}
