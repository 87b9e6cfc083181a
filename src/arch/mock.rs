//! A stand-in for the processor, for tests on a host of another architecture.
//!
//! Kernel code that uses this crate runs unchanged under `cargo test`: the interrupt flag is a variable, and
//! every call is written down with its arguments. The calls have no other effect, and answer 0 or what
//! [`set_answer`] says. Each thread has a processor of its own, so tests that run side by side do not
//! meet; the test harness runs each test in a thread of its own.
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

use crate::boot::{Machine, Options};
use crate::irq::INTERRUPT_FLAG;
use crate::mmu::LinearMapping;
use crate::patch::{Relocation, RelocationTable, TextError, TextErrorReason, TextWriter};
use crate::rom::Adapter;
use crate::site::StubTable;

/// A call that the code under test has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The call.
    pub call: Call,
    /// Its arguments, in the order of the [call table](Call::info). Of a pointer bits 31 to 0.
    pub arguments: Vec<u32>,
    /// The interrupt flag after the call.
    pub interrupt_flag: bool,
}

/// The state of one thread's processor.
struct State {
    interrupt_flag: bool,
    journal: Vec<Entry>,
    answers: Vec<(Call, u64)>,
}

impl State {
    /// A processor that has just been reset.
    const fn new() -> Self {
        Self { interrupt_flag: false, journal: Vec::new(), answers: Vec::new() }
    }
}

std::thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::new()) };
}

/// Puts this thread's processor into its first state: interrupts masked, journal empty, answers 0.
pub fn reset() {
    STATE.set(State::new());
}

/// Makes `call` answer `value` from now on: bits 31 to 0 in EAX, bits 63 to 32 in EDX.
///
/// GetInterruptMask is not answered by this: it tells the interrupt flag.
///
/// ```
/// use paravirt_vmi::abi::Call;
/// use paravirt_vmi::{mock, time::Clock};
///
/// mock::set_answer(Call::GET_CYCLE_FREQUENCY, 3_000_000_000);
/// assert_eq!(Clock::find().unwrap().frequency().get(), 3_000_000_000);
/// ```
pub fn set_answer(call: Call, value: u64) {
    STATE.with_borrow_mut(|state| state.answers.push((call, value)));
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
fn make(call: Call, arguments: &[u32], change: impl FnOnce(bool) -> bool) -> bool {
    STATE.with_borrow_mut(|state| {
        state.interrupt_flag = change(state.interrupt_flag);
        let interrupt_flag = state.interrupt_flag;
        state.journal.push(Entry { call, arguments: arguments.to_vec(), interrupt_flag });
        interrupt_flag
    })
}

/// Makes `call`, which leaves the flag alone, and returns the answer.
fn ask(call: Call, arguments: &[u32]) -> u64 {
    make(call, arguments, |flag| flag);
    STATE.with_borrow(|state| {
        let answer = state.answers.iter().rev().find(|(answered, _)| *answered == call);
        answer.map_or(0, |(_, value)| *value)
    })
}

/// The ring in which this code runs.
pub(crate) fn ring() -> u8 {
    0
}

/// The calls as the rest of the crate makes them.
pub(crate) mod call {
    use paravirt_vmi_abi::Call;

    use super::{INTERRUPT_FLAG, STATE, ask, make};

    /// A call that changes the interrupt flag or tells it, or one that answers what it was told to.
    macro_rules! mock_function {
        ($name:ident, { $n:literal ENABLE_INTERRUPTS $($row:tt)* }) => {
            pub(crate) unsafe fn $name() {
                make(Call::ENABLE_INTERRUPTS, &[], |_| true);
            }
        };
        ($name:ident, { $n:literal DISABLE_INTERRUPTS $($row:tt)* }) => {
            pub(crate) unsafe fn $name() {
                make(Call::DISABLE_INTERRUPTS, &[], |_| false);
            }
        };
        // Answers more of EFLAGS than bit 9, and not always the same, as a ROM may: so code that looks
        // at more is noticed.
        ($name:ident, { $n:literal GET_INTERRUPT_MASK $($row:tt)* }) => {
            pub(crate) unsafe fn $name() -> u32 {
                const IOPL: u32 = 0x3000;
                const ARITHMETIC_FLAGS: u32 = 0x8d5;
                let enabled = make(Call::GET_INTERRUPT_MASK, &[], |enabled| enabled);
                let calls = STATE.with_borrow(|state| state.journal.len()) as u32;
                IOPL | calls & ARITHMETIC_FLAGS | if enabled { INTERRUPT_FLAG } else { 0 }
            }
        };
        // Only bit 9 of the argument has a meaning.
        ($name:ident, { $n:literal SET_INTERRUPT_MASK $($row:tt)* }) => {
            pub(crate) unsafe fn $name(mask: u32) {
                make(Call::SET_INTERRUPT_MASK, &[mask], |_| mask & INTERRUPT_FLAG != 0);
            }
        };
        ($name:ident, { $n:literal HALT $($row:tt)* }) => {
            pub(crate) unsafe fn $name() {
                make(Call::HALT, &[], |_| true);
            }
        };
        // The TSS, which 3.0 does not look at, travels along for 13.x.
        ($name:ident, { $n:literal UPDATE_KERNEL_STACK $($row:tt)* }) => {
            pub(crate) unsafe fn $name(ss0: u32, esp0: u32, _tss: u32) {
                ask(Call::UPDATE_KERNEL_STACK, &[ss0, esp0]);
            }
        };
        ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
           in($($location:ident $argument:ident),*) out() $($row:tt)* }) => {
            pub(crate) unsafe fn $name($($argument: u32),*) {
                ask(Call::$call, &[$($argument),*]);
            }
        };
        ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
           in($($location:ident $argument:ident),*) out(!) $($row:tt)* }) => {
            pub(crate) unsafe fn $name($($argument: u32),*) -> ! {
                ask(Call::$call, &[$($argument),*]);
                panic!("{}: the processor stops here", Call::$call);
            }
        };
        ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
           in($($location:ident $argument:ident),*) out($register:ident $result:ident) $($row:tt)* }) => {
            pub(crate) unsafe fn $name($($argument: u32),*) -> u32 {
                ask(Call::$call, &[$($argument),*]) as u32
            }
        };
        ($name:ident, { $n:literal $call:ident $abi:literal $group:ident
           in($($location:ident $argument:ident),*) out(eax $low:ident, edx $high:ident) $($row:tt)* }) => {
            pub(crate) unsafe fn $name($($argument: u32),*) -> u64 {
                ask(Call::$call, &[$($argument),*])
            }
        };
        ($name:ident, { $n:literal CPUID $abi:literal $group:ident
           in($($location:ident $argument:ident),*) $($row:tt)* }) => {
            pub(crate) unsafe fn $name($($argument: u32),*) -> [u32; 4] {
                let answer = ask(Call::CPUID, &[$($argument),*]);
                [answer as u32, 0, 0, (answer >> 32) as u32]
            }
        };
    }
    for_each_function!(mock_function);
}

/// There are no sites on this host.
pub(crate) fn bind_calls(_relocations: &RelocationTable) {}

/// There are no sites on this host.
pub(crate) fn unbind_calls() {}

/// There are no sites on this host.
pub(crate) fn site_records() -> (u32, &'static [u8]) {
    (0, &[])
}

/// There are no stubs on this host.
pub(crate) fn native_stubs() -> &'static StubTable {
    &[0; Call::COUNT]
}

/// There are no adapters on this host.
pub(crate) fn bind_adapter(_adapter: Adapter, target: u32) -> u32 {
    target
}

/// The machine that [`boot::activate`](crate::boot::activate) finds on this host: without sites and
/// without option ROMs.
#[derive(Debug)]
pub(crate) struct Processor {
    options: Options,
}

impl Processor {
    /// The machine, mapped and to be used as `options` say.
    ///
    /// # Safety
    ///
    /// None is needed here; unsafe like its namesake on the processor.
    pub(crate) const unsafe fn new(options: Options) -> Self {
        Self { options }
    }
}

impl Machine for Processor {
    fn option_roms(&self) -> &'static [u8] {
        &[]
    }

    fn linear(&self, physical: u32) -> u32 {
        physical.wrapping_add(self.options.physical_offset)
    }

    unsafe fn init(&mut self, _entry: u32) -> u32 {
        u32::MAX
    }

    unsafe fn relocation(&mut self, _entry: u32, _number: u32) -> Relocation {
        Relocation::NONE
    }

    fn linear_mapping(&self) -> Option<LinearMapping> {
        self.options.linear_mapping
    }

    unsafe fn set_linear_mapping(&mut self, _entry: u32, _mapping: LinearMapping) {}
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
