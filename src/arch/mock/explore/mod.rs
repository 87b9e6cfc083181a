//! Exploration: a test is run with an interrupt at every point where one could arrive.

mod coverage;
mod error;
mod explorer;
mod failed;
mod point;
mod schedule;
mod script;
mod search;
mod size;

pub use coverage::{Coverage, FlavourCoverage};
pub use error::{ExplorationError, Now};
pub use explorer::Explorer;
pub use failed::{FailedRun, InjectedInterrupt};
pub(super) use point::Step;
pub use point::{Opening, Point};
pub use schedule::{Injection, Schedule, ScheduleError};
pub(super) use script::Script;

use super::Cpu;

/// Explores `test` as [`Explorer::new`] does: up to two interrupts, on both flavours.
///
/// ```
/// use paravirt_vmi::{irq, mock};
/// use std::{cell::Cell, rc::Rc};
///
/// let coverage = mock::explore(|cpu| {
///     let ticks = Rc::new(Cell::new(0));
///     let counter = ticks.clone();
///     cpu.handle(0x20, move || counter.set(counter.get() + 1));
///     cpu.source(0x20); // a device that interrupts at any time
///     irq::without_interrupts(|| assert_eq!(ticks.get(), ticks.get()));
/// });
/// println!("{coverage}");
/// ```
///
/// # Panics
///
/// If a run of the test fails as in [`run`](super::run()), with everything that is known of it. If the bound is too
/// large, or the test does not do the same again: see [`ExplorationError`].
#[track_caller]
pub fn explore(test: impl Fn(Cpu) + Send + 'static) -> Coverage {
    Explorer::new().explore(test)
}
