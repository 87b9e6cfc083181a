//! Calls 62 to 64: the local APIC, and the state of another processor.
//!
//! APICWrite and APICRead take the linear address of a register or, from one known guest, its bare
//! offset, 0x20 to 0x3F0. The rule here: 0x1000 and above is an address at which the guest has mapped the
//! APIC, and is used as it is; below that bits 11 to 0 are an offset, and the ROM finds the APIC itself,
//! see [`crate::private`].
//!
//! On bare hardware a STARTUP command begins real-mode code of the guest. Under this interface a
//! processor begins in the state given by SetInitialAPState, so APICWrite replaces the vector of such a
//! command by that of the ROM's own code, see [`crate::startup`].
//!
//! Source: facts sheet, sections 0 (trap 4), 4.1 and 7.5; Intel's manual, volume 3, chapter on the APIC.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use paravirt_vmi_abi::with_call;

with_call!(SET_INITIAL_AP_STATE => entry, ["jmp rom_set_initial_ap_state"];);

// 0x300: the low word of the interrupt command register. Bits 10 to 8: the delivery mode, 6 is STARTUP.
with_call!(APIC_WRITE => entry, far [
    "mov ecx, eax",
    "and ecx, 0xFFF",
    "cmp ecx, 0x300",
    "jne 2f",
    "mov ecx, edx",
    "and ecx, 0x700",
    "cmp ecx, 0x600",
    "jne 2f",
    "push eax",
    "call rom_startup_vector",
    "mov dl, al",
    "pop eax",
    "2: cmp eax, 0x1000",
    "jb 3f",
    "mov [eax], edx",
    "ret",
    "3: mov ecx, 1",
    "jmp rom_private_apic"
];);

with_call!(APIC_READ => entry, far [
    "cmp eax, 0x1000",
    "jb 2f",
    "mov eax, [eax]",
    "ret",
    "2: xor ecx, ecx",
    "jmp rom_private_apic"
];);
