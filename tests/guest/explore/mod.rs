//! Exploration, on the mock processor.

mod count;
mod failure;
mod halts;
mod limits;
mod replay;
mod schedule;

use std::cell::Cell;
use std::rc::Rc;

use paravirt_vmi::mock::{Cpu, ExplorationError, Failure, FailureCause};

/// Gives the processor a handler of `vector` that counts, and a source of it.
fn count_interrupts(cpu: Cpu, vector: u8) -> Rc<Cell<u32>> {
    let count = Rc::new(Cell::new(0));
    let counter = count.clone();
    cpu.handle(vector, move || counter.set(counter.get() + 1));
    cpu.source(vector);
    count
}

/// Why the exploration could not go on.
#[track_caller]
fn exploration_error(failure: Failure) -> ExplorationError {
    match failure.cause {
        FailureCause::Exploration(error) => *error,
        other => panic!("{other}"),
    }
}
