//! Attempts of a program in ring 3.
//!
//! # Safety
//!
//! See [`machine`].
#![allow(unsafe_code)]

use core::arch::asm;

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::machine;
use crate::trap;
use crate::world::{self, CODE, DATA, PATTERN, SPARE, TOP, gate_access};

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: &[Must::Fault(13)],
    bare: Bare::Harmless,
    needs: Needs::Nothing,
    patched: true,
    run: || Verdict::NoEffect(""),
};

const IOPL_3: u32 = 3 << 12;
const INTERRUPT: u32 = 1 << 9;
const ALWAYS: u32 = 1 << 1;

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "user-top-read",
        what: "a read of each of the hypervisor's pages",
        must: &[Must::Fault(13), Must::Fault(14)],
        run: || each((0..1024).map(|index| TOP + index * 0x1000), read),
        ..ATTEMPT
    },
    Attempt {
        name: "user-top-write",
        what: "a write to each of the hypervisor's pages, the shared one among them",
        must: &[Must::Fault(13), Must::Fault(14)],
        run: || each((0..1024).map(|index| TOP + index * 0x1000), write),
        ..ATTEMPT
    },
    Attempt {
        name: "user-vectors",
        what: "every vector but that of system calls by INT, the hypervisor's among them",
        run: || each((0..256).filter(|vector| *vector != trap::USER_DONE), int),
        ..ATTEMPT
    },
    Attempt {
        name: "user-privileged",
        what: "privileged instructions",
        run: || each(0..PRIVILEGED.len() as u32, privileged),
        ..ATTEMPT
    },
    Attempt {
        name: "user-ports",
        what: "the machine's ports without a permission",
        run: || each(PORTS.into_iter(), port),
        ..ATTEMPT
    },
    Attempt {
        name: "user-ports-iopl",
        what: "the machine's interrupt controllers and timer with IOPL 3",
        must: &[Must::NoEffect, Must::Fault(13)],
        bare: Bare::Succeeds,
        run: || {
            let trapped = machine::traps(|| {
                let program = mask_interrupts;
                let _ = world::user(program, 0, IOPL_3 | INTERRUPT | ALWAYS);
            });
            Verdict::by(!trapped, "they reached the machine", "they trapped, and the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "user-kernel-segments",
        what: "the kernel's and the hypervisor's segments in DS",
        run: || {
            let kernel = [CODE, DATA, CODE | 1, DATA | 1, DATA | 3];
            let hypervisor = (0x1000..0x1100).step_by(8).flat_map(|at| [at, at | 3]);
            each(kernel.into_iter().chain(hypervisor), load_ds)
        },
        ..ATTEMPT
    },
    Attempt {
        name: "user-return-inwards",
        what: "a far return to the kernel's and the hypervisor's code",
        run: || each([CODE, CODE | 1, 0x1000, 0x1008, 0x1010].into_iter(), return_to),
        ..ATTEMPT
    },
    Attempt {
        name: "user-call-gate",
        what: "a call gate with DPL 3 to the kernel's code",
        must: &[Must::Fault(11), Must::Fault(13), Must::NoEffect],
        bare: Bare::Succeeds,
        run: || {
            world::set_gdt(SPARE, world::gate(CODE, machine::lost_target(), gate_access::CALL_3));
            match world::user(call_gate, SPARE | 3, ALWAYS) {
                Err(fault) if fault.vector == machine::LOST => {
                    Verdict::by(fault.eax & 3 == 0, "it led to ring 0", "it led to the guest's own ring")
                }
                Err(fault) => Verdict::Fault(fault),
                Ok(_) => Verdict::NoEffect("nothing happened"),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "user-popf",
        what: "POPFD with IF clear and IOPL 3",
        must: &[Must::NoEffect],
        run: || {
            world::user(popf, IOPL_3 | ALWAYS, INTERRUPT | ALWAYS).map_or_else(Verdict::Fault, |flags| {
                let has_changed = flags & INTERRUPT == 0 || flags & IOPL_3 != 0;
                Verdict::by(has_changed, "IF or IOPL has changed", "IF is set and IOPL is 0")
            })
        },
        ..ATTEMPT
    },
    Attempt {
        name: "user-stack",
        what: "a fault with a stack pointer in the hypervisor's memory",
        must: &[Must::Fault(12), Must::Fault(13), Must::Fault(14)],
        run: || {
            world::user(wild_stack, TOP + 0x3F00, ALWAYS)
                .map_or_else(Verdict::Fault, |_| Verdict::Succeeded("no fault"))
        },
        ..ATTEMPT
    },
];

/// Ports of the interrupt controllers, timer, keyboard controller, clock, resets, PCI configuration, and the
/// ports by which a run ends and by which exits are counted.
const PORTS: [u32; 14] =
    [0x20, 0x21, 0xA0, 0xA1, 0x40, 0x43, 0x60, 0x64, 0x70, 0x92, 0xCF8, 0xCF9, 0xF4, 0x5650];

/// Runs a program with each of several arguments: every one must fault, as the first does.
fn each(arguments: impl Iterator<Item = u32>, program: extern "C" fn(u32) -> u32) -> Verdict {
    let mut first = None;
    for argument in arguments {
        match (world::user(program, argument, ALWAYS), first) {
            (Ok(_), _) => return Verdict::Succeeded("one went through"),
            (Err(fault), None) => first = Some(fault),
            (Err(fault), Some(trap::Fault { vector, .. })) if fault.vector != vector => {
                return Verdict::Fault(fault);
            }
            (Err(_), Some(_)) => {}
        }
    }
    first.map_or(Verdict::NoEffect("there is none"), Verdict::Fault)
}

extern "C" fn read(address: u32) -> u32 {
    machine::read(address)
}

extern "C" fn write(address: u32) -> u32 {
    machine::write(address, PATTERN);
    0
}

extern "C" fn int(vector: u32) -> u32 {
    machine::int(vector);
    0
}

extern "C" fn port(port: u32) -> u32 {
    machine::in8(port as u16).into()
}

extern "C" fn mask_interrupts(_: u32) -> u32 {
    for (port, value) in [(0x21, 0xFF), (0xA1, 0xFF), (0x43, 0x30)] {
        machine::out8(port, value);
    }
    0
}

extern "C" fn load_ds(selector: u32) -> u32 {
    // SAFETY: see the module.
    unsafe { asm!("mov ds, eax", in("eax") selector) };
    0
}

extern "C" fn return_to(selector: u32) -> u32 {
    // SAFETY: see the module.
    unsafe { asm!("push {0}", "push {1}", "retf", in(reg) selector, in(reg) TOP + 0x1000) };
    0
}

extern "C" fn call_gate(selector: u32) -> u32 {
    machine::far_call(selector, 0)
}

extern "C" fn popf(flags: u32) -> u32 {
    machine::popfd(flags);
    machine::pushfd()
}

extern "C" fn wild_stack(stack: u32) -> u32 {
    // SAFETY: see the module.
    unsafe { asm!("xchg esp, eax", "push eax", "pop eax", "xchg esp, eax", inout("eax") stack => _) };
    0
}

/// Instructions that ring 3 must not carry out.
const PRIVILEGED: [fn(); 12] = [
    machine::cli,
    || machine::set_cr0(0x11),
    || machine::set_cr3(0),
    || machine::set_cr4(0),
    || machine::set_dr7(0x400),
    || machine::wrmsr(0x176, TOP),
    || machine::lgdt(world::scratch(0)),
    || machine::lidt(world::scratch(0)),
    || machine::lldt(0),
    || machine::ltr(SPARE),
    || machine::invlpg(TOP),
    || machine::lmsw(0),
];

extern "C" fn privileged(index: u32) -> u32 {
    PRIVILEGED[index as usize]();
    0
}
