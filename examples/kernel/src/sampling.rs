//! The example driver `vmi-sampler` in this kernel: it gets the timer's interrupts while it is on.
//!
//! # Safety
//!
//! Only the processor that boots uses the driver; the timer's handler runs with interrupts masked.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use paravirt_vmi::irq;
use vmi_sampler::{Period, Sampler};

/// How many samples the driver has room for.
pub const ROOM: usize = 16;

/// The driver.
// SAFETY: see the module; while it is on, nothing else in this kernel uses the timer.
pub static SAMPLER: Sampler<ROOM> = unsafe { Sampler::new() };

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Turns the driver on, and lets the timer tick.
pub fn start(period: Period) {
    // First: the timer may interrupt as soon as it is started.
    IS_ON.store(true, Relaxed);
    SAMPLER.start(period);
}

/// Turns the driver off, with interrupts masked from here on.
pub fn stop() {
    irq::disable();
    IS_ON.store(false, Relaxed);
}

/// Handles one interrupt of the timer, with interrupts masked.
pub fn on_tick() {
    if IS_ON.load(Relaxed) {
        // SAFETY: interrupts are masked.
        unsafe { SAMPLER.on_tick() };
    }
}
