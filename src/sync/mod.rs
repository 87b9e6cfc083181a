//! Memory that is shared with interrupt handlers.
//!
//! Kernel code whose handlers and main loop share memory takes its types from here instead of
//! [`core::sync::atomic`] and [`core::cell`]. In a kernel they cost nothing: there the atomic types are those
//! of `core`, and [`UnsafeCell`] is a wrapper that is inlined. On a host each access is an operation of the
//! [mock](crate::mock), in front of which an interrupt can arrive, so that exploration finds what an
//! interrupt between two accesses breaks:
//!
//! ```
//! # #[cfg(not(target_arch = "x86"))] {
//! use paravirt_vmi::mock::{Coverage, Explorer, Failure};
//! use paravirt_vmi::sync::atomic::{AtomicU32, Ordering::Relaxed};
//! use std::{cell::Cell, rc::Rc};
//!
//! fn test(increment: fn(&AtomicU32)) -> Result<Coverage, Failure> {
//!     Explorer::new().try_explore(move |cpu| {
//!         let (counter, interrupts) = (Rc::new(AtomicU32::new(0)), Rc::new(Cell::new(0)));
//!         let (shared, seen) = (counter.clone(), interrupts.clone());
//!         cpu.handle(0x20, move || {
//!             shared.fetch_add(1, Relaxed);
//!             seen.set(seen.get() + 1);
//!         });
//!         cpu.source(0x20);
//!         increment(&counter);
//!         assert_eq!(counter.load(Relaxed), 1 + interrupts.get());
//!     })
//! }
//!
//! // One instruction is not interrupted; between two an increment of the handler is lost.
//! assert!(test(|counter| _ = counter.fetch_add(1, Relaxed)).is_ok());
//! assert!(test(|counter| counter.store(counter.load(Relaxed) + 1, Relaxed)).is_err());
//! # }
//! ```
//!
//! A static keeps its value from one test, or one run of an exploration, to the next: a test sets the statics
//! of the code under test first, and does not share them with tests that run at the same time.

pub mod atomic;
mod cell;

pub use cell::UnsafeCell;
