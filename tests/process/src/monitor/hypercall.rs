//! The calls that the ROM leaves to the hypervisor.
//!
//! Those that concern a process are carried out; the others end it. Counters count nanoseconds.
//!
//! # Safety
//!
//! The guest vouches for the address of a page-table entry.
#![allow(unsafe_code)]

use std::arch::x86::{__cpuid_count, _rdtsc};
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use paravirt_vmi::abi::Call;
use vmi_hypervisor::layout::{HYPERCALL_INIT, HYPERCALL_IRET};

use super::{DELIVERED, Frame, RAISED, deliver_if_enabled, set_flag, sleep};

/// CR0, CR2, CR3 and CR4: here they are numbers.
static CONTROL: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
/// CR0.TS.
const TASK_SWITCHED: u32 = 8;
/// What a counter counts in a second.
const FREQUENCY: u64 = 1_000_000_000;

/// Whether a call is carried out.
pub fn is_carried_out(call: Call) -> bool {
    matches!(
        call,
        Call::CPUID
            | Call::RDTSC
            | Call::HALT
            | Call::SET_CR0
            | Call::SET_CR2
            | Call::SET_CR3
            | Call::SET_CR4
            | Call::GET_CR0
            | Call::GET_CR2
            | Call::GET_CR3
            | Call::GET_CR4
            | Call::CLTS
            | Call::WBINVD
            | Call::INVAL_PAGE
            | Call::FLUSH_TLB
            | Call::SET_PXE
            | Call::IO_DELAY
            | Call::SET_LAZY_MODE
            | Call::GET_CYCLE_FREQUENCY
            | Call::GET_CYCLE_COUNTER
            | Call::GET_WALLCLOCK_TIME
    )
}

/// Carries out the hypercall that the guest is behind; its number lies on top of the stack.
pub fn carry_out(frame: &mut Frame, number: u32) {
    match number {
        HYPERCALL_INIT => {
            let [_, ebx, ecx, edx] = frame.registers();
            frame.set_registers([0, ebx, ecx, edx]);
        }
        HYPERCALL_IRET => {
            let (eip, flags) = (frame.stack_word(1), frame.stack_word(3));
            frame.discard(4);
            frame.set_eip(eip);
            frame.set_flags(flags);
            // Ring 3 is where interrupts are enabled.
            set_flag(true);
            deliver_if_enabled(frame);
        }
        _ => match Call::from_number(number) {
            Some(call) if is_carried_out(call) => of_interface(frame, call),
            _ => frame.give_up("a hypercall that is not for a process"),
        },
    }
}

/// Carries out a call of the interface.
fn of_interface(frame: &mut Frame, call: Call) {
    let [eax, ebx, ecx, edx] = frame.registers();
    let control = |call: Call, first: Call| &CONTROL[(call.number() - first.number()) as usize];
    match call {
        Call::CPUID => {
            let answer = __cpuid_count(eax, ecx);
            frame.set_registers([answer.eax, answer.ebx, answer.ecx, answer.edx]);
        }
        Call::HALT => {
            set_flag(true);
            if DELIVERED.load(SeqCst) == RAISED.load(SeqCst) {
                sleep(frame);
            }
            deliver_if_enabled(frame);
        }
        Call::SET_CR0 | Call::SET_CR2 | Call::SET_CR3 | Call::SET_CR4 => {
            control(call, Call::SET_CR0).store(eax, SeqCst);
        }
        Call::GET_CR0 | Call::GET_CR2 | Call::GET_CR3 | Call::GET_CR4 => {
            let value = control(call, Call::GET_CR0).load(SeqCst);
            frame.set_registers([value, ebx, ecx, edx]);
        }
        Call::CLTS => _ = CONTROL[0].fetch_and(!TASK_SWITCHED, SeqCst),
        Call::SET_PXE => {
            let to = ptr::with_exposed_provenance_mut::<u32>(edx as usize);
            // SAFETY: see the module.
            unsafe { to.write_volatile(eax) };
        }
        // SAFETY: the processor has the instruction.
        Call::RDTSC => frame.set_result(unsafe { _rdtsc() }),
        Call::GET_CYCLE_FREQUENCY => frame.set_result(FREQUENCY),
        Call::GET_CYCLE_COUNTER if eax < 2 => frame.set_result(nanoseconds(libc::CLOCK_MONOTONIC)),
        Call::GET_CYCLE_COUNTER => frame.set_result(0),
        Call::GET_WALLCLOCK_TIME => frame.set_result(nanoseconds(libc::CLOCK_REALTIME)),
        // There is no table and no cache of translations, nothing is batched, and no port is slow.
        _ => {}
    }
}

/// A clock of the system.
fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * FREQUENCY + time.tv_nsec as u64
}
