//! A crate for programs with an operating system: it wants the sections of `std`.

use std::cell::Cell;

use critical_section::Mutex;

/// A count that is shared between threads and handlers.
pub struct Count(Mutex<Cell<u32>>);

impl Count {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Cell::new(0)))
    }

    /// One more; `between` runs inside the section.
    pub fn up(&self, between: impl FnOnce()) {
        critical_section::with(|section| {
            let count = self.0.borrow(section);
            let seen = count.get();
            between();
            count.set(seen + 1);
        });
    }

    /// The count.
    pub fn get(&self) -> u32 {
        critical_section::with(|section| self.0.borrow(section).get())
    }
}
