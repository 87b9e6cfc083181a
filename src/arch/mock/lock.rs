//! Critical sections of the whole process: they keep threads apart, each of which has a processor of its own.
//!
//! A thread enters as often as it likes, and leaves as often. The lock is free again when it has left the outermost
//! section, or when its run is over. A run that is given up inside a section is not over: who waits for it comes to
//! its own limit of time.

use core::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::section;
use super::state;

/// Whether a thread is inside.
static TAKEN: Mutex<bool> = Mutex::new(false);
/// It has left.
static LEFT: Condvar = Condvar::new();

std::thread_local! {
    /// The number of sections that this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread has a mock processor: it is that of a test, or it has used it already. Other threads need not
/// be written down.
pub(crate) fn has_processor() -> bool {
    state::exists()
}

/// Enters a section, as soon as no other thread is in one.
#[track_caller]
pub(crate) fn acquire() {
    let depth = DEPTH.get();
    if depth == 0 {
        let taken = taken();
        *LEFT.wait_while(taken, |taken| *taken).unwrap_or_else(PoisonError::into_inner) = true;
    }
    DEPTH.set(depth + 1);
    if has_processor() {
        section::begin_critical();
    }
}

/// Leaves a section; if it `unmasks` interrupts, this is what the next call does.
///
/// # Panics
///
/// If the thread is in none: what was acquired was another implementation's.
pub(crate) fn release(unmasks: bool) {
    let depth =
        DEPTH.get().checked_sub(1).expect("a critical section ends that has not begun on this thread");
    DEPTH.set(depth);
    if depth == 0 {
        free();
    }
    if has_processor() {
        section::end_critical(unmasks);
    }
}

/// Leaves every section that a test has left open.
pub(super) fn release_all() {
    if DEPTH.replace(0) > 0 {
        free();
    }
}

fn taken() -> MutexGuard<'static, bool> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn free() {
    *taken() = false;
    LEFT.notify_one();
}
