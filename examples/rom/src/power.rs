//! Calls 36 and 37: resetting the machine, stopping the processor. Neither returns.
//!
//! Source: facts sheet, section 4.1; the reset control register of Intel's PIIX3, and the keyboard
//! controller of the PC/AT.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in a section that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use paravirt_vmi_abi::with_call;

// Three ways, each for machines on which the one before has no effect.
// 1. The chipset's reset control register at port 0xCF9: bit 1 chooses the hard reset, the rising edge
//    of bit 2 resets. EAX is 0 for a soft reset, which resets the processor only, as INIT does.
// 2. The keyboard controller, once its input buffer is empty: command 0xFE pulses the reset line.
// 3. A fault with an empty interrupt table: the processor shuts down, and the board resets it.
with_call!(REBOOT => entry, far [
    "cli",
    "neg eax",
    "sbb eax, eax",
    "and eax, 2",
    "mov edx, 0xCF9",
    "out dx, al",
    "or al, 4",
    "out dx, al",
    "mov ecx, 0x10000",
    "2: in al, 0x64",
    "test al, 2",
    "loopnz 2b",
    "mov al, 0xFE",
    "out 0x64, al",
    "push 0",
    "push 0",
    "lidt [esp]",
    "int3"
];);

// A non-maskable interrupt ends `hlt`; the processor goes back to it.
with_call!(SHUTDOWN => entry, ["2: cli", "hlt", "jmp 2b"];);
