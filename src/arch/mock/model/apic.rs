//! The local APIC: the registers that [`Register`] names, messages to itself, and a timer.
//!
//! Source: Intel's manual, volume 3, chapter on the APIC; the version is that of a P6.

use std::collections::BTreeSet;

use paravirt_vmi_abi::Call;

use super::timer::next_expiry;
use super::{Invocation, NOTHING, Outcome, eax};
use crate::apic::Register;
use crate::arch::mock::state::{self, State};
use crate::arch::mock::{Cpu, Place};

/// Version 0x11, and the number of the last local vector.
const VERSION: u32 = 0x0004_0011;
/// SPURIOUS: the APIC is on.
const ENABLED: u32 = 1 << 8;
/// A local vector: no interrupt comes of it.
const MASKED: u32 = 1 << 16;
/// LVT_TIMER: the timer begins again by itself.
const PERIODIC: u32 = 1 << 17;
/// Interrupt command, delivery status: never so here.
const SEND_PENDING: u32 = 1 << 12;
/// Interrupt command: the destination is a set of logical ones.
const LOGICAL: u32 = 1 << 11;
/// A destination: every processor.
const EVERYBODY: u8 = 0xff;
/// Vectors below this one are those of exceptions.
const FIRST_VECTOR: u8 = 16;

/// ERROR_STATUS: the vector of an exception was to be sent.
const SENT_ILLEGAL_VECTOR: u32 = 1 << 5;
/// ERROR_STATUS: a register was used that is not there.
const ILLEGAL_REGISTER: u32 = 1 << 7;

/// The local vectors, and what can be written to each.
const LOCAL_VECTORS: [(Register, u32); 5] = [
    (Register::LVT_TIMER, 0x3_00ff),
    (Register::LVT_PERFORMANCE, 0x1_07ff),
    (Register::LVT_LINT0, 0x1_a7ff),
    (Register::LVT_LINT1, 0x1_a7ff),
    (Register::LVT_ERROR, 0x1_00ff),
];

/// The local APIC.
pub(super) struct Apic {
    /// The registers that are nothing but memory.
    registers: [u32; 64],
    /// Interrupts that wait until the task priority lets them through.
    held: BTreeSet<u8>,
    /// What ERROR_STATUS will show when it is written.
    errors: u32,
    /// When the timer comes to zero, in cycles of [`Clock`](super::clock::Clock), if it runs.
    timer: Option<u64>,
}

impl Default for Apic {
    /// As a PC's firmware leaves it: on; of the local vectors LINT0 takes the interrupts of the PIC and LINT1 NMI.
    fn default() -> Self {
        let mut apic = Self { registers: [0; 64], held: BTreeSet::new(), errors: 0, timer: None };
        for (register, _) in LOCAL_VECTORS {
            *apic.register(register) = MASKED;
        }
        *apic.register(Register::LVT_LINT0) = 0x700;
        *apic.register(Register::LVT_LINT1) = 0x400;
        *apic.register(Register::VERSION) = VERSION;
        *apic.register(Register::DESTINATION_FORMAT) = u32::MAX;
        *apic.register(Register::SPURIOUS) = ENABLED | 0xf;
        apic
    }
}

impl Apic {
    fn register(&mut self, register: Register) -> &mut u32 {
        &mut self.registers[usize::from(register.offset() / 16)]
    }

    fn get(&self, register: Register) -> u32 {
        self.registers[usize::from(register.offset() / 16)]
    }

    fn id(&self) -> u8 {
        (self.get(Register::ID) >> 24) as u8
    }

    fn is_enabled(&self) -> bool {
        self.get(Register::SPURIOUS) & ENABLED != 0
    }

    /// Cycles in one tick of the timer.
    fn divisor(&self) -> u64 {
        let divide = self.get(Register::TIMER_DIVIDE);
        match divide & 3 | (divide & 8) >> 1 {
            7 => 1,
            exponent => 2 << exponent,
        }
    }

    /// Ticks that are left until the timer comes to zero.
    fn current_count(&self, now: u64) -> u64 {
        self.timer.map_or(0, |zero| zero.saturating_sub(now).div_ceil(self.divisor()))
    }

    /// Starts the timer `ticks` before zero; 0 stops it.
    fn start_timer(&mut self, ticks: u64, now: u64) {
        self.timer = (ticks != 0).then(|| now.saturating_add(ticks * self.divisor()));
    }

    /// When the timer comes to zero.
    pub(super) fn timer_due(&self) -> Option<u64> {
        self.timer
    }

    /// The vector of the timer, if an interrupt comes of it.
    pub(super) fn timer_vector(&self) -> Option<u8> {
        let local = self.get(Register::LVT_TIMER);
        (local & MASKED == 0).then_some(local as u8)
    }

    /// The timer has come to zero.
    pub(super) fn end_timer(&mut self, now: u64) {
        let period = u64::from(self.get(Register::TIMER_INITIAL_COUNT)) * self.divisor();
        let is_periodic = self.get(Register::LVT_TIMER) & PERIODIC != 0 && period != 0;
        self.timer = self.timer.filter(|_| is_periodic).and_then(|zero| next_expiry(zero, period, now));
    }

    /// Whether the task priority lets an interrupt through; never one with the vector of an exception, whose class is
    /// 0.
    pub(super) fn lets_through(&self, vector: u8) -> bool {
        u32::from(vector) >> 4 > self.get(Register::TASK_PRIORITY) >> 4
    }

    fn read(&mut self, register: Register, now: u64) -> u32 {
        match register {
            Register::TIMER_CURRENT_COUNT => self.current_count(now) as u32,
            Register::END_OF_INTERRUPT => 0,
            _ if !is_there(register) => {
                self.errors |= ILLEGAL_REGISTER;
                0
            }
            _ => self.get(register),
        }
    }

    fn write(&mut self, register: Register, value: u32, now: u64) {
        let writable = LOCAL_VECTORS.into_iter().find(|(local, _)| *local == register);
        if let Some((_, writable)) = writable {
            let masked = if self.is_enabled() { 0 } else { MASKED };
            *self.register(register) = value & writable | masked;
            return;
        }
        let value = match register {
            Register::VERSION | Register::TIMER_CURRENT_COUNT | Register::END_OF_INTERRUPT => return,
            Register::ID | Register::LOGICAL_DESTINATION | Register::INTERRUPT_COMMAND_HIGH => {
                value & 0xff00_0000
            }
            Register::DESTINATION_FORMAT => value | 0x0fff_ffff,
            Register::TASK_PRIORITY => value & 0xff,
            Register::SPURIOUS => value & 0x3ff,
            Register::ERROR_STATUS => core::mem::take(&mut self.errors),
            Register::INTERRUPT_COMMAND_LOW => value & !SEND_PENDING,
            Register::TIMER_DIVIDE => value & 0xb,
            Register::TIMER_INITIAL_COUNT => value,
            _ => {
                self.errors |= ILLEGAL_REGISTER;
                return;
            }
        };
        let ticks = self.current_count(now);
        *self.register(register) = value;
        match register {
            Register::TIMER_INITIAL_COUNT => self.start_timer(value.into(), now),
            Register::TIMER_DIVIDE => self.start_timer(ticks, now),
            Register::SPURIOUS if !self.is_enabled() => {
                for (local, _) in LOCAL_VECTORS {
                    *self.register(local) |= MASKED;
                }
            }
            _ => {}
        }
    }

    /// Whether the message that INTERRUPT_COMMAND describes comes back to this processor.
    fn sends_to_itself(&self) -> bool {
        let command = self.get(Register::INTERRUPT_COMMAND_LOW);
        let destination = (self.get(Register::INTERRUPT_COMMAND_HIGH) >> 24) as u8;
        match command >> 18 & 3 {
            0 if command & LOGICAL != 0 => self.is_logical_destination(destination),
            0 => destination == self.id() || destination == EVERYBODY,
            1 | 2 => true,
            _ => false,
        }
    }

    fn is_logical_destination(&self, destination: u8) -> bool {
        let own = (self.get(Register::LOGICAL_DESTINATION) >> 24) as u8;
        let is_flat = self.get(Register::DESTINATION_FORMAT) >> 28 == 0xf;
        match destination {
            EVERYBODY => true,
            _ if is_flat => own & destination != 0,
            // Clusters: their number in the high half, a set of processors in the low one.
            _ => own >> 4 == destination >> 4 && own & destination & 0xf != 0,
        }
    }
}

/// Whether there is such a register.
fn is_there(register: Register) -> bool {
    let is_local_vector = LOCAL_VECTORS.iter().any(|(local, _)| *local == register);
    is_local_vector
        || matches!(
            register,
            Register::ID
                | Register::VERSION
                | Register::TASK_PRIORITY
                | Register::LOGICAL_DESTINATION
                | Register::DESTINATION_FORMAT
                | Register::SPURIOUS
                | Register::ERROR_STATUS
                | Register::INTERRUPT_COMMAND_LOW
                | Register::INTERRUPT_COMMAND_HIGH
                | Register::TIMER_INITIAL_COUNT
                | Register::TIMER_DIVIDE
        )
}

impl State {
    /// An interrupt has come to the local APIC. One that is switched off takes none.
    pub(super) fn accept_interrupt(&mut self, vector: u8, place: Place) {
        if self.model.apic.is_enabled() {
            self.model.apic.held.insert(vector);
            self.release_interrupts(place);
        }
    }

    /// Passes on what the task priority lets through, the highest priority first.
    fn release_interrupts(&mut self, place: Place) {
        while let Some(vector) = self.model.apic.held.last().copied() {
            if !self.model.apic.lets_through(vector) {
                return;
            }
            self.model.apic.held.remove(&vector);
            self.raise(vector, place);
        }
    }

    /// Sends the message that INTERRUPT_COMMAND describes. All but those that carry a vector concern processors that
    /// are not here, and remain in the journal only.
    fn send_message(&mut self, place: Place) {
        let apic = &mut self.model.apic;
        let command = apic.get(Register::INTERRUPT_COMMAND_LOW);
        let (vector, delivery) = (command as u8, command >> 8 & 7);
        let carries_vector = delivery <= 1;
        if carries_vector && vector < FIRST_VECTOR {
            apic.errors |= SENT_ILLEGAL_VECTOR;
        } else if carries_vector && apic.sends_to_itself() {
            self.accept_interrupt(vector, place);
        }
    }
}

/// Carries a call of [`apic`](crate::apic) out.
pub(super) fn perform(state: &mut State, invocation: &Invocation<'_>) -> Outcome {
    let now = state.model.clock.real();
    let offset = (invocation.address(0) & 0xff0) as u16;
    let Some(register) = Register::new(offset) else { return Ok(NOTHING) };
    if invocation.call == Call::APIC_READ {
        return Ok(eax(state.model.apic.read(register, now)));
    }
    state.model.apic.write(register, invocation.word(1), now);
    match register {
        Register::INTERRUPT_COMMAND_LOW => state.send_message(invocation.place),
        Register::TASK_PRIORITY => state.release_interrupts(invocation.place),
        _ => {}
    }
    Ok(NOTHING)
}

impl Cpu {
    /// Gives the local APIC another number; it is 0 at first.
    ///
    /// The APIC here has the registers that [`Register`] names, at whatever address the kernel has mapped it. A fixed
    /// or lowest-priority interrupt command to this processor makes the vector pending as soon as the task priority
    /// lets it through; other commands are in the journal only. The timer counts the cycles of
    /// [`advance`](Self::advance). END_OF_INTERRUPT does nothing: no interrupt stays in service.
    pub fn set_apic_id(self, id: u8) {
        state::with(|state| {
            *state.model.apic.register(Register::ID) = u32::from(id) << 24;
            state.model.registers.set_initial_apic_id(id);
        });
    }
}
