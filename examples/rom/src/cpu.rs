//! Calls 0 to 2 and 15 to 28: identification, model-specific, control and debug registers, counters.
//!
//! Each is its instruction: in ring 0 there is nothing to filter or to defer. Source: facts sheet,
//! sections 4.1 and 5.2.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use paravirt_vmi_abi::with_call;

with_call!(CPUID => entry, ["cpuid", "ret"];);
with_call!(WRMSR => entry, ["wrmsr", "ret"];);
with_call!(RDMSR => entry, ["rdmsr", "ret"];);

with_call!(SET_CR0 => entry, ["mov cr0, eax", "ret"];);
with_call!(SET_CR2 => entry, ["mov cr2, eax", "ret"];);
with_call!(SET_CR3 => entry, ["mov cr3, eax", "ret"];);
with_call!(SET_CR4 => entry, ["mov cr4, eax", "ret"];);
with_call!(GET_CR0 => entry, ["mov eax, cr0", "ret"];);
with_call!(GET_CR2 => entry, ["mov eax, cr2", "ret"];);
with_call!(GET_CR3 => entry, ["mov eax, cr3", "ret"];);
with_call!(GET_CR4 => entry, ["mov eax, cr4", "ret"];);

with_call!(WBINVD => entry, ["wbinvd", "ret"];);
with_call!(RDPMC => entry, ["rdpmc", "ret"];);
with_call!(RDTSC => entry, ["rdtsc", "ret"];);
with_call!(CLTS => entry, ["clts", "ret"];);

/// A case of a debug-register call: does `instruction` if EAX is 0, else goes on with EAX - `step`.
macro_rules! debug_register {
    ($instruction:literal, $step:literal) => {
        concat!("test eax, eax\n jnz 2f\n ", $instruction, "\n ret\n 2: sub eax, ", $step)
    };
}

// The number of the register is part of the instruction. 4 and 5 are other names of 6 and 7 or do not
// exist, as CR4.DE says; here they do not exist. Setting a register that does not exist has no effect,
// and it reads as 0.
with_call!(SET_DR => entry, far [
    debug_register!("mov dr0, edx", 1),
    debug_register!("mov dr1, edx", 1),
    debug_register!("mov dr2, edx", 1),
    debug_register!("mov dr3, edx", 3),
    debug_register!("mov dr6, edx", 1),
    debug_register!("mov dr7, edx", 1),
    "ret"
];);

with_call!(GET_DR => entry, far [
    debug_register!("mov eax, dr0", 1),
    debug_register!("mov eax, dr1", 1),
    debug_register!("mov eax, dr2", 1),
    debug_register!("mov eax, dr3", 3),
    debug_register!("mov eax, dr6", 1),
    debug_register!("mov eax, dr7", 1),
    "xor eax, eax",
    "ret"
];);
