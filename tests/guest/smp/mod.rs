//! The state of a starting processor, and the messages that start it.

#[cfg(not(target_arch = "x86"))]
mod start;
mod state;

use paravirt_vmi::abi::DescriptorTableRegister;
use paravirt_vmi::cpu::Cr4;
use paravirt_vmi::descriptor::Selector;
use paravirt_vmi::smp::InitialState;

/// A sound state, every register of which has a value of its own.
fn state() -> InitialState {
    InitialState {
        cr2: 2,
        cr3: 0x3000,
        cr4: Cr4::PAE,
        efer: 0x800,
        eflags: 6,
        eax: 10,
        ebx: 11,
        ecx: 12,
        edx: 13,
        ebp: 14,
        esi: 15,
        edi: 16,
        cs: Selector(0x09),
        ss: Selector(0x11),
        ds: Selector(0x19),
        es: Selector(0x21),
        fs: Selector(0x29),
        gs: Selector(0x31),
        ldt: Selector(0x38),
        gdt: DescriptorTableRegister::new(0x3f, 0xc030_0000),
        idt: DescriptorTableRegister::new(0x7ff, 0xc031_0000),
        ..InitialState::new(0xc010_0000, 0xc020_0000)
    }
}
