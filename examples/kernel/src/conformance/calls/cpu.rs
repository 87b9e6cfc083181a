//! Identification, model-specific registers, counters, caches.
//!
//! # Safety
//!
//! The model-specific registers that are written hold nothing that is used before they are put back.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::cpu;

use super::super::outside;
use super::check;
use crate::fault::catch;
use crate::raw;
use crate::report::{Check, Report};
use crate::serial::line;

/// Where SYSENTER would find its stack, if anybody used it.
const IA32_SYSENTER_ESP: u32 = 0x175;
/// The memory types that page-table entries can name: eight bytes.
const IA32_PAT: u32 = 0x277;
/// CPUID leaf 1, EDX.
const CPUID_PAT: u32 = 1 << 16;

pub fn run(report: &mut Report) {
    check(report, Call::CPUID, cpuid);
    check(report, Call::WRMSR, |check| each_register(check, writes));
    check(report, Call::RDMSR, |check| each_register(check, reads));
    check(report, Call::WBINVD, wbinvd);
    check(report, Call::RDPMC, rdpmc);
    check(report, Call::RDTSC, rdtsc);
    check(report, Call::SET_CALLBACKS, set_callbacks);
}

/// Leaves that a Pentium has and later ones; sub-leaves matter in leaf 4.
fn cpuid(check: &mut Check) {
    for (leaf, subleaf) in
        [(0, 0), (1, 0), (2, 0), (4, 0), (4, 1), (4, 2), (0x8000_0000, 0), (0x8000_0002, 0)]
    {
        let found = cpu::cpuid(leaf, subleaf);
        let found = [found.eax, found.ebx, found.ecx, found.edx];
        let mut machine = raw::cpuid(leaf, subleaf);
        // A hypervisor may keep features to itself, but has none of its own.
        if !outside::is_visible() && leaf == 1 {
            for register in [2, 3] {
                check.equal("features", found[register] & !machine[register], 0);
                machine[register] = found[register];
            }
        }
        check.equal("EAX, EBX, ECX, EDX", found, machine);
    }
    let vendor = cpu::cpuid(0, 0);
    check.equal("there is a vendor", vendor.ebx != 0 && vendor.ebx != vendor.edx, true);
}

/// Runs `body` for each register, with two values that it can hold, and puts the old one back.
fn each_register(check: &mut Check, body: fn(&mut Check, u32, u64)) {
    let has_pat = raw::cpuid(1, 0)[3] & CPUID_PAT != 0;
    // The types of the second value are those of the power-on value, in another order.
    let registers = [(IA32_SYSENTER_ESP, [0x1234_5678, 0xFEDC_BA98], true)];
    let types = (IA32_PAT, [0x0007_0406_0007_0406, 0x0706_0400_0001_0406], has_pat);
    for (msr, values, exists) in registers.into_iter().chain([types]) {
        if exists {
            let before = raw::rdmsr(msr);
            for value in values {
                body(check, msr, value);
            }
            // SAFETY: the register held this before.
            unsafe { raw::wrmsr(msr, before) };
        }
    }
}

fn writes(check: &mut Check, msr: u32, value: u64) {
    // SAFETY: see the module.
    unsafe { cpu::wrmsr(msr, value) };
    check.equal("register", raw::rdmsr(msr), value);
}

fn reads(check: &mut Check, msr: u32, value: u64) {
    // SAFETY: see the module.
    unsafe { raw::wrmsr(msr, value) };
    // SAFETY: the register exists.
    check.equal("register", unsafe { cpu::rdmsr(msr) }, value);
}

/// That caches are empty cannot be seen, but that memory kept what was in them can.
fn wbinvd(check: &mut Check) {
    let words: [u32; 16] = core::array::from_fn(|index| 0x5A5A_0000 + index as u32);
    let words = core::hint::black_box(words);
    cpu::wbinvd();
    for (index, word) in words.into_iter().enumerate() {
        check.equal("word in memory", word, 0x5A5A_0000 + index as u32);
    }
}

/// What the counter says, or the exception, is what the instruction gives.
fn rdpmc(check: &mut Check) {
    // SAFETY: an exception is caught.
    let raw = catch(|| unsafe { raw::rdpmc(0) });
    // SAFETY: an exception is caught.
    let call = catch(|| unsafe { cpu::rdpmc(0) });
    match (raw, call) {
        (Ok(before), Ok(after)) => {
            check.equal("counter does not run backwards", after >= before, true);
        }
        (Err(expected), Err(found)) => {
            check.equal("vector", found.vector, expected.vector);
            line!("this processor has no performance counter: exception {}", found.vector);
        }
        (raw, call) => {
            check.equal("RDPMC raises an exception", call.is_err(), raw.is_err());
        }
    }
}

fn rdtsc(check: &mut Check) {
    let mut last = raw::rdtsc();
    for _ in 0..10 {
        let now = cpu::rdtsc();
        let next = raw::rdtsc();
        check.equal("counter lies between two readings", last <= now && now <= next, true);
        last = next;
    }
}

/// Nothing is known of the call, but that a kernel survives it where it is nothing.
fn set_callbacks(check: &mut Check) {
    let before = [raw::cr0(), raw::cr3(), raw::cr4()];
    // SAFETY: no backend that this kernel knows has it.
    unsafe { cpu::undocumented::set_callbacks() };
    check.equal("control registers", [raw::cr0(), raw::cr3(), raw::cr4()], before);
}
