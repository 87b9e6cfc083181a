//! The processor's own registers, and what it says of itself.

use std::collections::BTreeMap;

use paravirt_vmi_abi::Call;

use super::{Invocation, NOTHING, Outcome, eax, edx_eax};
use crate::arch::mock::state::{self, State};
use crate::arch::mock::{Cpu, Misuse};
use crate::cpu::{Cr0, Cr4};

/// IA32_TIME_STAMP_COUNTER.
const TIME_STAMP_COUNTER: u32 = 0x10;

/// The model-specific registers that are there at first. The time-stamp counter is elsewhere.
const MSRS: [(u32, u64); 6] = [
    (0x00, 0),           // P5_MC_ADDR
    (0x01, 0),           // P5_MC_TYPE
    (0x1b, 0xfee0_0900), // IA32_APIC_BASE: on, first processor
    (0x174, 0),          // IA32_SYSENTER_CS
    (0x175, 0),          // IA32_SYSENTER_ESP
    (0x176, 0),          // IA32_SYSENTER_EIP
];

/// CPUID as a Pentium III has it, but with no more features than there are registers here: FPU, VME, DE, PSE, TSC,
/// MSR, PAE, CX8, APIC, SEP, PGE, CMOV and FXSR.
const LEAF_1: [u32; 4] = [0x0673, 0, 0, 0x0100_ab7f];
const VENDOR: [u32; 3] =
    [u32::from_le_bytes(*b"Genu"), u32::from_le_bytes(*b"ntel"), u32::from_le_bytes(*b"ineI")];

/// The first of the leaves that are not Intel's.
const HYPERVISOR_LEAVES: u32 = 0x4000_0000;
/// The first of the extended leaves.
const EXTENDED_LEAVES: u32 = 0x8000_0000;

/// The bits of DR6 that can be written; of the others all but bit 12 are set.
const DR6_WRITABLE: u32 = 0xe00f;
const DR6_SET: u32 = 0xffff_0ff0;
/// The bits of DR7 that are always clear, and the one that is always set.
const DR7_CLEAR: u32 = 0xd800;
const DR7_SET: u32 = 0x400;

/// Registers.
pub(super) struct Registers {
    cr0: Cr0,
    cr2: u32,
    cr3: u32,
    cr4: Cr4,
    debug: [u32; 8],
    leaves: BTreeMap<u32, [u32; 4]>,
    msrs: BTreeMap<u32, u64>,
    counters: BTreeMap<u32, u64>,
}

impl Default for Registers {
    /// Those of a kernel that is up: paging is on.
    fn default() -> Self {
        Self {
            cr0: Cr0::PG | Cr0::AM | Cr0::WP | Cr0::NE | Cr0::ET | Cr0::MP | Cr0::PE,
            cr2: 0,
            cr3: 0x0010_0000,
            cr4: Cr4::PGE | Cr4::PSE,
            debug: [0, 0, 0, 0, 0, 0, DR6_SET, DR7_SET],
            leaves: BTreeMap::from([(1, LEAF_1)]),
            msrs: BTreeMap::from(MSRS),
            counters: BTreeMap::from([(0, 0), (1, 0)]),
        }
    }
}

impl Registers {
    /// The highest leaf from `first` to before `end` that says something.
    fn highest(&self, first: u32, end: u32) -> Option<u32> {
        self.leaves.range(first..end).next_back().map(|(leaf, _)| *leaf)
    }

    fn cpuid(&self, leaf: u32) -> [u32; 4] {
        if let Some(registers) = self.leaves.get(&leaf) {
            return *registers;
        }
        let basic = self.highest(0, HYPERVISOR_LEAVES).unwrap_or(0);
        let extended = self.highest(EXTENDED_LEAVES, u32::MAX);
        match (leaf, extended) {
            (0, _) => [basic, VENDOR[0], VENDOR[1], VENDOR[2]],
            (EXTENDED_LEAVES, Some(extended)) => [extended, 0, 0, 0],
            // The leaves in between are reserved.
            _ if leaf < basic => NOTHING,
            // Above the last leaf a processor of this maker repeats the last basic one.
            _ => self.leaves.get(&basic).copied().unwrap_or(NOTHING),
        }
    }

    fn set_cr0(&mut self, value: Cr0) -> Result<(), &'static str> {
        if value.contains(Cr0::PG) && !value.contains(Cr0::PE) {
            return Err("#GP: paging without protected mode");
        }
        if value.contains(Cr0::NW) && !value.contains(Cr0::CD) {
            return Err("#GP: NW without CD");
        }
        self.cr0 = value | Cr0::ET;
        Ok(())
    }

    /// What leaf 1 says of the local APIC's number.
    pub(super) fn set_initial_apic_id(&mut self, id: u8) {
        let [_, ebx, ..] = self.leaves.entry(1).or_insert(LEAF_1);
        *ebx = *ebx & 0x00ff_ffff | u32::from(id) << 24;
    }

    fn set_debug(&mut self, number: u32, value: u32) {
        self.debug[number as usize & 7] = match number {
            6 => value & DR6_WRITABLE | DR6_SET,
            7 => value & !DR7_CLEAR | DR7_SET,
            _ => value,
        };
    }
}

/// Carries a call of [`cpu`](crate::cpu) out.
pub(super) fn perform(state: &mut State, invocation: &Invocation<'_>) -> Outcome {
    let registers = &mut state.model.registers;
    let first = || invocation.word(0);
    match invocation.call {
        Call::CPUID => return Ok(registers.cpuid(first())),
        Call::GET_CR0 => return Ok(eax(registers.cr0.bits())),
        Call::GET_CR2 => return Ok(eax(registers.cr2)),
        Call::GET_CR3 => return Ok(eax(registers.cr3)),
        Call::GET_CR4 => return Ok(eax(registers.cr4.bits())),
        Call::GET_DR => return Ok(eax(registers.debug[first() as usize & 7])),
        Call::SET_CR0 => {
            let set = registers.set_cr0(Cr0::from_bits_retain(first()));
            set.map_err(|reason| invocation.exception(reason, first()))?;
        }
        Call::SET_CR2 => registers.cr2 = first(),
        Call::SET_CR3 => registers.cr3 = first(),
        Call::SET_CR4 => registers.cr4 = Cr4::from_bits_retain(first()),
        Call::SET_DR => registers.set_debug(first(), invocation.word(1)),
        Call::CLTS => registers.cr0.remove(Cr0::TS),
        Call::RDTSC => return Ok(edx_eax(state.model.clock.time_stamp())),
        Call::RDPMC => {
            let missing = || invocation.exception("#GP: there is no such performance counter", first());
            return Ok(edx_eax(*registers.counters.get(&first()).ok_or_else(missing)?));
        }
        Call::RDMSR if first() == TIME_STAMP_COUNTER => return Ok(edx_eax(state.model.clock.time_stamp())),
        Call::RDMSR => return Ok(edx_eax(*registers.msr(invocation)?)),
        Call::WRMSR => {
            let value = u64::from(invocation.word(2)) << 32 | u64::from(invocation.word(1));
            match first() {
                TIME_STAMP_COUNTER => state.model.clock.set_time_stamp(value),
                _ => *registers.msr(invocation)? = value,
            }
        }
        // WBINVD: there is no cache. SetCallbacks: nothing is known of it.
        _ => {}
    }
    Ok(NOTHING)
}

impl Registers {
    /// The model-specific register that a call names.
    fn msr(&mut self, invocation: &Invocation<'_>) -> Result<&mut u64, Misuse> {
        let number = invocation.word(0);
        let missing = || {
            let reason = "#GP: there is no such model-specific register; Cpu::set_msr makes one";
            invocation.exception(reason, number)
        };
        self.msrs.get_mut(&number).ok_or_else(missing)
    }
}

impl Cpu {
    /// Makes [`cpuid`](crate::cpu::cpuid) answer EAX, EBX, ECX and EDX to `leaf`, whatever the sub-leaf.
    ///
    /// At first there are leaves 0 and 1, those of a Pentium III of which little is left. Leaf 0, and 8000_0000 if
    /// there are extended leaves, say by themselves which leaf is the last one.
    ///
    /// ```
    /// use paravirt_vmi::{cpu::cpuid, mock};
    ///
    /// mock::run(|cpu| {
    ///     cpu.set_cpuid(7, [0, 1 << 7, 0, 0]); // SMEP
    ///     assert_eq!(cpuid(0, 0).eax, 7);
    ///     assert_eq!(cpuid(7, 0).ebx, 0x80);
    /// });
    /// ```
    pub fn set_cpuid(self, leaf: u32, registers: [u32; 4]) {
        state::with(|state| state.model.registers.leaves.insert(leaf, registers));
    }

    /// Makes a model-specific register, or gives it another value.
    ///
    /// At first there are those that code for a Pentium III uses most: the machine-check registers of the Pentium (0
    /// and 1), the time-stamp counter (0x10), the APIC's base (0x1B) and those of `sysenter` (0x174 to 0x176). To read
    /// or write one that is not there is a [misuse](Misuse::Exception).
    pub fn set_msr(self, msr: u32, value: u64) {
        state::with(|state| match msr {
            TIME_STAMP_COUNTER => state.model.clock.set_time_stamp(value),
            _ => _ = state.model.registers.msrs.insert(msr, value),
        });
    }

    /// The value of a model-specific register; `None` if it is not there. No call.
    pub fn msr(self, msr: u32) -> Option<u64> {
        state::with(|state| match msr {
            TIME_STAMP_COUNTER => Some(state.model.clock.time_stamp()),
            _ => state.model.registers.msrs.get(&msr).copied(),
        })
    }

    /// Makes [`rdpmc`](crate::cpu::rdpmc) answer `value` for a performance counter. Counters 0 and 1 are there from the
    /// beginning; they do not count.
    pub fn set_performance_counter(self, counter: u32, value: u64) {
        state::with(|state| state.model.registers.counters.insert(counter, value));
    }
}
