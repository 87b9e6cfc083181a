//! Memory that is shared with handlers: the accesses to it are operations.

use core::ops::Range;

use super::delivery::gap;
use super::explore::Step;
use super::foreign;
use super::journal::Event;
use super::operation::{self, operation};
use super::run::stop;
use super::state::{self, State};
use super::{Misuse, Place};

/// An access to shared memory.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    /// Type and method.
    name: &'static str,
    /// Whether the code under test gets to know something by it.
    reads: bool,
    /// Whether it changes the memory.
    writes: bool,
}

impl Access {
    /// Reads only.
    pub(crate) const fn read(name: &'static str) -> Self {
        Self { name, reads: true, writes: false }
    }

    /// Writes only.
    pub(crate) const fn write(name: &'static str) -> Self {
        Self { name, reads: false, writes: true }
    }

    /// Reads and writes in one.
    pub(crate) const fn read_modify_write(name: &'static str) -> Self {
        Self { name, reads: true, writes: true }
    }

    /// Writes the access down.
    fn note(self, state: &mut State, place: Place) {
        state.note(Event::Access { name: self.name }, place);
        if self.reads {
            state.checks(place);
        }
    }
}

/// An access that cannot be interrupted, carried out by `effect`.
#[track_caller]
pub(crate) fn access<R>(access: Access, effect: impl FnOnce() -> R) -> R {
    let place = Place::caller();
    operation(Step::Access(access.name), place, || {
        state::with(|state| access.note(state, place));
        effect()
    })
}

/// An access that is under way.
pub(super) struct CellAccessUnderWay {
    number: u32,
    memory: Range<usize>,
    access: Access,
    place: Place,
}

impl CellAccessUnderWay {
    /// Whether the two accesses must not be under way at a time.
    fn races(&self, other: &Self) -> bool {
        let overlap = self.memory.start.max(other.memory.start) < self.memory.end.min(other.memory.end);
        overlap && (self.access.writes || other.access.writes)
    }
}

/// An access that can be interrupted in its middle; it is under way until it is dropped.
pub(crate) struct CellAccess {
    number: u32,
    /// The handlers that were under way when it began.
    depth: usize,
    step: Step,
    place: Place,
}

impl CellAccess {
    /// The code at the caller's place begins to read `size` bytes at `address`.
    #[track_caller]
    pub(crate) fn read(address: usize, size: usize) -> Self {
        Self::begin(Access::read("UnsafeCell::with"), address, size, Place::caller())
    }

    /// The code at the caller's place begins to read and write `size` bytes at `address`.
    #[track_caller]
    pub(crate) fn write(address: usize, size: usize) -> Self {
        Self::begin(Access::read_modify_write("UnsafeCell::with_mut"), address, size, Place::caller())
    }

    /// The gap of the operation is in its middle: a handler that does not touch the memory cannot tell it from
    /// the gap in front. The shadow of `sti` does not reach so far, since the access is of more than one
    /// instruction.
    fn begin(access: Access, address: usize, size: usize, place: Place) -> Self {
        let step = Step::Within(access.name);
        operation::begin(step, place);
        let (this, race) = state::with(|state| {
            let (number, depth) = (state.next_number(), state.frames.len() - 1);
            let memory = address..address.saturating_add(size);
            let new = CellAccessUnderWay { number, memory, access, place };
            let (frame, interrupted) = state.frames.split_last_mut().expect("there is always a frame");
            let mut others = interrupted.iter().flat_map(|frame| &frame.accesses);
            let race = others.find(|other| other.races(&new)).map(|other| other.place);
            frame.accesses.push(new);
            (Self { number, depth, step, place }, race)
        });
        if let Some(other) = race {
            stop(Misuse::DataRace { place, name: access.name, other }.into());
        }
        gap(step, place);
        state::with(|state| access.note(state, place));
        this
    }

    /// The access ends.
    pub(crate) fn end(self) {
        let (step, place) = (self.step, self.place);
        drop(self);
        foreign::gap_behind(step, place);
    }
}

impl Drop for CellAccess {
    fn drop(&mut self) {
        state::with(|state| {
            // Neither is there if the processor was reset meanwhile.
            if let Some(frame) = state.frames.get_mut(self.depth) {
                frame.accesses.retain(|access| access.number != self.number);
            }
        });
    }
}
