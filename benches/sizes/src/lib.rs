//! Masked sections in several styles, whose machine code `cargo xtask bench` measures.
//!
//! `size_STYLE_pair` masks, stores and unmasks; `size_STYLE_section` asks first, and unmasks only if that was so before;
//! `..._twice` does it twice.
//! The records of a style other than this crate's lie in a section `records_STYLE_pair` or `records_STYLE_section`.
//!
//! # Safety
//!
//! Nothing here is run.
#![no_std]
#![allow(unsafe_code)]

#[cfg(target_arch = "x86")]
mod styles;

use core::cell::UnsafeCell;

use paravirt_vmi::irq;

/// What is stored to in a section.
#[repr(transparent)]
pub struct Work(UnsafeCell<u32>);

// SAFETY: nothing here is run.
unsafe impl Sync for Work {}

/// Where the stores go.
#[unsafe(no_mangle)]
pub static SIZE_WORK: Work = Work(UnsafeCell::new(0));

/// One store.
#[inline(always)]
fn work() {
    // SAFETY: nothing here is run.
    unsafe { SIZE_WORK.0.get().write_volatile(1) };
}

/// The store alone: what every function has.
#[unsafe(no_mangle)]
pub extern "C" fn size_nothing() {
    work();
}

/// Two stores.
#[unsafe(no_mangle)]
pub extern "C" fn size_nothing_twice() {
    work();
    work();
}

/// This crate's masking and unmasking.
#[unsafe(no_mangle)]
pub extern "C" fn size_ours_pair() {
    pair();
}

/// Masks, stores, unmasks.
#[inline(always)]
fn pair() {
    irq::disable();
    work();
    // SAFETY: nothing here is run.
    unsafe { irq::enable() };
}

/// This crate's section.
#[unsafe(no_mangle)]
pub extern "C" fn size_ours_section() {
    irq::without_interrupts(work);
}

/// Two of the first: what the second adds is free of what a function has once, such as an aligned stack.
#[unsafe(no_mangle)]
pub extern "C" fn size_ours_pair_twice() {
    pair();
    pair();
}

/// Two sections.
#[unsafe(no_mangle)]
pub extern "C" fn size_ours_section_twice() {
    irq::without_interrupts(work);
    irq::without_interrupts(work);
}
