//! A ring buffer, which an interrupt handler fills and a main loop drains.
//!
//! Both sides load the fill level, and store it again, changed. The handler runs masked; the main loop must mask
//! interrupts between the two, or else a handler that comes in between stores a level that is overwritten at once.
//! That costs less than an atomic increment, which locks the bus. Neither side ever waits: what comes while the
//! ring is full is lost, and counted.
//!
//! With the feature `racy` the main loop uses a level that it loaded before it masked interrupts.
//!
//! # Safety
//!
//! Slots are touched with interrupts masked only, by one processor, so one access ends before another begins.
#![allow(unsafe_code)]

use paravirt_vmi::irq;
use paravirt_vmi::sync::UnsafeCell;
use paravirt_vmi::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// A ring with room for `N` values, of one processor.
// `irq` orders memory accesses around masking: relaxed order is enough.
#[derive(Debug)]
pub struct Ring<T, const N: usize> {
    slots: [UnsafeCell<Option<T>>; N],
    /// The slot of the value that comes out next.
    oldest: AtomicUsize,
    /// How many values are in the ring.
    filled: AtomicUsize,
    lost: AtomicU32,
}

// SAFETY: by the contract of `new` one processor uses the ring, on which only handlers come between each other.
unsafe impl<T: Send, const N: usize> Sync for Ring<T, N> {}

impl<T, const N: usize> Ring<T, N> {
    /// An empty ring.
    ///
    /// # Safety
    ///
    /// Only one processor uses the ring, its interrupt handlers included.
    pub const unsafe fn new() -> Self {
        const { assert!(N > 0, "a ring without a slot") };
        Self {
            slots: [const { UnsafeCell::new(None) }; N],
            oldest: AtomicUsize::new(0),
            filled: AtomicUsize::new(0),
            lost: AtomicU32::new(0),
        }
    }

    /// Whether nothing is in the ring.
    pub fn is_empty(&self) -> bool {
        self.filled.load(Relaxed) == 0
    }

    /// How many values were lost because the ring was full. Wraps around.
    pub fn lost(&self) -> u32 {
        self.lost.load(Relaxed)
    }

    /// Puts a value in; it is lost if the ring is full.
    ///
    /// # Safety
    ///
    /// Interrupts are masked, as they are in a handler.
    pub unsafe fn push(&self, value: T) {
        let filled = self.filled.load(Relaxed);
        if filled == N {
            self.lost.store(self.lost.load(Relaxed).wrapping_add(1), Relaxed);
            return;
        }
        let slot = &self.slots[(self.oldest.load(Relaxed) + filled) % N];
        slot.with_mut(|slot| {
            // SAFETY: interrupts are masked, so nothing else touches the slot.
            unsafe { *slot = Some(value) };
        });
        self.filled.store(filled + 1, Relaxed);
    }

    /// Takes the oldest value out. Masks interrupts for the time of it, unless there is none.
    pub fn pop(&self) -> Option<T> {
        let seen = self.filled.load(Relaxed);
        if seen == 0 {
            return None;
        }
        irq::without_interrupts(|| {
            // There may be more by now.
            let filled = if cfg!(feature = "racy") { seen } else { self.filled.load(Relaxed) };
            let oldest = self.oldest.load(Relaxed);
            // SAFETY: interrupts are masked, so nothing else touches the slot.
            let value = self.slots[oldest].with_mut(|slot| unsafe { (*slot).take() });
            self.oldest.store((oldest + 1) % N, Relaxed);
            self.filled.store(filled - 1, Relaxed);
            value
        })
    }
}
