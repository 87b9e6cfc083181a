//! A stand-in for the processor, for tests on a host of another architecture.
//!
//! Kernel code that uses this crate runs unchanged under `cargo test`: each thread has a processor of its own,
//! on which interrupts arrive exactly where hardware or a hypervisor would deliver them. [`run`] runs a test
//! on a fresh one:
//!
//! ```
//! use paravirt_vmi::{irq, mock};
//! use std::{cell::Cell, rc::Rc};
//!
//! mock::run(|cpu| {
//!     let ticks = Rc::new(Cell::new(0));
//!     let counter = ticks.clone();
//!     cpu.handle(0x20, move || counter.set(counter.get() + 1));
//!     irq::without_interrupts(|| {
//!         cpu.raise(0x20);
//!         assert_eq!(ticks.get(), 0); // pending
//!     });
//!     cpu.point(); // one instruction more, in the shadow of `sti`
//!     assert_eq!(ticks.get(), 1); // delivered
//! });
//! ```
//!
//! [`explore`] runs it again and again, with an interrupt at every place where one could arrive. Everything that
//! happens is in the [journal](Cpu::journal). Other calls find a machine as well, which [`Cpu`] sets up: registers,
//! descriptor tables, ports with [devices](Device), a local APIC, and time.
//!
//! Code on a thread of its own, outside [`run`] and [`explore`], has a processor too ([`Cpu::current`]), masked as
//! after power-on: what it does wrong panics there and then, and nobody looks at its end.
//!
//! # When interrupts arrive
//!
//! A *gap* is the time between two *operations*: calls of this crate, and accesses to memory that is shared with
//! handlers through [`sync`](crate::sync). Nothing that can be told apart happens at different moments of one
//! gap, so one gap with interrupts unmasked is one place at which an interrupt can arrive: an interrupt that becomes
//! pending in it is delivered at once. In code without operations, [`Cpu::point`] marks such a place.
//!
//! What is pending when a call unmasks interrupts arrives
//!
//! | by | on [`Flavour::Native`] | on [`Flavour::Vmi`] |
//! |---|---|---|
//! | EnableInterrupts (29), if they were masked | after the next operation: it is in the shadow of `sti` | inside the call |
//! | SetInterruptMask (32), IRET (33), SYSEXIT (34) | at once | inside the call |
//! | Halt (35) | before the call returns: it wakes the processor | the same |
//! | the end of the test | at once | at once |
//!
//! The end of a [section](crate::irq::without_interrupts) is EnableInterrupts. [`restore`](crate::irq::restore) is
//! taken for the `popf` that it stands for; that its native form ends in `sti`, too, nobody may rely on. Halt does not
//! lie in the shadow of another `sti`: it is `sti; hlt`, so an interrupt can arrive between a
//! [`enable`](crate::irq::enable) in front of it and its `hlt`, which then sleeps.
//!
//! A vector is pending at most once, and pending vectors are delivered in the order in which they came. A handler
//! runs with interrupts masked, as behind an interrupt gate; when it returns, the flag is what it was. What a device
//! raises while it is accessed is delivered when the access is over. While the code under test unwinds nothing is
//! delivered. Source: facts sheet, sections 8.3 to 8.6.
//!
//! # The machine around it
//!
//! All other calls have their effects here too, so that code runs which uses any module of the crate. Nothing is
//! translated by the page tables, and no other processor starts. A test makes the machine what it wants it to be, and
//! asks it what has become of it:
//!
//! | module | what there is | made by | asked for by |
//! |---|---|---|---|
//! | [`cpu`](crate::cpu) | registers that hold what is written | [`Cpu::set_cpuid`], [`Cpu::set_msr`], [`Cpu::set_performance_counter`] | [`Cpu::msr`] |
//! | [`descriptor`](crate::descriptor) | table registers; entries are written to the memory given | | [`Cpu::kernel_stack`] |
//! | [`mmu`](crate::mmu) | entries are written to the memory given | | [`Cpu::page_tables`], [`Cpu::linear_mappings`], [`Cpu::lazy_mode`] |
//! | [`port`](crate::port) | devices | [`Cpu::attach`] | [`Cpu::iopl`] |
//! | [`apic`](crate::apic) | messages to itself, task priority, timer | [`Cpu::set_apic_id`] | |
//! | [`time`](crate::time) | counters, alarms, wall clock | [`Cpu::set_clock_frequency`], [`Cpu::set_wall_clock`], [`Cpu::advance`], [`Cpu::steal`] | [`Cpu::cycles`] |
//! | [`smp`](crate::smp) | the states of processors that are to start | | [`Cpu::initial_ap_state`] |
//! | [`power`](crate::power) | both calls end the test with a panic | | |
//!
//! Everything else is in the [journal](Cpu::journal), and [`Cpu::answer`] makes a call answer something else.
//!
//! # What goes wrong
//!
//! Whatever a kernel must not do is a [`Misuse`], and fails the test with a message that says what happened, and
//! where: the functions of this crate know their callers here. A test that catches the unwinding fails all the same.
//!
//! | what | which |
//! |---|---|
//! | states or guards that do not nest | [`Misuse::RestoreOutOfOrder`], [`Misuse::GuardOutOfOrder`] |
//! | interrupts unmasked inside a guard | [`Misuse::UnmaskedInSection`] |
//! | a halt that nothing ends | [`Misuse::HaltedMasked`], [`Misuse::HaltedForEver`] |
//! | an interrupt between the check for work and the halt | [`Misuse::LostWakeUp`] |
//! | a return to user mode with IF clear | [`Misuse::MaskedUserMode`] |
//! | a handler that leaves interrupts unmasked, or a section open | [`Misuse::HandlerChangedFlag`], [`Misuse::HandlerLeftSection`] |
//! | a test that ends with interrupts masked | [`Misuse::EndedMasked`] |
//! | a vector without a handler | [`Misuse::NoHandler`] |
//! | no end: operations, interrupts, handlers in handlers | [`Misuse::TooManyOperations`], [`Misuse::TooManyInterrupts`], [`Misuse::NestedTooDeep`] |
//! | shared memory used in the middle of another use | [`Misuse::DataRace`] |
//! | what the processor or a hypervisor refuses | [`Misuse::Exception`], [`Misuse::BrokenRule`] |
//!
//! Code that goes on for ever without any operation is given up after [a time](Limits::time).
//!
//! For example, an idle loop that looks for work with interrupts unmasked:
//!
//! ```
//! use paravirt_vmi::sync::atomic::{AtomicBool, Ordering};
//! use paravirt_vmi::{irq, mock};
//!
//! let failure = mock::try_run(mock::Limits::DEFAULT, |cpu| {
//!     let ready = AtomicBool::new(false);
//!     cpu.handle(0x20, || ());
//!     if !ready.load(Ordering::Relaxed) {
//!         cpu.raise(0x20); // just now
//!         unsafe { irq::enable_and_halt() };
//!     }
//! });
//! let message = failure.unwrap_err().to_string();
//! assert!(message.starts_with("lost wake-up: interrupt 0x20 came between the last check, at "));
//! assert!(message.ends_with("; mask interrupts before the check"));
//! ```
//!
//! # Safety
//!
//! Unsafe are functions that implement a trait, or stand for a function of the processor, that says so; and the
//! accesses to memory for which the code under test has given an address, by an unsafe function that makes it owe
//! that the address may be used so.
#![allow(unsafe_code)]

pub(crate) mod call;
mod cpu;
mod delivery;
mod explore;
mod foreign;
mod journal;
mod limits;
#[cfg(feature = "critical-section")]
pub(crate) mod lock;
mod misuse;
mod model;
mod observe;
mod operation;
mod place;
mod processor;
mod provider;
pub mod rom;
mod run;
mod section;
mod shared;
mod state;

pub use cpu::{Cpu, Flavour, InterruptFrame};
pub use explore::{
    Coverage, ExplorationError, Explorer, FailedRun, FlavourCoverage, InjectedInterrupt, Injection, Now,
    Opening, Point, Schedule, ScheduleError, explore,
};
pub use journal::{Entry, Event};
pub use limits::Limits;
pub use misuse::Misuse;
pub use model::{Device, KernelStack};
pub(crate) use observe::observe;
pub use place::{FlagCause, FlagChange, Place};
pub use processor::DirectWriter;
pub(crate) use processor::{Processor, bind_adapter, native_stubs, site_records};
pub(crate) use rom::{bind_calls, ring, unbind_calls};
pub use run::{Failure, FailureCause, run, try_run};
pub(crate) use section::{Origin, Section};
pub(crate) use shared::{Access, CellAccess, access};

/// An address as the calls take it: of the host's width, so that the mock can follow it.
pub(crate) type Linear = usize;

/// The linear address of what lies at `place`.
pub(crate) fn linear<T: ?Sized>(place: *const T) -> Linear {
    place.cast::<u8>().expose_provenance()
}
