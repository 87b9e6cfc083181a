//! Attempts with segments, gates and task states of the guest's own making.

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::machine;
use crate::serial::line;
use crate::trap;
use crate::world::{self, CODE, DATA, PATTERN, SPARE, TOP, access, gate_access};

/// The segment is cut off, or not there at all, or the page is not.
const CUT: &[Must] = &[Must::Fault(11), Must::Fault(13), Must::Fault(14), Must::NoEffect];
/// The transfer faults, or leads to the guest's own ring.
const NO_RING_0: &[Must] =
    &[Must::Fault(10), Must::Fault(11), Must::Fault(13), Must::NoEffect, Must::Stopped];

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: CUT,
    bare: Bare::Succeeds,
    needs: Needs::Nothing,
    patched: false,
    run: || Verdict::NoEffect(""),
};

/// An offset in the hypervisor's part of the linear address space: in the real GDT.
const INSIDE: u32 = TOP + 0x3F00;

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "segment-base",
        what: "a data segment whose base lies in the hypervisor's memory",
        run: || write_through(world::segment(INSIDE, 0xFF, 0x4093), 0),
        ..ATTEMPT
    },
    Attempt {
        name: "segment-limit",
        what: "a flat data segment up to 4 GiB",
        run: || write_through(world::segment(0, 0xF_FFFF, access::DATA_0), INSIDE),
        ..ATTEMPT
    },
    Attempt {
        name: "segment-wrap",
        what: "a data segment whose offsets wrap around to the hypervisor's memory",
        run: || write_through(world::segment(0x1000, 0xF_FFFF, access::DATA_0), INSIDE - 0x1000),
        ..ATTEMPT
    },
    Attempt {
        name: "segment-expand-down",
        what: "an expand-down segment, which begins where others end",
        run: || write_through(world::segment(0, 0, access::EXPAND_DOWN_0), INSIDE),
        ..ATTEMPT
    },
    Attempt {
        name: "segment-limit-shown",
        what: "the limit of the kernel's flat segments, as the processor has it",
        run: || {
            let limits = [CODE, DATA].map(machine::lsl);
            let reaches = limits.iter().any(|limit| limit.is_none_or(|limit| limit > TOP + 0xFFF));
            Verdict::by(reaches, "it includes the hypervisor", "it ends below the hypervisor")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "segment-changed",
        what: "a segment that is changed after it was used",
        run: || {
            write_through(world::segment(0, 0xFFF, access::DATA_0), world::scratch(0));
            write_through(world::segment(INSIDE, 0xF_FFFF, access::DATA_0), 0)
        },
        ..ATTEMPT
    },
    Attempt {
        name: "code-dpl-0",
        what: "a far jump to a code segment with DPL 0",
        must: NO_RING_0,
        run: || {
            world::set_gdt(SPARE, world::segment(0, 0xF_FFFF, access::CODE_0));
            by_ring(machine::far_jump(SPARE))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "code-conforming",
        what: "a far jump to a conforming code segment with DPL 0",
        must: NO_RING_0,
        run: || {
            world::set_gdt(SPARE, world::segment(0, 0xF_FFFF, access::CONFORMING_0));
            by_ring(machine::far_jump(SPARE))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "code-limit-shown",
        what: "the limit of a code segment up to 4 GiB that is based above 0",
        run: || {
            world::set_gdt(SPARE, world::segment(0x1000, 0xF_FFFF, access::CODE_0));
            let reaches = machine::lsl(SPARE).is_some_and(|limit| limit > TOP - 1);
            Verdict::by(reaches, "it includes the hypervisor", "it ends below the hypervisor")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-gate",
        what: "a call gate to the kernel's code",
        must: NO_RING_0,
        run: || {
            world::set_gdt(SPARE, world::gate(CODE, machine::far_target(), gate_access::CALL_0));
            by_ring(machine::far_call(SPARE, 0))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "task-jump",
        what: "a jump to a TSS with CS in ring 0 and tables of its own",
        must: NO_RING_0,
        run: || {
            build_task();
            lost(|| machine::far_jump(SPARE))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "task-gate",
        what: "a jump through a task gate",
        must: NO_RING_0,
        run: || {
            build_task();
            world::set_gdt(SPARE + 8, world::gate(SPARE, 0, gate_access::TASK_0));
            lost(|| machine::far_jump(SPARE + 8))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "task-register",
        what: "LTR of a TSS with ESP0 in the hypervisor's memory and all ports open",
        must: &[Must::NoEffect, Must::Stopped, Must::Fault(13)],
        run: || {
            build_task();
            let real = machine::gdt_base();
            let before = machine::str();
            machine::ltr(SPARE);
            let is_loaded = real == world::gdt_entry(0) && machine::str() != before;
            Verdict::by(is_loaded, "the real TR has it", "the real TR has another")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "ldt-data",
        what: "an LDT with a data segment over the hypervisor's memory",
        run: || {
            let table = build_ldt();
            world::set_descriptor(table, world::segment(INSIDE, 0xF_FFFF, access::DATA_0));
            machine::load_fs(4);
            machine::write_fs(0, PATTERN);
            Verdict::Succeeded("it was written through")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "ldt-code",
        what: "an LDT with a code segment with DPL 0",
        must: NO_RING_0,
        run: || {
            let table = build_ldt();
            world::set_descriptor(table, world::segment(0, 0xF_FFFF, access::CODE_0));
            by_ring(machine::far_jump(4))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "ldt-call-gate",
        what: "an LDT with a call gate",
        must: NO_RING_0,
        run: || {
            let table = build_ldt();
            world::set_descriptor(table, world::gate(CODE, machine::far_target(), gate_access::CALL_0));
            by_ring(machine::far_call(4, 0))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "ldt-elsewhere",
        what: "an LDT that lies in the hypervisor's memory",
        must: &[Must::Fault(10), Must::Fault(11), Must::Fault(13), Must::Fault(14), Must::Stopped],
        run: || {
            // Natively it is a page of the program's.
            let page = world::claim_top();
            world::set_descriptor(page, world::segment(0, 0xF_FFFF, access::DATA_0));
            world::set_gdt(SPARE, world::segment(TOP + 0x3000, 0xFFF, access::LDT));
            machine::lldt(SPARE);
            machine::load_fs(4);
            Verdict::Succeeded("a segment was loaded from it")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "selectors-above",
        what: "the hypervisor's own selectors, behind the guest's GDT",
        must: &[Must::Fault(13), Must::Fault(11)],
        bare: Bare::Harmless,
        run: || {
            let mut last = None;
            let selectors = (0x1000..0x2000).chain([0xFFF8]).step_by(8);
            for selector in selectors.filter(|at| !START.contains(at)).flat_map(|at| [at, at + 1, at + 3]) {
                for use_it in [machine::load_fs, |selector| _ = machine::far_jump(selector)] {
                    match trap::catch(|| use_it(selector)) {
                        Ok(()) => {
                            line!("selector {selector:04x} can be used");
                            return Verdict::Succeeded("one could be used");
                        }
                        Err(fault) => last = Some(fault),
                    }
                }
            }
            last.map_or(Verdict::NoEffect("there is none"), Verdict::Fault)
        },
        ..ATTEMPT
    },
];

/// Selectors that are the guest's even so: of the segments with which it was started.
const START: [u32; 2] = [0x1020, 0x1028];

/// A write through a segment in FS.
fn write_through(descriptor: [u32; 2], offset: u32) -> Verdict {
    world::claim_top();
    world::set_gdt(SPARE, descriptor);
    machine::load_fs(SPARE);
    machine::write_fs(offset, PATTERN);
    Verdict::Succeeded("it was written through")
}

/// Whether ring 0 was reached.
fn by_ring(code: u32) -> Verdict {
    Verdict::by(code & 3 == 0, "it ran in ring 0", "it ran in the guest's own ring")
}

/// The same for code that ends by a vector of its own.
fn lost<T>(f: impl FnOnce() -> T) -> Verdict {
    match trap::catch(f) {
        Err(fault) if fault.vector == machine::LOST => by_ring(fault.eax),
        Err(fault) => Verdict::Fault(fault),
        Ok(_) => Verdict::NoEffect("nothing was run"),
    }
}

/// A TSS at [`SPARE`], in a page of its own: it begins at [`machine::lost_target`] in ring 0.
pub fn build_task() {
    let task = world::scratch(0);
    let stack = world::scratch(2);
    for (offset, value) in [
        (0x04, TOP + 0x3F00),
        (0x08, DATA),
        (0x1C, machine::cr3()),
        (0x20, machine::lost_target()),
        (0x24, 2),
        (0x38, stack),
        (0x48, DATA),
        (0x4C, CODE),
        (0x50, DATA),
        (0x54, DATA),
        // an I/O bitmap of zeroes behind the state
        (0x64, 0x0068_0000),
    ] {
        machine::write(task + offset, value);
    }
    world::set_gdt(SPARE, world::segment(task, 0x1FFF, access::TASK));
}

/// Loads an LDT, in a page of its own; returns its address.
fn build_ldt() -> u32 {
    world::claim_top();
    let table = world::scratch(1);
    world::set_gdt(SPARE, world::segment(table, 0xFFF, access::LDT));
    machine::lldt(SPARE);
    table
}
