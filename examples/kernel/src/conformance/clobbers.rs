//! What a call may change, by the call table: every register besides is as it was, so are the segment
//! registers and the stack, and the direction flag is clear.
//!
//! Each call that comes back is made with a different value in every register that is no argument, once with
//! all arithmetic flags set and once with none, and the same on the other set of page tables.
//!
//! # Safety
//!
//! The arguments, in `arguments`, change nothing that is used, or put there what is there.
#![allow(unsafe_code)]

mod arguments;

use paravirt_vmi::abi::{Call, Clobbers};
use paravirt_vmi::irq;

use super::registers::{self, ALL_FLAGS, NO_FLAGS, Registers};
use super::{check, settle};
use crate::fault::catch;
use crate::report::{Check, Report, figure};
use crate::serial::line;
use crate::{paging, pit, raw};

pub fn run(report: &mut Report) {
    let mut made = 0;
    check(report, "clobbers", |check| made = all(check));
    figure("clobbers.calls", made);
    if raw::cpuid(1, 0)[3] & paging::CPUID_PAE != 0 {
        // SAFETY: interrupts are masked, and the processor has PAE.
        unsafe { paging::pae::with_pae(|| check(report, "pae.clobbers", |check| made = all(check))) };
        figure("pae.clobbers.calls", made);
    } else {
        line!("pae.clobbers is left out: CPUID has no PAE on this processor");
    }
}

/// Makes every call that comes back; returns how many that were.
fn all(check: &mut Check) -> u32 {
    let mut made = 0;
    for call in Call::all() {
        // IRET comes back, because its frame says so.
        if call.info().returns || call == Call::IRET {
            for (poison, flags) in [(0xDEAD_0000, ALL_FLAGS), (!0xDEAD_0000, NO_FLAGS)] {
                keeps_to_the_rule(check, call, poison, flags);
            }
            made += 1;
        }
    }
    made
}

/// A value for each register, different from the others'.
fn poisoned(poison: u32, flags: u32) -> Registers {
    let [eax, ebx, ecx, edx, esi, edi, ebp] = core::array::from_fn(|index| poison ^ (0x0101 * index as u32));
    Registers { eax, ebx, ecx, edx, esi, edi, ebp, flags, ..Registers::ZERO }
}

fn keeps_to_the_rule(check: &mut Check, call: Call, poison: u32, flags: u32) {
    let before = arguments::of(call, poisoned(poison, flags));
    if call == Call::HALT {
        pit::periodic(pit::fast());
    }
    // SAFETY: see the module; interrupts are masked.
    let outcome = catch(|| unsafe { registers::call(call, &before) });
    if irq::is_enabled() {
        settle();
    }
    let after = match outcome {
        Ok(after) => after,
        // A processor without performance counters raises an exception by any way.
        Err(fault) if call == Call::RDPMC && !arguments::has_counters() => {
            return line!("the registers of {call} are not seen: exception {}", fault.vector);
        }
        Err(fault) => return check.failed(format_args!("{call}: {fault:?}")),
    };
    let clobbers = call.info().clobbers;
    for (register, clobber, before, after) in [
        ("EAX", Clobbers::EAX, before.eax, after.eax),
        ("EBX", Clobbers::EBX, before.ebx, after.ebx),
        ("ECX", Clobbers::ECX, before.ecx, after.ecx),
        ("EDX", Clobbers::EDX, before.edx, after.edx),
        ("ESI", Clobbers::ESI, before.esi, after.esi),
        ("EDI", Clobbers::EDI, before.edi, after.edi),
        ("flags", Clobbers::FLAGS, before.flags, after.flags),
        ("EBP", Clobbers::empty(), before.ebp, after.ebp),
        ("step of a string", Clobbers::empty(), 1, after.step),
        ("ESP", Clobbers::empty(), arguments::removed(call), after.esp),
    ] {
        let kept = clobber.is_empty() || !clobbers.contains(clobber);
        if kept && before != after {
            check.failed(format_args!("{call}: {register}: found {after:08x}, expected {before:08x}"));
        }
    }
    let segments = registers::segments(call);
    for (register, (before, after)) in
        ["DS", "ES", "FS", "GS"].iter().zip(segments.into_iter().zip(after.segments))
    {
        if before != after & 0xFFFF {
            check.failed(format_args!("{call}: {register}: found {after:04x}, expected {before:04x}"));
        }
    }
}
