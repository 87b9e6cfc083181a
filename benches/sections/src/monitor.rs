//! The hypervisor's part: a signal for each instruction that traps.
//!
//! It does as little as one can, so that what traps is not made to look slower than it is.
//!
//! # Safety
//!
//! The handler touches the registers in the signal frame, which it alone refers to, and the flag, an atomic word.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::Ordering::Relaxed;

use paravirt_vmi_abi::flags::InterruptMask;
use vmi_hypervisor::layout::{HYPERCALL, shared};

use crate::machine::SharedPage;

/// The redundant prefixes with which sites are padded.
const PREFIXES: [u8; 2] = [0x36, 0x3E];
const CLI: u8 = 0xFA;
const STI: u8 = 0xFB;
const INT: u8 = 0xCD;

/// Takes SIGSEGV.
pub fn start() {
    // SAFETY: zeros are a value of the type.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler keeps to what is said above.
    assert_eq!(unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) }, 0);
}

/// An instruction that traps: carries it out, or ends the process.
extern "C" fn on_fault(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler its context.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let byte = |address: i32| {
        let address = ptr::with_exposed_provenance::<u8>(address as u32 as usize);
        // SAFETY: an instruction has been fetched from there, and there is more code behind it.
        unsafe { address.read_volatile() }
    };
    let mut eip = registers[libc::REG_EIP as usize];
    while PREFIXES.contains(&byte(eip)) {
        eip += 1;
    }
    let flag = SharedPage::word(shared::FLAG);
    match byte(eip) {
        CLI => {
            flag.store(0, Relaxed);
            eip += 1;
        }
        STI => {
            flag.store(InterruptMask::IF.bits(), Relaxed);
            eip += 1;
        }
        // vmi_init is the only call made here that is the hypervisor's.
        INT if byte(eip + 1) == HYPERCALL => {
            registers[libc::REG_EAX as usize] = 0;
            eip += 2;
        }
        // SAFETY: ends the process.
        _ => unsafe { libc::abort() },
    }
    registers[libc::REG_EIP as usize] = eip;
}
