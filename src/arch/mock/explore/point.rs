//! [`Point`]: a place at which an interrupt could arrive.

use core::fmt;
use std::vec::Vec;

use paravirt_vmi_abi::Call;

use super::super::Place;

/// What comes after a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// A call.
    Call(Call),
    /// An access to shared memory.
    Access(&'static str),
    /// The rest of an access that has begun.
    Within(&'static str),
    /// A place that the test has marked.
    Mark,
    /// The end of the test.
    End,
}

/// A place in a run of the test at which an interrupt could arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// What comes after it.
    pub(in super::super) step: Step,
    /// Where that is.
    pub(in super::super) place: Place,
    /// Whether the processor is halted.
    pub(in super::super) halted: bool,
    /// Whether one must interrupt: it is halted, and no timer will wake it.
    pub(in super::super) forced: bool,
}

impl Point {
    /// The place of the operation that is interrupted; of the end of a test: where the test begins.
    pub fn place(&self) -> Place {
        self.place
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place;
        match self.step {
            Step::Call(call) if self.halted => write!(f, "in {call} at {place}"),
            Step::Call(call) => write!(f, "in front of {call} at {place}"),
            Step::Access(name) => write!(f, "in front of {name} at {place}"),
            Step::Within(name) => write!(f, "in the middle of {name} at {place}"),
            Step::Mark => write!(f, "at the point marked at {place}"),
            Step::End => write!(f, "at the end of the test that begins at {place}"),
        }
    }
}

/// A point, and the vectors of the sources that could interrupt there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The point.
    pub point: Point,
    /// The vectors; in a halt that no timer ends the first one interrupts unless another is chosen.
    pub vectors: Vec<u8>,
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, for", self.point)?;
        for (number, vector) in self.vectors.iter().enumerate() {
            write!(f, "{} {vector:#04x}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
