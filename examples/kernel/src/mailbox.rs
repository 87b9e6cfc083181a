//! What the timer's handler hands to the main loop, by way of a crate that knows nothing of this kernel.
//!
//! `embassy-sync` keeps its data apart by the crate `critical-section`, whose implementation is that of
//! `paravirt-vmi`: sites like any other, native or patched.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::blocking_mutex::{CriticalSectionMutex, Mutex};
use embassy_sync::channel::Channel;

/// How many items each tick sends.
pub const ITEMS_PER_TICK: u32 = 2;
/// Room for the ticks that come while the main loop does something else.
const CAPACITY: usize = 64;

/// Numbers, in order.
static ITEMS: Channel<CriticalSectionRawMutex, u32, CAPACITY> = Channel::new();

/// What both sides count up, which takes a load and a store.
static COUNT: CriticalSectionMutex<Cell<u32>> = Mutex::new(Cell::new(0));

// The handler and the main loop: see `ticks` for the order.
static NEXT: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicU32 = AtomicU32::new(0);

/// Lets ticks send the numbers below `items`, from 0 on, into an empty channel, and begins to count at 0.
pub fn open(items: u32) {
    ITEMS.clear();
    COUNT.lock(|count| count.set(0));
    NEXT.store(0, Relaxed);
    LAST.store(items, Relaxed);
}

/// Lets ticks send nothing; returns how many items were sent since [`open`].
pub fn close() -> u32 {
    LAST.store(0, Relaxed);
    NEXT.load(Relaxed)
}

/// The next item, if there is one.
pub fn receive() -> Option<u32> {
    ITEMS.try_receive().ok()
}

/// Counts one more.
pub fn count_up() {
    COUNT.lock(|count| {
        let seen = core::hint::black_box(count.get());
        count.set(seen + 1);
    });
}

/// The count.
pub fn count() -> u32 {
    COUNT.lock(Cell::get)
}

/// Sends the next items. What finds no room is sent by a later tick.
pub fn on_tick() {
    for _ in 0..ITEMS_PER_TICK {
        let number = NEXT.load(Relaxed);
        if number < LAST.load(Relaxed) && ITEMS.try_send(number).is_ok() {
            NEXT.store(number + 1, Relaxed);
            count_up();
        }
    }
}
