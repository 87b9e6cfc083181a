//! Calls 29 to 35: the interrupt flag, returning to interrupted code, waiting.
//!
//! Calls 29 to 34 use no segment but CS and SS. Calls 29, 30 and 32 change flags only, call 31 EAX
//! and flags. Source: facts sheet, sections 5.2, 5.4 and 8.2 to 8.6.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in a section that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use paravirt_vmi_abi::flags::InterruptMask;
use paravirt_vmi_abi::with_call;

// `sti` holds interrupts off for one more instruction. The `nop` uses that up, so that a pending
// interrupt arrives inside the call, as the interface says, and not at the caller's next instruction.
with_call!(ENABLE_INTERRUPTS => entry, ["sti", "nop", "ret"];);

with_call!(DISABLE_INTERRUPTS => entry, ["cli", "ret"];);

with_call!(GET_INTERRUPT_MASK => entry, [
    "pushfd",
    "pop eax",
    "and eax, {interrupt_flag}",
    "ret"
] interrupt_flag = const InterruptMask::IF.bits(););

// Guests pass whole EFLAGS images: every other bit is ignored, and no `popfd` is used, which would
// set them all.
with_call!(SET_INTERRUPT_MASK => entry, [
    "test eax, {interrupt_flag}",
    "jz 2f",
    "sti",
    "nop",
    "ret",
    "2: cli",
    "ret"
] interrupt_flag = const InterruptMask::IF.bits(););

// Reached by a call, the return address lies under the frame and has to go.
#[cfg(not(feature = "jump"))]
with_call!(IRET => entry, ["add esp, 4", "iretd"];);

#[cfg(feature = "jump")]
with_call!(IRET => entry, ["iretd"];);

// EDX and ECX hold the new EIP and ESP, so a return address on the old stack does not matter. No
// interrupt comes between the two instructions: `sysexit` lies in the shadow of `sti`.
with_call!(SYSEXIT => entry, ["sti", "sysexit"];);

// The same shadow: an interrupt that is already pending ends the `hlt`, it does not come before it.
with_call!(HALT => entry, ["sti", "hlt", "ret"];);
