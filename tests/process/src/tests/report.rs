//! What becomes of each call in ring 3: natively, tried out on the processor; and patched.
//!
//! # Safety
//!
//! Each call is made with arguments that concern nobody: memory that is never used again, places that lead back.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use vmi_hypervisor::rom::Leave;

use super::leaving::set_user_selectors;
use super::masking::{keeps, registers};
use super::tests;
use crate::guest::{self, Kernel};
use crate::monitor;
use crate::sites::{self, Registers, call_site};

tests![
    natively_only_these_calls_run_in_ring_3,
    each_of_the_calls_29_to_35_runs_patched,
    calls_that_the_monitor_carries_out_keep_their_registers_and_stack,
];

/// The instruction at which the native form of a call faults in ring 3.
const FAULTS: [(Call, &str); 40] = [
    (Call::WRMSR, "wrmsr"),
    (Call::RDMSR, "rdmsr"),
    (Call::SET_GDT, "lgdt"),
    (Call::SET_LDT, "lldt"),
    (Call::SET_IDT, "lidt"),
    (Call::SET_TR, "ltr"),
    (Call::SET_CR0, "mov-to-cr"),
    (Call::SET_CR2, "mov-to-cr"),
    (Call::SET_CR3, "mov-to-cr"),
    (Call::SET_CR4, "mov-to-cr"),
    (Call::GET_CR0, "mov-from-cr"),
    (Call::GET_CR2, "mov-from-cr"),
    (Call::GET_CR3, "mov-from-cr"),
    (Call::GET_CR4, "mov-from-cr"),
    (Call::WBINVD, "wbinvd"),
    (Call::SET_DR, "mov-to-dr"),
    (Call::GET_DR, "mov-from-dr"),
    (Call::CLTS, "clts"),
    (Call::ENABLE_INTERRUPTS, "sti"),
    (Call::DISABLE_INTERRUPTS, "cli"),
    (Call::SET_INTERRUPT_MASK, "cli"),
    (Call::SYSEXIT, "sti"),
    (Call::HALT, "sti"),
    (Call::REBOOT, "cli"),
    (Call::SHUTDOWN, "cli"),
    (Call::INVAL_PAGE, "invlpg"),
    (Call::FLUSH_TLB, "mov-from-cr"),
    (Call::INL, "in"),
    (Call::INB, "in"),
    (Call::INW, "in"),
    (Call::INSL, "ins"),
    (Call::INSB, "ins"),
    (Call::INSW, "ins"),
    (Call::OUTL, "out"),
    (Call::OUTB, "out"),
    (Call::OUTW, "out"),
    (Call::OUTSL, "outs"),
    (Call::OUTSB, "outs"),
    (Call::OUTSW, "outs"),
    (Call::IO_DELAY, "out"),
];

/// The calls whose native form the processor may be told to refuse in ring 3 (CR4.UMIP and CR4.PCE), or to emulate.
const MAY_FAULT: [Call; 5] = [Call::GET_GDT, Call::GET_IDT, Call::GET_LDT, Call::GET_TR, Call::RDPMC];

/// Registers with which each call may be made: what takes an address gets one of memory that nobody needs.
fn arguments(call: Call) -> Registers {
    let scratch = vec![0_u32; 64].leak().as_mut_ptr().expose_provenance() as u32;
    let common = Registers {
        eax: scratch,
        edx: 0,
        ecx: 1,
        esi: scratch,
        edi: scratch,
        flags: sites::FLAGS,
        ..Registers::default()
    };
    match call {
        Call::SET_PXE | Call::UPDATE_PXE => Registers { eax: scratch, edx: scratch, ..common },
        Call::SET_PXE_LONG => Registers { ecx: scratch, ..common },
        Call::CPUID | Call::SET_DR | Call::GET_DR | Call::GET_CYCLE_COUNTER | Call::SET_IOPL_MASK => {
            Registers { eax: 0, ..common }
        }
        Call::IRET => Registers { stack: sites::return_frame(sites::FLAGS), ..common },
        Call::SYSEXIT => Registers { edx: sites::returned(), ..common },
        _ => common,
    }
}

/// The instruction at which each call faults natively; none if it runs.
fn try_natively() -> Vec<(Call, Option<&'static str>)> {
    monitor::land_at(sites::returned());
    let attempt = |call| {
        monitor::last_fault();
        // SAFETY: a fault ends the attempt, and what does not fault touches its arguments alone.
        unsafe { call_site(call, arguments(call)) };
        (call, monitor::last_fault())
    };
    let attempts = Call::all().map(attempt).collect();
    monitor::land_at(0);
    attempts
}

fn natively_only_these_calls_run_in_ring_3() {
    guest::start_native();
    for (call, fault) in try_natively() {
        if MAY_FAULT.contains(&call) {
            continue;
        }
        let expected = FAULTS.iter().find(|row| row.0 == call).map(|row| row.1);
        assert_eq!(fault, expected, "{call}");
    }
}

/// By their sites, and with no exit but that of Halt.
fn each_of_the_calls_29_to_35_runs_patched() {
    let kernel = Kernel::boot(Leave::ByCall);
    set_user_selectors();
    for number in Call::ENABLE_INTERRUPTS.number()..=Call::HALT.number() {
        let call = Call::from_number(number).expect("a call");
        let exits = monitor::exits();
        if call == Call::HALT {
            paravirt_vmi::irq::disable();
            kernel.line.raise();
        }
        // SAFETY: the arguments lead back.
        let [before, after] = unsafe { call_site(call, arguments(call)) };
        assert_eq!(after.ebx, before.ebx);
        let found = monitor::exits();
        assert_eq!(found.traps, exits.traps, "{call}");
        let hypercalls = if call == Call::HALT { 1 } else { 0 };
        assert_eq!(found.hypercalls - exits.hypercalls, hypercalls, "{call}");
    }
    assert_eq!(guest::all_handled(), 1);
}

fn calls_that_the_monitor_carries_out_keep_their_registers_and_stack() {
    let kernel = Kernel::boot(Leave::ByCall);
    for call in Call::all().filter(|call| monitor::is_carried_out(*call)) {
        if call == Call::HALT {
            paravirt_vmi::irq::disable();
            kernel.line.raise();
        }
        let made = monitor::hypercalls(call.number());
        let own = arguments(call);
        let registers = Registers { eax: own.eax, ecx: own.ecx, edx: own.edx, ..registers(0) };
        // SAFETY: the arguments are those of the call.
        let [before, after] = unsafe { call_site(call, registers) };
        keeps(call, &before, &after);
        assert_eq!(monitor::hypercalls(call.number()), made + 1, "{call}");
    }
}

/// Writes the table.
pub fn print() {
    guest::start_native();
    let natively = try_natively();
    let kernel = Kernel::boot(Leave::ByCall);
    println!("    {:20}  {:24}  patched", "call", "natively in ring 3");
    println!("{}", "-".repeat(80));
    for (call, fault) in natively {
        let native = match (call, fault) {
            (_, Some(instruction)) => format!("faults: {instruction}"),
            (Call::IRET, None) => "runs, IF lost".to_owned(),
            (Call::SET_IOPL_MASK, None) => "runs, IOPL lost".to_owned(),
            (_, None) => "runs".to_owned(),
        };
        let patched = match kernel.vmi.plan.relocation(call).branch_target() {
            None => "not provided",
            Some(_) if matches!(call, Call::DISABLE_INTERRUPTS | Call::GET_INTERRUPT_MASK) => "in the ROM",
            Some(_) if (Call::ENABLE_INTERRUPTS..=Call::SYSEXIT).contains(&call) => {
                "in the ROM, a hypercall if something waits"
            }
            Some(_) if monitor::is_carried_out(call) => "hypercall, carried out here",
            Some(_) => "hypercall, needs a machine",
        };
        println!("{:2}  {:20}  {native:24}  {patched}", call.number(), call.to_string());
    }
}
