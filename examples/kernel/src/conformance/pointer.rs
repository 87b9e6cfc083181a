//! A pointer to nowhere, passed to a call: the page fault arrives in the kernel, wherever its EIP lies, and
//! the kernel goes on.
//!
//! # Safety
//!
//! The exception is caught; what a call did before it is put back by making it again with a good pointer.
#![allow(unsafe_code)]

use paravirt_vmi::abi::{Call, DescriptorTableRegister};

use super::registers::{self, Registers};
use super::{check, outside};
use crate::fault::{PAGE_FAULT, catch};
use crate::paging::WINDOW;
use crate::report::{Check, Report};

/// A port whose values mean nothing.
const POST_CODE: u32 = 0x80;

pub fn run(report: &mut Report) {
    check(report, "fault.pointer", faults_arrive);
}

fn faults_arrive(check: &mut Check) {
    let (nowhere, registers) = (WINDOW + 0x234, Registers::ZERO);
    for (call, registers) in [
        (Call::GET_GDT, Registers { eax: nowhere, ..registers }),
        (Call::SET_IDT, Registers { eax: nowhere, ..registers }),
        (Call::SET_PXE, Registers { edx: nowhere, ecx: 1, ..registers }),
        (Call::INSB, Registers { edi: nowhere, edx: POST_CODE, ecx: 1, ..registers }),
        (Call::OUTSB, Registers { esi: nowhere, edx: POST_CODE, ecx: 1, ..registers }),
    ] {
        let before = outside::idt();
        // SAFETY: see the module; interrupts are masked.
        let outcome = catch(|| unsafe { registers::call(call, &registers) });
        let fault = outcome.map(|_| ()).map_err(|fault| (fault.vector, fault.address));
        check.equal(call.name(), fault, Err((PAGE_FAULT, nowhere)));
        let parts = |table: DescriptorTableRegister| (table.base.get(), table.limit.get());
        check.equal("IDT", parts(outside::idt()), parts(before));
    }
}
