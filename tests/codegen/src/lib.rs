//! Functions whose machine code is checked: no store may move across a mask or unmask.
//!
//! Each function stores 1, 2, 3 ... to [`PROBE`], in this order, with a site between two stores. The
//! checker finds the stores and the sites in the object file; a compiler that was told too much about
//! a site would merge or move them. The functions of `shared` are compared as a whole.
//!
//! # Safety
//!
//! Nothing here is run.
#![no_std]
#![allow(unsafe_code)]

mod shared;

use core::cell::UnsafeCell;

use paravirt_vmi::irq;

/// What is stored to, without volatile accesses: the sites alone keep the stores in place.
#[repr(transparent)]
pub struct Probe(UnsafeCell<u32>);

// SAFETY: nothing here is run.
unsafe impl Sync for Probe {}

/// Where the stores go.
#[unsafe(no_mangle)]
pub static PROBE: Probe = Probe(UnsafeCell::new(0));

/// Stores `value`.
#[inline(always)]
fn store(value: u32) {
    // SAFETY: nothing here is run.
    unsafe { *PROBE.0.get() = value };
}

/// Stores around mask and unmask.
#[unsafe(no_mangle)]
pub extern "C" fn codegen_disable_enable() {
    store(1);
    irq::disable();
    store(2);
    // SAFETY: nothing here is run.
    unsafe { irq::enable() };
    store(3);
}

/// Stores around saving, masking and restoring.
#[unsafe(no_mangle)]
pub extern "C" fn codegen_save_restore() {
    store(1);
    let state = irq::save();
    store(2);
    irq::disable();
    store(3);
    // SAFETY: nothing here is run.
    unsafe { irq::restore(state) };
    store(4);
}

/// Stores around the wait for an interrupt.
#[unsafe(no_mangle)]
pub extern "C" fn codegen_halt() {
    store(1);
    // SAFETY: nothing here is run.
    unsafe { irq::enable_and_halt() };
    store(2);
}

/// Stores before, inside and behind a masked section.
#[unsafe(no_mangle)]
pub extern "C" fn codegen_without_interrupts() {
    store(1);
    irq::without_interrupts(|| store(2));
    store(3);
}
