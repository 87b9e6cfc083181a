//! Attempts with interrupts: gates, stacks, and the hypervisor's own vectors.

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::descriptors;
use crate::machine;
use crate::trap;
use crate::world::{self, CODE, PATTERN, SPARE, TOP, access, gate_access};

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: &[Must::NoEffect],
    bare: Bare::Succeeds,
    needs: Needs::Nothing,
    patched: false,
    run: || Verdict::NoEffect(""),
};

/// What happens to a guest whose exceptions cannot be delivered.
const STOPPED: &[Must] = &[Must::Stopped];

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "gate-ring-0",
        what: "an IDT gate to a code segment with DPL 0",
        run: || {
            world::set_gdt(SPARE, world::segment(0, 0xF_FFFF, access::CODE_0));
            world::set_idt(0x90, world::gate(SPARE, trap::stub(0x90), gate_access::INTERRUPT_0));
            handler_ring(0x90)
        },
        ..ATTEMPT
    },
    Attempt {
        name: "gate-real-flag",
        what: "an interrupt gate that should clear the real IF",
        run: || match trap::catch(|| machine::int(0x90)) {
            Err(fault) if fault.vector == 0x90 => Verdict::by(
                fault.flags & 0x200 == 0,
                "IF is clear in the handler",
                "IF is set in the handler",
            ),
            Err(fault) => Verdict::Fault(fault),
            Ok(()) => Verdict::NoEffect("no interrupt came"),
        },
        ..ATTEMPT
    },
    Attempt {
        name: "gate-into-hypervisor",
        what: "an IDT gate to the hypervisor's code",
        must: &[Must::Fault(13), Must::Fault(14), Must::Stopped],
        needs: Needs::Limits,
        run: || {
            // `int 81h` natively
            machine::write(world::claim_top(), 0x9090_81CD);
            world::set_idt(0x90, world::gate(CODE, TOP + 0x1000, gate_access::INTERRUPT_0));
            handler_ring(0x90)
        },
        ..ATTEMPT
    },
    Attempt {
        name: "gate-task",
        what: "an IDT gate to a task of ring 0",
        must: &[Must::Fault(10), Must::Fault(11), Must::Fault(13), Must::NoEffect, Must::Stopped],
        run: || {
            descriptors::build_task();
            world::set_idt(0x90, world::gate(SPARE, 0, gate_access::TASK_0));
            handler_ring(0x90)
        },
        ..ATTEMPT
    },
    Attempt {
        name: "idt-in-hypervisor",
        what: "an IDT that lies in the hypervisor's memory",
        must: STOPPED,
        run: || {
            let page = world::claim_top();
            machine::copy(world::idt(), page, 0x1000);
            machine::lidt(world::pseudo_descriptor(TOP + 0x2000, 0x7FF));
            handler_ring(0x90)
        },
        ..ATTEMPT
    },
    Attempt {
        name: "stack-in-hypervisor",
        what: "a stack pointer inside the real GDT when an exception comes",
        must: STOPPED,
        run: || {
            world::claim_top();
            trap::catch(|| machine::fault_on_stack(TOP + 0x3F00)).map_or_else(
                |_| Verdict::Succeeded("the frame was written there"),
                |()| Verdict::NoEffect("no exception came"),
            )
        },
        ..ATTEMPT
    },
    Attempt {
        name: "stack-at-the-edge",
        what: "a stack pointer such that the frame begins below the hypervisor's memory and ends in it",
        must: STOPPED,
        run: || {
            world::claim_top();
            trap::catch(|| machine::fault_on_stack(TOP + 0x1004)).map_or_else(
                |_| Verdict::Succeeded("the frame was written there"),
                |()| Verdict::NoEffect("no exception came"),
            )
        },
        ..ATTEMPT
    },
    Attempt {
        name: "esp0-in-hypervisor",
        what: "a TSS with ESP0 inside the real GDT when ring 3 faults",
        must: STOPPED,
        run: || {
            world::claim_top();
            machine::write(world::task() + 4, TOP + 0x3F00);
            // `int 80h` at the end writes its frame there.
            match world::user(identity, PATTERN, 2) {
                Ok(_) => Verdict::Succeeded("the frame was written there"),
                Err(fault) => Verdict::Fault(fault),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "vectors-of-hypervisor",
        what: "every vector by INT from the kernel: they lead to the guest's own gates",
        bare: Bare::Harmless,
        run: || {
            // Vector 80 ends an attempt like the others.
            for vector in 0..256 {
                match trap::catch(|| machine::int(vector)) {
                    Err(fault) if fault.vector == vector => {}
                    // The hypervisor's own, a call without sense.
                    _ if vector == 0xF0 => {}
                    Err(fault) => return Verdict::Fault(fault),
                    Ok(()) => return Verdict::Succeeded("one led elsewhere"),
                }
            }
            Verdict::NoEffect("each came to its gate")
        },
        ..ATTEMPT
    },
];

/// Whether the handler of a vector runs in ring 0.
fn handler_ring(vector: u32) -> Verdict {
    match trap::catch(|| machine::int(vector)) {
        Err(fault) if fault.vector == vector => {
            Verdict::by(fault.handler & 3 == 0, "the handler ran in ring 0", "it ran in the guest's own ring")
        }
        Err(fault) if fault.vector == machine::LOST => {
            Verdict::by(fault.handler & 3 == 0, "the handler ran in ring 0", "it ran in the guest's own ring")
        }
        Err(fault) => Verdict::Fault(fault),
        Ok(()) => Verdict::NoEffect("no interrupt came"),
    }
}

extern "C" fn identity(argument: u32) -> u32 {
    argument
}
