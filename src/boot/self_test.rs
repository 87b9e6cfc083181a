//! [`Vmi::self_test`]: a ROM is asked a second time, and its calls are looked at while they are made.
//!
//! Activation believes what can be checked without running the ROM. Here the ROM runs: each answer of
//! GetRelocationInfo has to be the one from which the plan was made, and the calls of the interrupt flag, which a
//! kernel makes everywhere and with nothing saved, have to keep to the call table.
//!
//! # Safety
//!
//! What the test needs of the machine is owed by the caller of [`Vmi::self_test`] and stated there; the blocks
//! below pass it on.
#![allow(unsafe_code)]

use core::fmt;

use paravirt_vmi_abi::Call;

use super::{Machine, Options, Register, Registers, Vmi};
use crate::arch::Processor;
use crate::irq::INTERRUPT_FLAG;
use crate::patch::Relocation;

/// What the registers hold in front of a call: each another value, and in the second round all bits inverted, so
/// that no value which a ROM might leave behind is right both times.
const PATTERNS: [u32; 2] = [0x51e5_7e57, !0x51e5_7e57];

/// An image of EFLAGS without IF, as guests pass it to SetInterruptMask: what is not bit 9 has no meaning there.
/// Bit 1 is always set, the rest are the arithmetic flags and DF.
const MASKED: u32 = 0x0cd7;
/// The same with IF.
const UNMASKED: u32 = MASKED | INTERRUPT_FLAG;

impl Vmi {
    /// Tests the ROM while the kernel is patched: asks for the relocation of each call again and compares, and
    /// makes the calls of the interrupt flag, 29 to 32, several times with different values in all registers.
    ///
    /// No site is used, and a kernel without sites has none by this. `options` are those of
    /// [`activate`](super::activate). At the end the interrupt flag is as it was, if the ROM's SetInterruptMask
    /// does its work.
    ///
    /// # Errors
    ///
    /// The first answer that is another one now; the first register that a call must keep and has not kept, ESP,
    /// the direction flag and the segment registers among them; or the first call behind which the interrupt flag, as
    /// GetInterruptMask has it, is not as it must be. A kernel cannot go on with such a ROM. In ring 0 it can
    /// [revert](crate::patch::Plan::revert) the plan and go on natively.
    ///
    /// # Safety
    ///
    /// * [`activate`](super::activate) has returned this value, and its plan is committed; what was owed then
    ///   still holds, but for the masking of interrupts.
    /// * Interrupts may be unmasked here, as [`irq::enable`](crate::irq::enable) demands: the test does so.
    /// * One processor makes the test at a time, and no handler makes it.
    ///
    /// Source: facts sheet, sections 0 (trap 1), 5.2 and 8.2 to 8.4.
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub unsafe fn self_test(&self, options: &Options) -> Result<(), SelfTestError> {
        // SAFETY: the caller's contract is the same.
        let mut processor = unsafe { Processor::new(*options) };
        // SAFETY: passed on to the caller.
        unsafe { self_test_on(&mut processor, self) }
    }
}

/// [`Vmi::self_test`] on any machine.
///
/// # Errors
///
/// As for [`Vmi::self_test`].
///
/// # Safety
///
/// As for [`Vmi::self_test`], as far as the machine does not see to it.
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn self_test_on(machine: &mut impl Machine, vmi: &Vmi) -> Result<(), SelfTestError> {
    let mut test = Test { machine, vmi };
    let outcome = test.ask_again().and_then(|()| test.try_calls());
    outcome.map_err(|cause| SelfTestError { rom: vmi.rom.address(), cause })
}

/// A test under way: the contract of [`self_test_on`] holds.
struct Test<'a, M> {
    machine: &'a mut M,
    vmi: &'a Vmi,
}

impl<M: Machine> Test<'_, M> {
    /// Asks for the relocation of each call, and compares.
    fn ask_again(&mut self) -> Result<(), SelfTestErrorCause> {
        let Vmi { rom, plan, .. } = self.vmi;
        let base = self.machine.linear(rom.address());
        for call in Call::all() {
            let first = plan.answer(call, rom.adapter(call));
            let again = rom.relocation(call, base, |entry, number| {
                // SAFETY: vmi_init has succeeded.
                unsafe { self.machine.relocation(entry, number) }
            });
            if (first.kind, first.branch_target()) != (again.kind, again.branch_target()) {
                return Err(SelfTestErrorCause::Relocation { call, first, again });
            }
        }
        Ok(())
    }

    /// Makes the calls, and leaves the interrupt flag as it was.
    fn try_calls(&mut self) -> Result<(), SelfTestErrorCause> {
        let state = self.make(Call::GET_INTERRUPT_MASK, PATTERNS[0], None)?;
        let outcome = PATTERNS.iter().try_for_each(|pattern| self.mask_and_unmask(*pattern));
        let restored = self.make(Call::SET_INTERRUPT_MASK, PATTERNS[0], Some(state));
        outcome.and(restored.map(|_| ()))
    }

    /// Makes the flag what it is not and what it is, by every call that can.
    fn mask_and_unmask(&mut self, pattern: u32) -> Result<(), SelfTestErrorCause> {
        let disable = (Call::DISABLE_INTERRUPTS, None, false);
        let enable = (Call::ENABLE_INTERRUPTS, None, true);
        let mask = (Call::SET_INTERRUPT_MASK, Some(MASKED), false);
        let unmask = (Call::SET_INTERRUPT_MASK, Some(UNMASKED), true);
        for (call, argument, expected) in
            [disable, disable, enable, enable, mask, mask, unmask, unmask, disable, unmask, mask, enable]
        {
            self.make(call, pattern, argument)?;
            let mask = self.make(Call::GET_INTERRUPT_MASK, pattern, None)?;
            if (mask & INTERRUPT_FLAG != 0) != expected {
                return Err(SelfTestErrorCause::Flag { call, mask, expected });
            }
        }
        Ok(())
    }

    /// Makes one call with registers filled by `pattern`, and EAX as `argument` has it; EAX behind it.
    fn make(&mut self, call: Call, pattern: u32, argument: Option<u32>) -> Result<u32, SelfTestErrorCause> {
        let [eax, ebx, ecx, edx, esi, edi, ebp] =
            core::array::from_fn(|index| pattern ^ (0x0101_0101 * index as u32));
        let eax = argument.unwrap_or(eax);
        let mut before = Registers { eax, ebx, ecx, edx, esi, edi, ebp, ..Registers::default() };
        let relocation = self.vmi.plan.relocation(call);
        // SAFETY: the relocation is the committed plan's; the caller of the test vouches for the rest.
        let after = unsafe { self.machine.observe(call, relocation, &mut before) };
        for register in Register::ALL {
            let (before, after) = (before.get(register), after.get(register));
            if before != after && register.is_kept_by(call) {
                return Err(SelfTestErrorCause::Register { call, register, before, after });
            }
        }
        Ok(after.eax)
    }
}

/// A ROM that does not do what it must, though activation has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTestError {
    /// Physical address of the ROM.
    pub rom: u32,
    /// What it does.
    pub cause: SelfTestErrorCause,
}

/// What a ROM does that it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTestErrorCause {
    /// GetRelocationInfo has two answers for one call.
    Relocation {
        /// The call asked for.
        call: Call,
        /// The answer from which the plan was made.
        first: Relocation,
        /// The answer of the test.
        again: Relocation,
    },
    /// A call has changed a register that it must keep.
    Register {
        /// The call.
        call: Call,
        /// The register.
        register: Register,
        /// Its value in front of the call.
        before: u32,
        /// Its value behind the call.
        after: u32,
    },
    /// The interrupt flag is not what a call must make it, or GetInterruptMask tells another one.
    Flag {
        /// The call.
        call: Call,
        /// What GetInterruptMask answers behind it.
        mask: u32,
        /// Whether bit 9 of that must be set.
        expected: bool,
    },
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ROM at {:05X}: {}", self.rom, self.cause)
    }
}

impl fmt::Display for SelfTestErrorCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relocation { call, first, again } => {
                write!(
                    f,
                    "{call} (call {}): asked again, it answers {again}, and answered {first}",
                    call.number()
                )
            }
            Self::Register { call, register, before, after } => {
                write!(f, "{call} (call {}): {register} was {before:08x} and is {after:08x}", call.number())
            }
            Self::Flag { call, mask, expected } => write!(
                f,
                "{call} (call {}): GetInterruptMask answers {mask:08x} behind it, expected bit 9 {}",
                call.number(),
                if *expected { "set" } else { "clear" }
            ),
        }
    }
}

impl core::error::Error for SelfTestError {}
