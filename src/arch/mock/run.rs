//! [`run`]: a test on a fresh processor.

use core::fmt;
use core::time::Duration;
use std::any::Any;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::string::{String, ToString};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;
use std::vec::Vec;

use paravirt_vmi_abi::Call;

use super::explore::{ExplorationError, FailedRun};
use super::state::{self, State};
use super::{Cpu, Entry, FlagCause, Flavour, Limits, Misuse, Place};

/// Why a run ends before its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stop {
    /// The code under test has done what it must not do.
    Misuse(Misuse),
    /// The exploration cannot go on.
    Exploration(Box<ExplorationError>),
}

impl From<Misuse> for Stop {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

/// What a run that is stopped unwinds with.
struct Stopped;

/// Ends the run. Comes back if the code under test is unwinding already: a second panic would end the process.
#[track_caller]
pub(super) fn stop(why: Stop) {
    let unwinding = thread::panicking();
    let is_run = state::with(|state| {
        let first = if unwinding { &mut state.stop_while_unwinding } else { &mut state.stop };
        first.get_or_insert_with(|| why.clone());
        state.watch.is_some()
    });
    if unwinding {
        return;
    }
    match why {
        Stop::Misuse(misuse) if !is_run => panic!("{misuse}"),
        _ => resume_unwind(Box::new(Stopped)),
    }
}

/// Why a test has failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FailureCause {
    /// The code under test has done what it must not do.
    Misuse(Misuse),
    /// The exploration cannot go on.
    Exploration(Box<ExplorationError>),
    /// It has panicked, with this message.
    Panic(String),
    /// It has gone on for too long.
    TimeLimit {
        /// The limit.
        limit: Duration,
        /// Its last operation.
        place: Option<Place>,
        /// The vector of the handler that is under way, and what it has interrupted.
        handler: Option<(u8, Place)>,
    },
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Exploration(error) => error.fmt(f),
            Self::Panic(message) => f.write_str(message),
            Self::TimeLimit { limit, place, handler } => {
                write!(f, "no end after {limit:?}: ")?;
                match handler {
                    Some((vector, interrupted)) => write!(
                        f,
                        "the handler of interrupt {vector:#04x}, which has interrupted {interrupted}, has not returned"
                    )?,
                    None => f.write_str("the test has not returned")?,
                }
                match place {
                    Some(place) => write!(f, "; the last operation was at {place}"),
                    None => f.write_str("; there was no operation"),
                }
            }
        }
    }
}

/// A test that has failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Failure {
    /// Why.
    pub cause: FailureCause,
    /// What had happened until then. Empty if the test had to be left to itself.
    pub journal: Vec<Entry>,
    /// Which run it was, if this was an exploration or a replay.
    pub run: Option<Box<FailedRun>>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.run {
            Some(run) => run.report(self, f),
            None => self.cause.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}

/// Runs `f` on a processor of its own, in a thread of its own; interrupts are unmasked.
///
/// # Panics
///
/// If `f` panics, if it does what a kernel must not do ([`Misuse`]), leaves interrupts masked, or comes to one of the
/// [`Limits`]. Code that comes to the limit of time is left to itself: it goes on until the process ends.
#[track_caller]
pub fn run<R: Send + 'static>(f: impl FnOnce(Cpu) -> R + Send + 'static) -> R {
    match try_run(Limits::DEFAULT, f) {
        Ok(result) => result,
        Err(failure) => panic!("{failure}"),
    }
}

/// Like [`run`], with other limits, and without a panic.
///
/// # Errors
///
/// Why the test has failed.
#[track_caller]
pub fn try_run<R: Send + 'static>(
    limits: Limits,
    f: impl FnOnce(Cpu) -> R + Send + 'static,
) -> Result<R, Failure> {
    let place = Place::caller();
    let result = supervise(limits.time, move |watch| {
        let mut state = State::new(Flavour::Native, FlagCause::Reset, place);
        (state.limits, state.watch) = (limits, Some(watch));
        let (result, state) = once(state, place, f);
        result.map_err(|cause| Failure { cause, journal: state.journal, run: None })
    });
    result.unwrap_or_else(|cause| Err(Failure { cause, journal: Vec::new(), run: None }))
}

/// Runs `f` once on a processor in the given state, but for its interrupt flag, which is set; the state afterwards.
pub(super) fn once<R>(
    mut state: State,
    place: Place,
    f: impl FnOnce(Cpu) -> R,
) -> (Result<R, FailureCause>, State) {
    state.set_flag(true, FlagCause::Call(Call::ENABLE_INTERRUPTS), place);
    let outer = state::replace(Some(state));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let cpu = Cpu::current();
        let result = f(cpu);
        cpu.end(place);
        result
    }));
    // Handlers and devices may use the processor when they are dropped.
    let owned =
        state::with(|state| (core::mem::take(&mut state.handlers), core::mem::take(&mut state.model)));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(owned)));
    #[cfg(feature = "critical-section")]
    super::lock::release_all();
    let mut state = state::replace(outer).expect("the state of the run");
    let stop = match result {
        // What went wrong while the code was unwinding may be the consequence of what it unwinds for.
        Err(_) => state.stop.take(),
        Ok(_) => state.stop.take().or(state.stop_while_unwinding.take()),
    };
    let result = match (stop, result, dropped) {
        (Some(Stop::Misuse(misuse)), ..) => Err(FailureCause::Misuse(misuse)),
        (Some(Stop::Exploration(error)), ..) => Err(FailureCause::Exploration(error)),
        (None, Ok(result), Ok(())) => Ok(result),
        (None, Err(payload), _) | (None, Ok(_), Err(payload)) => Err(FailureCause::Panic(message(&*payload))),
    };
    (result, state)
}

/// The message of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_string())
}

/// What is known of a run from outside.
pub(super) struct Watch(Mutex<Watched>);

struct Watched {
    started: Instant,
    place: Option<Place>,
    handler: Option<(u8, Place)>,
    is_given_up: bool,
}

impl Watch {
    fn lock(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run begins.
    pub fn start(&self) {
        let mut watched = self.lock();
        (watched.started, watched.place, watched.handler) = (Instant::now(), None, None);
    }

    /// The run has come to the operation at `place`, in the given handler. Does not come back if the run was given up.
    pub fn pass(&self, place: Place, handler: Option<(u8, Place)>) {
        let mut watched = self.lock();
        (watched.place, watched.handler) = (Some(place), handler);
        if watched.is_given_up && !thread::panicking() {
            drop(watched);
            resume_unwind(Box::new(Stopped));
        }
    }
}

/// Runs `f` in a thread of its own, each of whose runs may take `limit`. A run that takes longer is left to itself.
pub(super) fn supervise<R: Send + 'static>(
    limit: Duration,
    f: impl FnOnce(Arc<Watch>) -> R + Send + 'static,
) -> Result<R, FailureCause> {
    let watched = Watched { started: Instant::now(), place: None, handler: None, is_given_up: false };
    let watch = Arc::new(Watch(Mutex::new(watched)));
    let (sender, receiver) = channel();
    let of_thread = watch.clone();
    let name = thread::current().name().unwrap_or("test").to_string();
    let thread = thread::Builder::new().name(name).spawn(move || {
        of_thread.start();
        // The receiver is gone if the run was given up.
        _ = sender.send(f(of_thread));
    });
    let thread = match thread {
        Ok(thread) => thread,
        Err(error) => panic!("no thread for the test: {error}"),
    };
    let mut left = limit;
    loop {
        match receiver.recv_timeout(left) {
            Ok(result) => {
                _ = thread.join();
                return Ok(result);
            }
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(payload) => resume_unwind(payload),
                Ok(()) => unreachable!("the thread sends before it ends"),
            },
            Err(RecvTimeoutError::Timeout) => {}
        }
        let mut watched = watch.lock();
        left = limit.saturating_sub(watched.started.elapsed());
        if left.is_zero() {
            watched.is_given_up = true;
            return Err(FailureCause::TimeLimit { limit, place: watched.place, handler: watched.handler });
        }
    }
}
