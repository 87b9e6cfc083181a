//! Accesses to shared memory, each of which is one plain instruction.

use paravirt_vmi::sync::UnsafeCell;
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering};

/// What is accessed.
#[unsafe(no_mangle)]
pub static SHARED_ATOMIC: AtomicU32 = AtomicU32::new(0);

/// A cell that a static can hold.
pub struct SharedCell(UnsafeCell<u32>);

// SAFETY: nothing here is run.
unsafe impl Sync for SharedCell {}

/// What is accessed.
#[unsafe(no_mangle)]
pub static SHARED_CELL: SharedCell = SharedCell(UnsafeCell::new(0));

/// Loads.
#[unsafe(no_mangle)]
pub extern "C" fn shared_atomic_load() -> u32 {
    SHARED_ATOMIC.load(Ordering::Acquire)
}

/// Stores.
#[unsafe(no_mangle)]
pub extern "C" fn shared_atomic_store() {
    SHARED_ATOMIC.store(7, Ordering::Release);
}

/// Adds.
#[unsafe(no_mangle)]
pub extern "C" fn shared_atomic_add() {
    SHARED_ATOMIC.fetch_add(7, Ordering::Relaxed);
}

/// Loads.
#[unsafe(no_mangle)]
pub extern "C" fn shared_cell_load() -> u32 {
    // SAFETY: nothing here is run.
    SHARED_CELL.0.with(|value| unsafe { value.read() })
}

/// Stores.
#[unsafe(no_mangle)]
pub extern "C" fn shared_cell_store() {
    // SAFETY: nothing here is run.
    SHARED_CELL.0.with_mut(|value| unsafe { value.write(7) });
}
