//! Attempts on EFLAGS: the real IF and IOPL, nested tasks, virtual-8086 mode.

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::descriptors;
use crate::machine::{self, pushfd};
use crate::trap::{self, TRAP_FLAG};
use crate::world::{self, CODE, SPARE};

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: &[Must::NoEffect],
    bare: Bare::Succeeds,
    needs: Needs::Nothing,
    patched: false,
    run: || Verdict::NoEffect(""),
};

/// Bits of EFLAGS.
const ALWAYS: u32 = 1 << 1;
const INTERRUPT: u32 = 1 << 9;
const IOPL_3: u32 = 3 << 12;
const NESTED_TASK: u32 = 1 << 14;
const VIRTUAL_8086: u32 = 1 << 17;

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "flag-cli",
        what: "CLI in the kernel, as PUSHFD shows it",
        run: || {
            machine::cli();
            by_flag(pushfd())
        },
        ..ATTEMPT
    },
    Attempt {
        name: "flag-popfd",
        what: "POPFD with IF clear in the kernel",
        run: || {
            machine::popfd(ALWAYS);
            by_flag(pushfd())
        },
        ..ATTEMPT
    },
    Attempt {
        name: "flag-iret",
        what: "IRETD with IF clear to the kernel",
        run: || by_flag(machine::iret_here(machine::cs(), ALWAYS)),
        ..ATTEMPT
    },
    Attempt {
        name: "flag-iret-ring-0",
        what: "the same to the kernel's selector with RPL 0, which traps",
        run: || by_flag(machine::iret_here(CODE, ALWAYS)),
        ..ATTEMPT
    },
    Attempt {
        name: "flag-user",
        what: "IRETD with IF clear to ring 3",
        run: || world::user(flags, 0, ALWAYS).map_or_else(Verdict::Fault, by_flag),
        ..ATTEMPT
    },
    Attempt {
        name: "iopl-popfd",
        what: "POPFD with IOPL 3 in the kernel",
        run: || {
            machine::popfd(IOPL_3 | ALWAYS);
            by_iopl(pushfd())
        },
        ..ATTEMPT
    },
    Attempt {
        name: "iopl-iret",
        what: "IRETD with IOPL 3 to the kernel",
        run: || by_iopl(machine::iret_here(machine::cs(), IOPL_3 | ALWAYS)),
        ..ATTEMPT
    },
    Attempt {
        name: "iopl-iret-ring-0",
        what: "the same to the kernel's selector with RPL 0, which traps",
        run: || by_iopl(machine::iret_here(CODE, IOPL_3 | ALWAYS)),
        ..ATTEMPT
    },
    Attempt {
        name: "iopl-user",
        what: "IRETD with IOPL 3 to ring 3",
        run: || world::user(flags, 0, IOPL_3 | ALWAYS).map_or_else(Verdict::Fault, by_iopl),
        ..ATTEMPT
    },
    Attempt {
        name: "iopl-user-cli",
        what: "CLI in ring 3 with IOPL 3 in the frame that led there",
        must: &[Must::NoEffect, Must::Fault(13)],
        run: || world::user(cli_flags, 0, IOPL_3 | INTERRUPT | ALWAYS).map_or_else(Verdict::Fault, by_flag),
        ..ATTEMPT
    },
    Attempt {
        name: "nested-task",
        what: "IRETD with NT, and a back link to a task of ring 0",
        must: &[Must::Fault(10), Must::Fault(11), Must::Fault(13), Must::NoEffect, Must::Stopped],
        run: || {
            descriptors::build_task();
            // A task to return to is busy.
            machine::write(world::gdt_entry(SPARE) + 4, machine::read(world::gdt_entry(SPARE) + 4) | 0x200);
            machine::write(world::task(), SPARE);
            match trap::catch(|| {
                machine::popfd(NESTED_TASK | ALWAYS);
                machine::iret_here(machine::cs(), ALWAYS)
            }) {
                Err(fault) if fault.vector == machine::LOST => {
                    Verdict::by(fault.eax & 3 == 0, "it led to ring 0", "it led to the guest's own ring")
                }
                Err(fault) => Verdict::Fault(fault),
                Ok(_) => Verdict::NoEffect("NT was ignored"),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "nested-task-frame",
        what: "IRETD with NT in the frame",
        bare: Bare::Harmless,
        run: || {
            machine::iret_here(machine::cs(), NESTED_TASK | ALWAYS);
            machine::popfd(ALWAYS);
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "virtual-8086",
        what: "IRETD with VM and IOPL 3 in the frame",
        must: &[Must::NoEffect, Must::Fault(10), Must::Fault(11), Must::Fault(13), Must::Fault(14)],
        needs: Needs::IretWithoutVm,
        run: || {
            // hlt: #GP in virtual-8086 mode
            machine::write(0x7000, 0xF4F4_F4F4);
            let frame = VIRTUAL_8086 | IOPL_3 | ALWAYS;
            match trap::catch(|| machine::iret_out(0, 0x700, frame, 0x1000, 0x700)) {
                Err(fault) if fault.eflags & VIRTUAL_8086 != 0 => Verdict::Succeeded("the mode was entered"),
                Err(fault) => Verdict::Fault(fault),
                Ok(()) => Verdict::NoEffect("it came back"),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "step-into-hypercall",
        what: "a single step into INT with the hypervisor's vector",
        bare: Bare::Harmless,
        must: &[Must::NoEffect, Must::Fault(0xF0), Must::Fault(13), Must::Stopped],
        run: || {
            let steps = trap::count_steps(1000, || {
                machine::popfd(pushfd() | TRAP_FLAG);
                // Natively, and before the guest knows of the hypervisor, its own gate.
                let _ = trap::catch(|| machine::int(0xF0));
                machine::popfd(pushfd() & !TRAP_FLAG);
            });
            Verdict::by(steps == 0, "no step was seen", "the steps came to the guest")
        },
        ..ATTEMPT
    },
];

/// Whether the real IF is clear.
fn by_flag(eflags: u32) -> Verdict {
    Verdict::by(eflags & INTERRUPT == 0, "the real IF is clear", "the real IF is set")
}

/// Whether the real IOPL is not 0.
fn by_iopl(eflags: u32) -> Verdict {
    Verdict::by(eflags & IOPL_3 != 0, "the real IOPL is 3", "the real IOPL is 0")
}

extern "C" fn flags(_: u32) -> u32 {
    pushfd()
}

extern "C" fn cli_flags(_: u32) -> u32 {
    machine::cli();
    pushfd()
}
