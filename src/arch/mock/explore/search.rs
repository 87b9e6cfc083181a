//! The search: all runs on one flavour, first without interrupts, then with one, with two and so on.
//!
//! A run with a schedule of some interrupts shows at which points behind the last of them there could be another
//! one. Each of these is a schedule of one interrupt more. So every schedule is run once, and the first one that
//! fails has as few interrupts as possible.

use core::mem::take;
use std::boxed::Box;
use std::rc::Rc;
use std::sync::Arc;
use std::vec::Vec;

use super::super::run::{Watch, once};
use super::super::state::State;
use super::super::{Cpu, Entry, FailureCause, FlagCause, Flavour, Limits, Place};
use super::coverage::FlavourCoverage;
use super::error::ExplorationError;
use super::schedule::Injection;
use super::script::{Log, Script, Seen, with_log};
use super::size::{self, Countable};

/// Why a search ends before its end, and what has happened in its last run.
pub(super) struct Ended {
    pub cause: FailureCause,
    pub journal: Vec<Entry>,
}

impl From<ExplorationError> for Ended {
    fn from(error: ExplorationError) -> Self {
        Self { cause: FailureCause::Exploration(Box::new(error)), journal: Vec::new() }
    }
}

/// A run that went well, and from which others branch off.
struct Node {
    schedule: Vec<Injection>,
    /// The points behind the last interrupt.
    behind: Vec<Seen>,
    /// The run from which it branches off.
    parent: Option<Rc<Node>>,
}

impl Node {
    /// The number of the last point that is not behind the last interrupt.
    fn start(&self) -> usize {
        self.schedule.last().map_or(0, |injection| injection.point as usize)
    }

    /// All points of the run.
    fn points(&self) -> Vec<Seen> {
        let mut points = match &self.parent {
            Some(parent) => parent.points(),
            None => Vec::new(),
        };
        points.truncate(self.start());
        points.extend_from_slice(&self.behind);
        points
    }

    /// The interrupts that could come behind the last one.
    fn injections(&self, script: &Script) -> Vec<Injection> {
        let numbers = self.start() as u32 + 1..;
        let points = numbers.zip(&self.behind);
        let injections = |(point, seen)| {
            let vectors = script.alternatives(seen).iter();
            vectors.map(move |vector| Injection { point, vector: *vector })
        };
        points.flat_map(injections).collect()
    }
}

/// The runs of the test on one flavour.
pub(super) struct Search<'a> {
    pub flavour: Flavour,
    pub bound: usize,
    pub max_runs: usize,
    pub limits: Limits,
    /// Where the exploration was asked for.
    pub place: Place,
    pub watch: &'a Arc<Watch>,
    pub log: &'a Log,
    pub test: &'a dyn Fn(Cpu),
    /// How many runs there were, and the operations of the longest one.
    pub done: (usize, usize),
}

impl Search<'_> {
    /// Runs the test as `script` says.
    fn run(&mut self, mut script: Box<Script>) -> Result<(Box<Script>, State), Ended> {
        self.done.0 += 1;
        self.watch.start();
        with_log(self.log, |log| {
            (log.flavour, log.number) = (self.flavour, self.done.0);
            log.interrupts.clear();
        });
        script.rewind();
        let mut state = State::new(self.flavour, FlagCause::Reset, self.place);
        (state.limits, state.watch, state.script) = (self.limits, Some(self.watch.clone()), Some(script));
        let (result, mut state) = once(state, self.place, self.test);
        self.done.1 = self.done.1.max(state.operations);
        let script = state.script.take().expect("nobody else takes it");
        match script.verdict(result) {
            Ok(()) => Ok((script, state)),
            Err(cause) => Err(Ended { cause, journal: state.journal }),
        }
    }

    /// Runs the test once, with this schedule.
    pub(super) fn replay(&mut self, schedule: Vec<Injection>) -> Result<(), Ended> {
        let mut script = Box::new(Script::new(self.log.clone()));
        script.schedule = schedule;
        self.run(script).map(|_| ())
    }

    /// Runs the test in every way.
    pub(super) fn cover(&mut self) -> Result<FlavourCoverage, Ended> {
        let (mut script, state) = self.run(Box::new(Script::new(self.log.clone())))?;
        let behind = take(&mut script.behind);
        let points = behind.iter().filter(|seen| !seen.point.halted).count();
        let vectors = behind.iter().map(|seen| script.vectors(seen).len()).max().unwrap_or_default();
        let (flavour, bound, max_runs, limit) =
            (self.flavour, self.bound, self.max_runs, self.max_runs as u128);
        let too_large = |runs, fits| ExplorationError::BoundTooLarge {
            flavour,
            bound,
            points,
            vectors,
            runs,
            max_runs,
            fits,
        };
        let least = size::cumulated(&countable(&behind, &script, &state), bound, limit);
        if let Some(runs) = least.last().filter(|runs| **runs > limit) {
            let fits = least.partition_point(|runs| *runs <= limit).saturating_sub(1);
            return Err(too_large(*runs, fits).into());
        }
        let mut runs = std::vec![1];
        let mut level = std::vec![Rc::new(Node { schedule: Vec::new(), behind, parent: None })];
        for interrupts in 1..=bound {
            let more: usize = level.iter().map(|node| node.injections(&script).len()).sum();
            let total = runs.iter().sum::<usize>() + more;
            if total > max_runs {
                return Err(too_large(total as u128, interrupts - 1).into());
            }
            let mut next = Vec::new();
            for parent in take(&mut level) {
                script.expected = Some(parent.points());
                for injection in parent.injections(&script) {
                    script.schedule.clone_from(&parent.schedule);
                    script.schedule.push(injection);
                    (script, _) = self.run(script)?;
                    if interrupts < bound {
                        let (schedule, behind) = (script.schedule.clone(), script.behind.clone());
                        next.push(Rc::new(Node { schedule, behind, parent: Some(parent.clone()) }));
                    }
                }
            }
            level = next;
            runs.push(more);
        }
        Ok(FlavourCoverage { flavour, points, runs, longest: self.done.1 })
    }
}

/// The points of the run without interrupts, for counting: without the vectors of sources that come to an end.
fn countable(points: &[Seen], script: &Script, after: &State) -> Vec<Countable> {
    let endless =
        |vector: &&u8| after.sources.iter().any(|source| source.vector == **vector && source.left.is_none());
    let countable = |seen| Countable {
        alternatives: script.alternatives(seen).iter().filter(endless).count(),
        repeats: !seen.point.halted,
    };
    points.iter().map(countable).collect()
}
