//! [`ExplorationError`]: why an exploration cannot go on.

use core::fmt;
use std::boxed::Box;

use super::super::{FailureCause, Flavour};
use super::point::Opening;
use super::schedule::{self, Injection, ScheduleError};

/// Why an exploration or a replay cannot go on; the code under test may be right.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExplorationError {
    /// There are more runs within the bound than the limit allows.
    BoundTooLarge {
        /// The flavour.
        flavour: Flavour,
        /// The bound.
        bound: usize,
        /// The points of the run without interrupts, halts not counted.
        points: usize,
        /// The vectors that could arrive there.
        vectors: usize,
        /// At least so many runs there are.
        runs: u128,
        /// So many are allowed.
        max_runs: usize,
        /// The largest bound that could be within the limit.
        fits: usize,
    },
    /// A run does not do again what an earlier one did.
    NotDeterministic {
        /// The number of the point, from 1.
        number: usize,
        /// What it was before.
        before: Option<Opening>,
        /// What comes there now.
        now: Now,
    },
    /// A schedule that is replayed has a point that the run does not have.
    NoSuchPoint {
        /// The interrupt that does not come.
        injection: Injection,
        /// How many points there are.
        points: usize,
    },
    /// A schedule that is replayed has an interrupt that cannot arrive at its point.
    NoSuchInterrupt {
        /// The interrupt.
        injection: Injection,
        /// What could arrive.
        at: Opening,
    },
    /// What is to be replayed is no schedule.
    Schedule(ScheduleError),
}

/// What a run does that an earlier one did not.
#[derive(Clone, Debug, PartialEq)]
pub enum Now {
    /// It comes to another point, or to the same one with other interrupts.
    At(Opening),
    /// It ends.
    Ended,
    /// It fails.
    Failed(Box<FailureCause>),
}

impl fmt::Display for ExplorationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BoundTooLarge { flavour, bound, points, vectors, runs, max_runs, fits } => write!(
                f,
                "a bound of {bound} is too large: with {points} points and {vectors} vectors there are at least \
                 {runs} runs, and the limit is {max_runs}; set Explorer::bound to {fits}, or raise \
                 Explorer::max_runs ({})",
                schedule::name(*flavour)
            ),
            Self::NotDeterministic { number, before, now } => {
                write!(f, "the test does not do the same when it is run again: point {number} was ")?;
                match before {
                    Some(before) => write!(f, "{before}; ")?,
                    None => f.write_str("not there; ")?,
                }
                match now {
                    Now::At(opening) => write!(f, "now it is {opening}"),
                    Now::Ended => f.write_str("now the test ends before it"),
                    Now::Failed(cause) => write!(f, "now the test fails before it: {cause}"),
                }
            }
            Self::NoSuchPoint { injection, points } => write!(
                f,
                "the schedule does not fit the test: interrupt {:#04x} is to arrive at point {}, and the run has {points}",
                injection.vector, injection.point
            ),
            Self::NoSuchInterrupt { injection, at } => write!(
                f,
                "the schedule does not fit the test: interrupt {:#04x} cannot arrive at point {}, which is {at}",
                injection.vector, injection.point
            ),
            Self::Schedule(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ExplorationError {}
