//! What the calls do that do not concern interrupts: the machine around the processor.

mod apic;
mod clock;
mod descriptor;
mod memory;
mod mmu;
mod ports;
mod registers;
mod timer;

use paravirt_vmi_abi::Call;

use super::run::stop;
use super::{Linear, Misuse, Place, state};

pub use descriptor::KernelStack;
pub use ports::Device;

/// Registers, tables, devices and time.
#[derive(Default)]
pub(super) struct Model {
    registers: registers::Registers,
    descriptors: descriptor::Descriptors,
    tables: mmu::Tables,
    ports: ports::Ports,
    apic: apic::Apic,
    clock: clock::Clock,
}

/// What a call leaves in EAX, EBX, ECX and EDX, or why it cannot be carried out.
type Outcome = Result<[u32; 4], Misuse>;

/// What a call without a result leaves.
const NOTHING: [u32; 4] = [0; 4];

/// A result in EAX.
const fn eax(value: u32) -> [u32; 4] {
    [value, 0, 0, 0]
}

/// A result in EDX:EAX.
const fn edx_eax(value: u64) -> [u32; 4] {
    [value as u32, 0, 0, (value >> 32) as u32]
}

/// A call that is carried out.
struct Invocation<'a> {
    call: Call,
    arguments: &'a [Linear],
    place: Place,
}

impl Invocation<'_> {
    /// Argument `number` of the call table's row, from 0: an address.
    fn address(&self, number: usize) -> Linear {
        self.arguments[number]
    }

    /// Argument `number`: a value of 32 bits.
    fn word(&self, number: usize) -> u32 {
        self.arguments[number] as u32
    }

    /// The processor raises an exception, because of `value`.
    fn exception(&self, reason: &'static str, value: u32) -> Misuse {
        Misuse::Exception { call: self.call, place: self.place, reason, value }
    }

    /// A hypervisor need not carry the call out, because of `value`.
    fn broken_rule(&self, rule: &'static str, value: u32) -> Misuse {
        Misuse::BrokenRule { call: self.call, place: self.place, rule, value }
    }
}

/// Carries a call out: EAX, EBX, ECX and EDX afterwards.
pub(super) fn perform(call: Call, arguments: &[Linear], place: Place) -> [u32; 4] {
    let invocation = Invocation { call, arguments, place };
    let outcome = match call.info().group {
        "cpu" => state::with(|state| registers::perform(state, &invocation)),
        "descriptor" | "smp" => state::with(|state| descriptor::perform(state, &invocation)),
        "mmu" => state::with(|state| mmu::perform(state, &invocation)),
        // Devices are used without the state, which they may use themselves.
        "port" => ports::perform(&invocation),
        "apic" => state::with(|state| apic::perform(state, &invocation)),
        "time" => state::with(|state| clock::perform(state, &invocation)),
        // Reboot and Shutdown: what called them does not go on.
        _ => Ok(NOTHING),
    };
    outcome.unwrap_or_else(|misuse| {
        stop(misuse.into());
        NOTHING
    })
}
