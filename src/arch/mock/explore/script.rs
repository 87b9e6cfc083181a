//! [`Script`]: makes a run follow a schedule, and remembers at which points it could be interrupted otherwise.

use std::boxed::Box;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

use super::super::run::Stop;
use super::super::state::Choice;
use super::super::{FailureCause, Place};
use super::error::{ExplorationError, Now};
use super::failed::{FailedRun, InjectedInterrupt};
use super::point::{Opening, Point};
use super::schedule::Injection;

/// The run that is under way, for the thread that watches it.
pub(super) type Log = Arc<Mutex<FailedRun>>;

/// Lets `f` use the log.
pub(super) fn with_log<R>(log: &Log, f: impl FnOnce(&mut FailedRun) -> R) -> R {
    f(&mut log.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A point that a run came to, and the index of the vectors that could interrupt there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub point: Point,
    vectors: u32,
}

/// Says what happens at the points of a run.
pub(in super::super) struct Script {
    /// Where the run is interrupted.
    pub(super) schedule: Vec<Injection>,
    /// How many of these interrupts have come.
    done: usize,
    /// What the points up to the last interrupt were when they were found; `None`: nobody knows.
    pub(super) expected: Option<Vec<Seen>>,
    /// How many points there were in this run.
    points: usize,
    /// The points behind the last interrupt.
    pub(super) behind: Vec<Seen>,
    /// The different vectors at the points of all runs.
    sets: Vec<Vec<u8>>,
    log: Log,
}

impl Script {
    /// A script that does not interrupt.
    pub(super) fn new(log: Log) -> Self {
        let (schedule, behind, sets) = (Vec::new(), Vec::new(), Vec::new());
        Self { schedule, done: 0, expected: None, points: 0, behind, sets, log }
    }

    /// Another run begins.
    pub(super) fn rewind(&mut self) {
        (self.done, self.points) = (0, 0);
        self.behind.clear();
    }

    /// What happens at `point`, to which the run has come, and at which each of `vectors`, at least one, could arrive;
    /// `handler` is under way.
    pub(in super::super) fn choose(
        &mut self,
        point: &Point,
        vectors: &[u8],
        handler: Option<(u8, Place)>,
    ) -> Choice {
        let seen = Seen { point: *point, vectors: self.intern(vectors) };
        self.points += 1;
        let Some(next) = self.schedule.get(self.done) else {
            self.behind.push(seen);
            return if point.forced { Choice::Interrupt(vectors[0]) } else { Choice::Nothing };
        };
        let expected = self.expected.as_ref().and_then(|expected| expected.get(self.points - 1));
        if expected.is_some_and(|expected| *expected != seen) {
            return Choice::Stop(Stop::Exploration(Box::new(
                self.not_deterministic(Now::At(self.opening(&seen))),
            )));
        }
        let vector = next.vector;
        if usize::try_from(next.point) != Ok(self.points) {
            return if point.forced { Choice::Interrupt(vectors[0]) } else { Choice::Nothing };
        }
        if !vectors.contains(&vector) {
            let error = ExplorationError::NoSuchInterrupt { injection: *next, at: self.opening(&seen) };
            return Choice::Stop(Stop::Exploration(Box::new(error)));
        }
        self.done += 1;
        let interrupt = InjectedInterrupt { injection: *next, point: *point, handler };
        with_log(&self.log, |log| log.interrupts.push(interrupt));
        Choice::Interrupt(vector)
    }

    /// What comes of a run with this result: it must have come to all interrupts.
    pub(super) fn verdict(&self, result: Result<(), FailureCause>) -> Result<(), FailureCause> {
        let Some(injection) = self.schedule.get(self.done) else { return result };
        let error = match (&self.expected, result) {
            (_, Err(cause @ FailureCause::Exploration(_))) | (None, Err(cause)) => return Err(cause),
            (Some(_), Err(cause)) => self.not_deterministic(Now::Failed(Box::new(cause))),
            (Some(_), Ok(())) => self.not_deterministic(Now::Ended),
            (None, Ok(())) => ExplorationError::NoSuchPoint { injection: *injection, points: self.points },
        };
        Err(FailureCause::Exploration(Box::new(error)))
    }

    /// The run is not at the point at which an earlier one was that had done the same.
    fn not_deterministic(&self, now: Now) -> ExplorationError {
        let number = match now {
            Now::At(_) => self.points,
            Now::Ended | Now::Failed(_) => self.points + 1,
        };
        let before = self.expected.iter().flatten().nth(number - 1);
        let before = before.map(|seen| self.opening(seen));
        ExplorationError::NotDeterministic { number, before, now }
    }

    /// The vectors that may be chosen at a point, in place of what happens there otherwise.
    pub(super) fn alternatives(&self, seen: &Seen) -> &[u8] {
        let vectors = self.vectors(seen);
        if seen.point.forced { &vectors[1..] } else { vectors }
    }

    /// The vectors that could arrive at a point.
    pub(super) fn vectors(&self, seen: &Seen) -> &[u8] {
        &self.sets[seen.vectors as usize]
    }

    fn opening(&self, seen: &Seen) -> Opening {
        Opening { point: seen.point, vectors: self.vectors(seen).to_vec() }
    }

    /// The index of a set of vectors, of which there are few.
    fn intern(&mut self, vectors: &[u8]) -> u32 {
        let index = self.sets.iter().position(|set| set == vectors).unwrap_or_else(|| {
            self.sets.push(vectors.to_vec());
            self.sets.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}
