//! Calls 49 to 61 and 65: ports.
//!
//! IN and OUT change nothing but what the instruction changes, flags included. Source: facts sheet,
//! sections 4.1, 5.2 and 8.7.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use paravirt_vmi_abi::flags::IoplMask;
use paravirt_vmi_abi::with_call;

with_call!(INL => entry, ["in eax, dx", "ret"];);
with_call!(INB => entry, ["in al, dx", "ret"];);
with_call!(INW => entry, ["in ax, dx", "ret"];);
with_call!(INSL => entry, ["rep insd", "ret"];);
with_call!(INSB => entry, ["rep insb", "ret"];);
with_call!(INSW => entry, ["rep insw", "ret"];);
with_call!(OUTL => entry, ["out dx, eax", "ret"];);
with_call!(OUTB => entry, ["out dx, al", "ret"];);
with_call!(OUTW => entry, ["out dx, ax", "ret"];);
with_call!(OUTSL => entry, ["rep outsd", "ret"];);
with_call!(OUTSB => entry, ["rep outsb", "ret"];);
with_call!(OUTSW => entry, ["rep outsw", "ret"];);

// Every other flag stays as it is, whatever else is in the mask.
with_call!(SET_IOPL_MASK => entry, [
    "and eax, {iopl}",
    "pushfd",
    "and dword ptr [esp], ~{iopl}",
    "or [esp], eax",
    "popfd",
    "ret"
] iopl = const IoplMask::IOPL.bits(););

// A write to the port of the POST code takes one cycle of the ISA bus, and nothing uses the value.
with_call!(IO_DELAY => entry, ["out 0x80, al", "ret"];);
