//! [`Sampler`]: the driver.
//!
//! # Safety
//!
//! What the ring and the timer ask for is in the contract of [`Sampler::new`] and [`Sampler::on_tick`].
#![allow(unsafe_code)]

use paravirt_vmi::irq;
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::ring::Ring;
use crate::timer::{self, Period};

/// What the handler has found at one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The number of the tick, from 0. Wraps around.
    pub tick: u32,
    /// Where the timer stood when its interrupt was handled: see [`Period::elapsed`].
    pub count: u16,
}

/// A driver for the interval timer that records how late each of its interrupts is handled, with room for `N`
/// samples.
#[derive(Debug)]
pub struct Sampler<const N: usize> {
    ring: Ring<Sample, N>,
    /// How many ticks the handler has seen.
    ticks: AtomicU32,
}

impl<const N: usize> Sampler<N> {
    /// A driver that has not seen a tick yet.
    ///
    /// # Safety
    ///
    /// Only one processor uses the driver, its handlers included; and from [`start`](Self::start) on nobody else
    /// uses channel 0 of the timer, as long as the driver is used.
    pub const unsafe fn new() -> Self {
        // SAFETY: as the driver, so its ring.
        Self { ring: unsafe { Ring::new() }, ticks: AtomicU32::new(0) }
    }

    /// Makes the timer tick.
    pub fn start(&self, period: Period) {
        irq::without_interrupts(|| {
            // SAFETY: the timer is the driver's, and interrupts are masked.
            unsafe { timer::start(period) };
        });
    }

    /// Handles the timer's interrupt.
    ///
    /// # Safety
    ///
    /// Interrupts are masked, as they are in a handler.
    pub unsafe fn on_tick(&self) {
        // SAFETY: the timer is the driver's, and interrupts are masked.
        let count = unsafe { timer::count() };
        let tick = self.ticks.load(Relaxed);
        self.ticks.store(tick.wrapping_add(1), Relaxed);
        // SAFETY: interrupts are masked.
        unsafe { self.ring.push(Sample { tick, count }) };
    }

    /// The oldest sample that has not been taken.
    pub fn take(&self) -> Option<Sample> {
        self.ring.pop()
    }

    /// How many ticks there were. Wraps around.
    pub fn ticks(&self) -> u32 {
        self.ticks.load(Relaxed)
    }

    /// How many samples were lost, because nobody had taken those before them. Wraps around.
    pub fn lost(&self) -> u32 {
        self.ring.lost()
    }

    /// Where the timer stands.
    pub fn count(&self) -> u16 {
        // SAFETY: the timer is the driver's, and interrupts are masked.
        irq::without_interrupts(|| unsafe { timer::count() })
    }

    /// Sleeps until there is a sample. Interrupts are unmasked afterwards.
    ///
    /// # Safety
    ///
    /// As for [`irq::enable`]: nobody relies on masked interrupts.
    pub unsafe fn wait(&self) {
        irq::disable();
        while self.ring.is_empty() {
            // SAFETY: nobody relies on masked interrupts; a tick from now on ends the sleep.
            unsafe { irq::enable_and_halt() };
            irq::disable();
        }
        // SAFETY: nobody relies on masked interrupts.
        unsafe { irq::enable() };
    }
}
