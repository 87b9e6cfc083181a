//! [`Explorer`]: how a test is explored.

use core::time::Duration;
use std::boxed::Box;
use std::string::ToString;
use std::sync::{Arc, Mutex};
use std::vec::Vec;
use std::{env, eprintln, thread};

use super::super::run::{Watch, supervise};
use super::super::{Cpu, Failure, FailureCause, Flavour, Limits, Place};
use super::coverage::Coverage;
use super::error::ExplorationError;
#[cfg(doc)]
use super::explore;
use super::failed::FailedRun;
use super::schedule::Schedule;
use super::script::{Log, with_log};
use super::search::{Ended, Search};

/// The environment variable by which an exploration is made to replay one schedule.
const SCHEDULE: &str = "PARAVIRT_VMI_SCHEDULE";

/// How a test is explored.
///
/// The test is run again and again in one thread, each time on a fresh processor. What outlives a run, statics and
/// thread-local variables, the test must set first: it has to do the same whenever the same interrupts come.
///
/// # What is covered
///
/// A *point* is a gap with interrupts unmasked, not in the shadow of `sti`, at a time when at least one
/// [source](Cpu::source) can interrupt: its handler is not under way, or [may interrupt
/// itself](Cpu::handle_reentrant). The end of the test is one, too; the point of an access to an
/// [`UnsafeCell`](crate::sync::UnsafeCell) is in its middle. At each point nothing happens, or one source
/// interrupts; when its handler has returned, the same gap is a new point. With a bound of k every way to have
/// up to k interrupts is run once: first none, then one, and so on, so that the first failure takes as few as
/// possible.
///
/// Memory that is shared in another way than by [`sync`](crate::sync) has no points of its own: what the test does
/// to it, it does in one go with the operation before. [`Cpu::point`] makes a point where one is missing.
///
/// For a straight-line test with n points and v sources without a limit, whose handlers have no points, that is
///
/// ```text
/// sum over j = 0..=k of  C(n + j - 1, j) * v^j
/// ```
///
/// runs, and with m points in each handler, all of which can interrupt each other and themselves,
///
/// ```text
/// sum over j = 0..=k of  n / (n + j (m + 1)) * C(n + j (m + 1), j) * v^j
/// ```
///
/// # Halts
///
/// A processor that is halted with nothing pending goes on only if a source interrupts: the one that has not done
/// so for the longest time, at first the one that was registered first. That is not one of the k interrupts. That
/// another source wakes it is, so that a halt is a point with v - 1 possibilities, of which at most one happens. If
/// a timer or an alarm will wake the processor, each of the v sources can come before it, and none must.
///
/// A test that waits in a loop thus ends if each of its sources wakes it often enough, whatever k is. A loop that
/// waits with interrupts unmasked, without a halt, does not: in the first run nothing interrupts it. Neither does one
/// whose wake-up was lost. Both come to a [limit](Limits) or to a [misuse](crate::mock::Misuse).
///
/// # Replay
///
/// A failure has a [seed](Schedule), by which [`replay`](Self::replay) runs the test once, in the same way. With the
/// environment variable `PARAVIRT_VMI_SCHEDULE` set to it, [`explore`](Self::explore) and
/// [`try_explore`](Self::try_explore) do nothing but that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explorer {
    bound: usize,
    flavour: Option<Flavour>,
    max_runs: usize,
    limits: Limits,
}

impl Default for Explorer {
    fn default() -> Self {
        Self { bound: 2, flavour: None, max_runs: 1_000_000, limits: Limits::DEFAULT }
    }
}

impl Explorer {
    /// Up to 2 interrupts in a run, both flavours, up to 1,000,000 runs on each, [`Limits::DEFAULT`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Up to so many interrupts in a run.
    pub fn bound(mut self, bound: usize) -> Self {
        self.bound = bound;
        self
    }

    /// On this flavour only.
    pub fn flavour(mut self, flavour: Flavour) -> Self {
        self.flavour = Some(flavour);
        self
    }

    /// An exploration that would take more runs on one flavour is refused, if possible before it begins.
    pub fn max_runs(mut self, max_runs: usize) -> Self {
        self.max_runs = max_runs;
        self
    }

    /// A run may take so long.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limits.time = limit;
        self
    }

    /// A run may have so many operations.
    pub fn operations(mut self, limit: usize) -> Self {
        self.limits.operations = limit;
        self
    }

    /// So many handlers may be under way at a time.
    pub fn nesting(mut self, limit: usize) -> Self {
        self.limits.nesting = limit;
        self
    }

    /// Explores a test.
    ///
    /// # Panics
    ///
    /// As [`explore`] does.
    #[track_caller]
    pub fn explore(&self, test: impl Fn(Cpu) + Send + 'static) -> Coverage {
        match self.try_explore(test) {
            Ok(coverage) => {
                if coverage.replayed().is_some() {
                    eprintln!("{coverage}");
                }
                coverage
            }
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Like [`explore`](Self::explore), without a panic.
    ///
    /// # Errors
    ///
    /// Why the test has failed, or could not be explored.
    #[track_caller]
    pub fn try_explore(&self, test: impl Fn(Cpu) + Send + 'static) -> Result<Coverage, Failure> {
        let place = Place::caller();
        match env::var_os(SCHEDULE) {
            Some(seed) => self.replay_at(&seed.to_string_lossy(), place, test),
            None => self.explore_at(place, test),
        }
    }

    /// Runs a test once, as the seed of an earlier failure says.
    ///
    /// # Panics
    ///
    /// If the test fails, or is not one that the schedule fits.
    #[track_caller]
    pub fn replay(&self, seed: &str, test: impl Fn(Cpu) + Send + 'static) -> Coverage {
        match self.replay_at(seed, Place::caller(), test) {
            Ok(coverage) => coverage,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Like [`replay`](Self::replay), without a panic.
    ///
    /// # Errors
    ///
    /// Why the test has failed, or does not fit the schedule.
    #[track_caller]
    pub fn try_replay(&self, seed: &str, test: impl Fn(Cpu) + Send + 'static) -> Result<Coverage, Failure> {
        self.replay_at(seed, Place::caller(), test)
    }

    fn explore_at(&self, place: Place, test: impl Fn(Cpu) + Send + 'static) -> Result<Coverage, Failure> {
        let (bound, max_runs, limits) = (self.bound, self.max_runs, self.limits);
        let flavours = match self.flavour {
            Some(flavour) => std::vec![flavour],
            None => Flavour::ALL.to_vec(),
        };
        self.supervised(move |watch, log| {
            let cover = |flavour| {
                let (watch, log, test, done) = (&watch, &log, &test, (0, 0));
                Search { flavour, bound, max_runs, limits, place, watch, log, test, done }.cover()
            };
            let flavours = flavours.into_iter().map(cover).collect::<Result<Vec<_>, _>>()?;
            Ok(Coverage { bound, flavours, replayed: None })
        })
    }

    fn replay_at(
        &self,
        seed: &str,
        place: Place,
        test: impl Fn(Cpu) + Send + 'static,
    ) -> Result<Coverage, Failure> {
        let schedule = match seed.parse::<Schedule>() {
            Ok(schedule) => schedule,
            Err(error) => {
                let cause = FailureCause::Exploration(Box::new(ExplorationError::Schedule(error)));
                return Err(Failure { cause, journal: Vec::new(), run: None });
            }
        };
        let (bound, max_runs, limits) = (schedule.injections().len(), 1, self.limits);
        self.supervised(move |watch, log| {
            let (watch, log, test, done) = (&watch, &log, &test, (0, 0));
            let flavour = schedule.flavour();
            let mut search = Search { flavour, bound, max_runs, limits, place, watch, log, test, done };
            search.replay(schedule.injections().to_vec())?;
            Ok(Coverage { bound, flavours: Vec::new(), replayed: Some(schedule) })
        })
    }

    /// Runs `f` in a thread of its own, and finds out which run has failed, if one has.
    fn supervised(
        &self,
        f: impl FnOnce(Arc<Watch>, Log) -> Result<Coverage, Ended> + Send + 'static,
    ) -> Result<Coverage, Failure> {
        // The main thread is not called like a test.
        let test = thread::current().name().filter(|name| *name != "main").map(str::to_string);
        let log = Arc::new(Mutex::new(FailedRun::new(test)));
        let of_thread = log.clone();
        let (cause, journal) = match supervise(self.limits.time, move |watch| f(watch, of_thread)) {
            Ok(Ok(coverage)) => return Ok(coverage),
            Ok(Err(Ended { cause, journal })) => (cause, journal),
            Err(cause) => (cause, Vec::new()),
        };
        let has_run = match &cause {
            FailureCause::Exploration(error) => matches!(**error, ExplorationError::NotDeterministic { .. }),
            _ => true,
        };
        let run = has_run.then(|| Box::new(with_log(&log, |log| log.clone())));
        Err(Failure { cause, journal, run })
    }
}
