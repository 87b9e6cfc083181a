//! A stand-in for the processor, for tests on a host of another architecture.
//!
//! Kernel code that uses [`irq`](crate::irq) runs unchanged under `cargo test`: the interrupt flag is a
//! variable, and every call is written down. Each thread has a processor of its own, so tests that run
//! side by side do not meet; the test harness runs each test in a thread of its own.
//!
//! ```
//! use paravirt_vmi::abi::Call;
//! use paravirt_vmi::{irq, mock};
//!
//! mock::reset();
//! irq::without_interrupts(|| assert!(!mock::interrupt_flag()));
//! let calls: Vec<Call> = mock::journal().iter().map(|entry| entry.call).collect();
//! assert_eq!(calls, [Call::GET_INTERRUPT_MASK, Call::DISABLE_INTERRUPTS]);
//! ```
//!
//! No interrupt arrives here, so a halted processor is woken at once. There is no option ROM:
//! [`boot::activate`](crate::boot::activate) finds none and stays native.
//!
//! # Safety
//!
//! The module has no unsafe block; two functions are `unsafe` because the trait that they implement
//! says so.
#![allow(unsafe_code)]

extern crate std;

use core::cell::RefCell;
use core::ops::Range;
use std::vec::Vec;

use paravirt_vmi_abi::Call;

use crate::boot::Machine;
use crate::irq::INTERRUPT_FLAG;
use crate::patch::{Relocation, RelocationTable, TextError, TextErrorReason, TextWriter};

/// A call that the code under test has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The call.
    pub call: Call,
    /// The interrupt flag after the call.
    pub interrupt_flag: bool,
}

/// The state of one thread's processor.
struct State {
    interrupt_flag: bool,
    journal: Vec<Entry>,
}

std::thread_local! {
    static STATE: RefCell<State> =
        const { RefCell::new(State { interrupt_flag: false, journal: Vec::new() }) };
}

/// Puts this thread's processor into its first state: interrupts masked, journal empty.
pub fn reset() {
    STATE.with_borrow_mut(|state| {
        state.interrupt_flag = false;
        state.journal.clear();
    });
}

/// The interrupt flag of this thread's processor; reading it here is no call.
pub fn interrupt_flag() -> bool {
    STATE.with_borrow(|state| state.interrupt_flag)
}

/// The calls that this thread has made since its start or the last [`reset`].
pub fn journal() -> Vec<Entry> {
    STATE.with_borrow(|state| state.journal.clone())
}

/// Makes `call`, which leaves the flag as `change` turns it, and returns the flag.
fn make(call: Call, change: impl FnOnce(bool) -> bool) -> bool {
    STATE.with_borrow_mut(|state| {
        state.interrupt_flag = change(state.interrupt_flag);
        let interrupt_flag = state.interrupt_flag;
        state.journal.push(Entry { call, interrupt_flag });
        interrupt_flag
    })
}

/// Call 29.
pub(crate) fn enable_interrupts() {
    make(Call::ENABLE_INTERRUPTS, |_| true);
}

/// Call 30.
pub(crate) fn disable_interrupts() {
    make(Call::DISABLE_INTERRUPTS, |_| false);
}

/// Call 31. Answers more of EFLAGS than bit 9, and not always the same, as a ROM may: so code that looks
/// at more is noticed.
pub(crate) fn get_interrupt_mask() -> u32 {
    const IOPL: u32 = 0x3000;
    const ARITHMETIC_FLAGS: u32 = 0x8d5;
    let enabled = make(Call::GET_INTERRUPT_MASK, |enabled| enabled);
    let calls = STATE.with_borrow(|state| state.journal.len()) as u32;
    IOPL | calls & ARITHMETIC_FLAGS | if enabled { INTERRUPT_FLAG } else { 0 }
}

/// Call 32. Only bit 9 of the argument has a meaning.
pub(crate) fn set_interrupt_mask(mask: u32) {
    make(Call::SET_INTERRUPT_MASK, |_| mask & INTERRUPT_FLAG != 0);
}

/// Call 35.
pub(crate) fn halt() {
    make(Call::HALT, |_| true);
}

/// There are no sites on this host.
pub(crate) fn bind_calls(_relocations: &RelocationTable) {}

/// There are no sites on this host.
pub(crate) fn unbind_calls() {}

/// The machine that [`boot::activate`](crate::boot::activate) finds on this host: without sites and
/// without option ROMs.
#[derive(Debug)]
pub(crate) struct Processor {
    physical_offset: u32,
}

impl Processor {
    /// The machine, with physical address p at linear address p + `physical_offset`.
    ///
    /// # Safety
    ///
    /// None is needed here; unsafe like its namesake on the processor.
    pub(crate) const unsafe fn new(physical_offset: u32) -> Self {
        Self { physical_offset }
    }
}

impl Machine for Processor {
    fn site_records(&self) -> (u32, &'static [u8]) {
        (0, &[])
    }

    fn option_roms(&self) -> &'static [u8] {
        &[]
    }

    fn linear(&self, physical: u32) -> u32 {
        physical.wrapping_add(self.physical_offset)
    }

    unsafe fn init(&mut self, _entry: u32) -> u32 {
        u32::MAX
    }

    unsafe fn relocation(&mut self, _entry: u32, _call: Call) -> Relocation {
        Relocation::NONE
    }

    fn ring(&self) -> u8 {
        0
    }
}

/// Stands for the writer of the kernel's text, so that code which activates the hypervisor compiles and
/// runs here. A host has no kernel text: every range lies outside it.
#[derive(Debug)]
pub struct DirectWriter {
    _private: (),
}

impl DirectWriter {
    /// A writer for no text at all.
    ///
    /// # Safety
    ///
    /// None is needed here; unsafe like its namesake on the processor.
    pub const unsafe fn new(_text: Range<u32>) -> Self {
        Self { _private: () }
    }
}

impl TextWriter for DirectWriter {
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
        Err(TextError { address, length: bytes.len(), reason: TextErrorReason::OutsideText })
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        Err(TextError { address, length: bytes.len(), reason: TextErrorReason::OutsideText })
    }

    fn serialize(&mut self) {}
}
