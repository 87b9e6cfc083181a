//! The state of one thread's processor.

use core::cell::RefCell;
use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::vec::Vec;

use super::cpu::Flavour;
use super::explore::{Point, Script};
use super::journal::{Entry, Event};
use super::model::Model;
use super::rom::Roms;
use super::run::{Stop, Watch};
use super::section::Sections;
use super::shared::CellAccessUnderWay;
use super::{FlagCause, FlagChange, Limits, Place};

/// What a processor is in the middle of: the code under test itself, or a handler.
pub(super) struct Frame {
    /// The vector, if it is a handler.
    pub vector: Option<u8>,
    /// What the handler has interrupted.
    pub interrupted: Place,
    /// The sections and saved states of this code.
    pub sections: Sections,
    /// The accesses of this code that can be interrupted, and are under way.
    pub accesses: Vec<CellAccessUnderWay>,
    /// Whether an operation of this code is under way.
    pub in_operation: bool,
    /// How many operations this code has begun.
    pub operations: usize,
    /// The last operation by which this code can have checked for work, since it was halted.
    pub checked: Option<Place>,
    /// The interrupt that came after that.
    pub delivered: Option<u8>,
}

impl Frame {
    /// The frame of a handler, or of the code under test.
    pub fn new(vector: Option<u8>, interrupted: Place) -> Self {
        let sections = Sections::default();
        Self {
            vector,
            interrupted,
            sections,
            accesses: Vec::new(),
            in_operation: false,
            operations: 0,
            checked: None,
            delivered: None,
        }
    }
}

/// What is called for a vector.
#[derive(Clone)]
pub(super) struct Handler {
    /// The handler.
    pub function: Rc<dyn Fn()>,
    /// Whether it may interrupt itself.
    pub reentrant: bool,
}

/// A device that may interrupt at any time.
#[derive(Clone, Copy)]
pub(super) struct Source {
    /// By this vector.
    pub vector: u8,
    /// So many times from now on; `None`: without a limit.
    pub left: Option<usize>,
}

/// What happens at a [`Point`].
pub(super) enum Choice {
    /// No source interrupts; not if the processor is halted.
    Nothing,
    /// A source interrupts with this vector.
    Interrupt(u8),
    /// The run ends here.
    Stop(Stop),
}

/// The state of a processor.
pub(super) struct State {
    pub flavour: Flavour,
    pub interrupt_flag: bool,
    /// The interrupt flag behind the section of another implementation of `critical-section` that is under way.
    pub behind_foreign: Option<bool>,
    /// What has given the flag its value.
    pub flag_change: FlagChange,
    /// The section that has ended, and whose call is the next one.
    pub ending: Option<Place>,
    /// Whether the next operation is in the shadow of `sti`.
    pub shadow: bool,
    pub pending: VecDeque<u8>,
    pub handlers: BTreeMap<u8, Handler>,
    pub sources: Vec<Source>,
    /// What the sources do, in an exploration.
    pub script: Option<Box<Script>>,
    /// The code under test, and the handlers under way.
    pub frames: Vec<Frame>,
    pub journal: Vec<Entry>,
    pub operations: usize,
    /// How many interrupts were delivered.
    pub deliveries: usize,
    /// How many sections have begun and states were saved, on this thread: resets go on counting.
    pub numbers: u32,
    /// How often this processor was reset.
    pub resets: usize,
    pub limits: Limits,
    pub answers: BTreeMap<u32, u64>,
    pub model: Model,
    pub roms: Roms,
    /// Who watches the run, if it is one.
    pub watch: Option<Arc<Watch>>,
    /// Why the run ends before its end.
    pub stop: Option<Stop>,
    /// What went wrong while the code under test was unwinding already.
    pub stop_while_unwinding: Option<Stop>,
}

impl State {
    /// A processor that has just been reset, or switched on, as `cause` says: interrupts are masked.
    pub fn new(flavour: Flavour, cause: FlagCause, place: Place) -> Self {
        Self {
            flavour,
            interrupt_flag: false,
            behind_foreign: None,
            flag_change: FlagChange { cause, place },
            ending: None,
            shadow: false,
            pending: VecDeque::new(),
            handlers: BTreeMap::new(),
            sources: Vec::new(),
            script: None,
            frames: std::vec![Frame::new(None, place)],
            journal: Vec::new(),
            operations: 0,
            deliveries: 0,
            numbers: 0,
            resets: 0,
            limits: Limits::DEFAULT,
            answers: BTreeMap::new(),
            model: Model::default(),
            roms: Roms::default(),
            watch: None,
            stop: None,
            stop_while_unwinding: None,
        }
    }

    /// The code that runs now.
    pub fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the code under test is always there")
    }

    /// The handler that runs now, and what it has interrupted.
    pub fn handler(&self) -> Option<(u8, Place)> {
        let frame = self.frames.last()?;
        frame.vector.map(|vector| (vector, frame.interrupted))
    }

    /// Writes an event down.
    pub fn note(&mut self, event: Event, place: Place) {
        let (interrupt_flag, depth) = (self.interrupt_flag, self.frames.len() - 1);
        self.journal.push(Entry { event, interrupt_flag, depth, place });
    }

    /// Lets whoever watches know what is under way. Does not come back if the run was given up.
    pub fn tell_watch(&self, place: Place) {
        if let Some(watch) = &self.watch {
            watch.pass(place, self.handler());
        }
    }

    /// A number that no section and no saved state of this thread has had.
    pub fn next_number(&mut self) -> u32 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers
    }

    /// Sets the interrupt flag.
    pub fn set_flag(&mut self, interrupt_flag: bool, cause: FlagCause, place: Place) {
        if self.interrupt_flag != interrupt_flag {
            self.flag_change = FlagChange { cause, place };
        }
        self.interrupt_flag = interrupt_flag;
        if !interrupt_flag {
            // Whatever the code looks at from now on, seen from here or not, nothing comes between it and a halt.
            let frame = self.frame();
            (frame.checked, frame.delivered) = (None, None);
        }
    }

    /// The code at `place` has seen something of the world: it may have checked for work.
    pub fn checks(&mut self, place: Place) {
        let frame = self.frame();
        (frame.checked, frame.delivered) = (Some(place), None);
    }

    /// Makes a vector pending.
    pub fn raise(&mut self, vector: u8, place: Place) {
        if !self.pending.contains(&vector) {
            self.pending.push_back(vector);
            self.note(Event::Raised { vector }, place);
        }
    }

    /// Whether the handler of a vector may begin now, for all that is under way.
    pub(super) fn may_begin(&self, vector: u8) -> bool {
        let reentrant = self.handlers.get(&vector).is_some_and(|handler| handler.reentrant);
        reentrant || self.frames.iter().all(|frame| frame.vector != Some(vector))
    }

    /// Takes the first pending vector that can be delivered, if the flag lets one through. None while the code
    /// under test unwinds: a handler that panics then would end the process.
    pub fn take_pending(&mut self) -> Option<u8> {
        if !self.interrupt_flag || self.shadow || thread::panicking() {
            return None;
        }
        let index = (0..self.pending.len()).find(|index| self.may_begin(self.pending[*index]))?;
        self.pending.remove(index)
    }

    /// Lets a source interrupt, or not.
    pub fn choose(&mut self, point: &Point) -> Choice {
        if !point.forced && self.script.is_none() {
            return Choice::Nothing;
        }
        let handler = self.handler();
        let may_interrupt = |source: &&Source| source.left != Some(0) && self.may_begin(source.vector);
        let vectors: Vec<u8> =
            self.sources.iter().filter(may_interrupt).map(|source| source.vector).collect();
        let choice = match (&mut self.script, vectors.first()) {
            (_, None) => Choice::Nothing,
            _ if thread::panicking() => Choice::Nothing,
            (Some(script), Some(_)) => script.choose(point, &vectors, handler),
            (None, Some(first)) => Choice::Interrupt(*first),
        };
        if let Choice::Interrupt(vector) = choice {
            // A source that has interrupted goes to the end of the queue of those that can wake a halted processor.
            if let Some(index) = self.sources.iter().position(|source| source.vector == vector) {
                let mut source = self.sources.remove(index);
                source.left = source.left.map(|left| left.saturating_sub(1));
                self.sources.push(source);
            }
        }
        choice
    }
}

std::thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Lets `f` use the state of this thread's processor. Nothing that `f` calls may come back here.
#[track_caller]
pub(super) fn with<R>(f: impl FnOnce(&mut State) -> R) -> R {
    let place = Place::caller();
    let fresh = || State::new(Flavour::Native, FlagCause::PowerOn, place);
    let mut f = Some(f);
    let mut call = |state: &mut State| f.take().expect("it is called once")(state);
    match STATE.try_with(|state| call(state.borrow_mut().get_or_insert_with(fresh))) {
        Ok(result) => result,
        // A handler that is dropped with its thread finds a processor that forgets everything.
        Err(_) => call(&mut fresh()),
    }
}

/// Puts another state in place of this thread's, or none, and hands out the old one.
pub(super) fn replace(state: Option<State>) -> Option<State> {
    STATE.replace(state)
}

/// Whether this thread has a processor that has been used, or is that of a test.
#[cfg(feature = "critical-section")]
pub(super) fn exists() -> bool {
    STATE.try_with(|state| state.borrow().is_some()).unwrap_or(false)
}
