//! Attempts with the calls of the interface, and with the hypervisor's vector itself.
//!
//! # Safety
//!
//! See [`machine`]: the calls are given what they must not be given.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::descriptor::{self, Descriptor, DescriptorTableRegister, Selector};
use paravirt_vmi::mmu::{self, Level, Update};
use paravirt_vmi::mmu::{Contents, TableFrame};
use paravirt_vmi::{cpu, irq, port};

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::machine;
use crate::trap;
use crate::world::{self, DATA, HYPERVISOR, PATTERN, SPARE, TOP, page};

/// The call is refused by a fault, by stopping the guest, or by doing nothing.
const REFUSED: &[Must] = &[Must::Fault(13), Must::Fault(14), Must::NoEffect, Must::Stopped];

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: REFUSED,
    bare: Bare::Succeeds,
    needs: Needs::Nothing,
    patched: true,
    run: || Verdict::NoEffect(""),
};

/// In the real GDT.
const INSIDE: u32 = TOP + 0x3F00;

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "call-write-gdt",
        what: "WriteGDTEntry of a table in the hypervisor's memory",
        run: || {
            writes(INSIDE, || {
                // SAFETY: see the module.
                unsafe { descriptor::write_gdt_entry(INSIDE as *mut _, 0, GARBAGE) }
            })
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-write-ldt",
        what: "WriteLDTEntry of a table in the hypervisor's memory",
        run: || {
            writes(INSIDE, || {
                // SAFETY: see the module.
                unsafe { descriptor::write_ldt_entry(INSIDE as *mut _, 0, GARBAGE) }
            })
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-write-idt",
        what: "WriteIDTEntry of a table in the hypervisor's memory",
        run: || {
            writes(INSIDE, || {
                // SAFETY: see the module.
                unsafe { descriptor::write_idt_entry(INSIDE as *mut _, 0, GARBAGE) }
            })
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-write-gdt-ring-0",
        what: "WriteGDTEntry of a code segment with DPL 0",
        must: &[Must::Fault(11), Must::Fault(13), Must::NoEffect],
        run: || {
            let [low, high] = world::segment(0, 0xF_FFFF, world::access::CODE_0);
            let code = Descriptor(u64::from(high) << 32 | u64::from(low));
            // SAFETY: see the module.
            unsafe { descriptor::write_gdt_entry(world::gdt_entry(0) as *mut _, (SPARE / 8) as u16, code) };
            let ring = machine::far_jump(SPARE | machine::cs() & 3) & 3;
            Verdict::by(ring == 0, "it ran in ring 0", "it ran in the guest's own ring")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-write-beyond",
        what: "WriteGDTEntry far beyond the table",
        bare: Bare::Harmless,
        run: || {
            for index in [0x200, 0x201, 0x3FF, 0x1FFF, 0xFFFF] {
                let table = world::gdt_entry(0) as *mut _;
                // SAFETY: see the module.
                let _ = trap::catch(|| unsafe { descriptor::write_gdt_entry(table, index, GARBAGE) });
            }
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-set-gdt",
        what: "SetGDT with a table in the hypervisor's memory",
        run: || {
            let own = world::claim_top();
            machine::copy(world::gdt_entry(0), own, 0x200);
            // SAFETY: see the module.
            unsafe { descriptor::set_gdt(&DescriptorTableRegister::new(0xFFF, TOP + 0x3000)) };
            machine::load_fs(world::kernel(DATA));
            Verdict::Succeeded("a segment was loaded from it")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-set-idt",
        what: "SetIDT with a table in the hypervisor's memory",
        run: || {
            let own = world::claim_top();
            machine::copy(world::idt(), own, 0x800);
            // SAFETY: see the module.
            unsafe { descriptor::set_idt(&DescriptorTableRegister::new(0x7FF, TOP + 0x2000)) };
            match trap::catch(|| machine::int(0x90)) {
                Err(fault) if fault.vector == 0x90 => Verdict::Succeeded("an interrupt went through it"),
                Err(fault) => Verdict::Fault(fault),
                Ok(()) => Verdict::NoEffect("no interrupt came"),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-kernel-stack",
        what: "UpdateKernelStack with a stack in the hypervisor's memory",
        run: || {
            world::claim_top();
            let (tss, stack) = (world::task() as *mut _, Selector(world::kernel(DATA) as u16));
            // SAFETY: see the module.
            unsafe { descriptor::update_kernel_stack(tss, stack, INSIDE) };
            match world::user(identity, 0, 2) {
                Ok(_) => Verdict::Succeeded("the frame was written there"),
                Err(fault) => Verdict::Fault(fault),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-set-pxe",
        what: "SetPxE of an entry in the hypervisor's memory",
        run: || {
            writes(INSIDE, || {
                // SAFETY: see the module.
                unsafe { mmu::set_pxe(INSIDE as *mut u32, PATTERN, Update::of(Level::PageTable)) }
            })
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-set-pxe-long",
        what: "SetPxELong of an entry in the hypervisor's memory",
        run: || {
            writes(INSIDE, || {
                // SAFETY: see the module.
                unsafe { mmu::set_pxe_long(INSIDE as *mut u64, PATTERN.into(), Update::of(Level::PageTable)) }
            })
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-set-pxe-frame",
        what: "SetPxE with the hypervisor's frame",
        run: || {
            let entry = world::window_table() as *mut u32;
            // SAFETY: see the module.
            unsafe { mmu::set_pxe(entry, HYPERVISOR | page::KERNEL, Update::of(Level::PageTable)) };
            mmu::inval_page(world::WINDOW);
            machine::write(world::WINDOW, !HYPERVISOR);
            machine::write(world::WINDOW, PATTERN);
            let is_there = machine::read(world::WINDOW) == PATTERN;
            Verdict::by(
                is_there,
                "the memory was written",
                "there is no memory: what was written is not there",
            )
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-allocate-page",
        what: "AllocatePage, which fills or copies a frame, with the hypervisor's frames",
        bare: Bare::Harmless,
        run: || {
            let frames = [HYPERVISOR >> 12, (HYPERVISOR >> 12) + 1, 0xF_FC00, 0xFFFF_FFFF];
            for frame in frames {
                let table = TableFrame { frame, level: Level::PageTable, pae: false };
                let clone = Contents::Clone { frame: world::scratch(0) >> 12, first: 0, count: u32::MAX };
                for contents in [Contents::Zeroed, clone, Contents::Any] {
                    // SAFETY: see the module.
                    let _ = trap::catch(|| unsafe { mmu::allocate_page(table, contents) });
                }
                // SAFETY: see the module.
                let _ = trap::catch(|| unsafe { mmu::release_page(table) });
            }
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-insb",
        what: "INSB into the hypervisor's memory",
        run: || {
            writes(INSIDE, || {
                // SAFETY: see the module.
                let bytes = unsafe { core::slice::from_raw_parts_mut(INSIDE as *mut u8, 0x10) };
                // SAFETY: see the module.
                unsafe { port::insb(0x21, bytes) }
            })
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-insl-beyond",
        what: "INSL from below the hypervisor's memory far into it",
        run: || {
            writes(INSIDE, || {
                // SAFETY: see the module.
                let words = unsafe { core::slice::from_raw_parts_mut((TOP + 0xFF0) as *mut u32, 0x2000) };
                // SAFETY: see the module.
                unsafe { port::insl(0xCFC, words) }
            })
        },
        ..ATTEMPT
    },
    Attempt {
        name: "call-outsb",
        what: "OUTSB of the hypervisor's memory",
        run: || {
            world::claim_top();
            // SAFETY: see the module.
            let bytes = unsafe { core::slice::from_raw_parts(INSIDE as *const u8, 0x10) };
            // SAFETY: see the module.
            trap::catch(|| unsafe { port::outsb(0x80, bytes) }).into()
        },
        must: &[Must::Fault(13), Must::Fault(14), Must::Stopped],
        needs: Needs::Limits,
        ..ATTEMPT
    },
    Attempt {
        name: "call-cr3",
        what: "SetCR3 with the hypervisor's frame",
        bare: Bare::Resets,
        run: || {
            // SAFETY: see the module.
            unsafe { cpu::set_cr3(HYPERVISOR) };
            Verdict::Succeeded("the program goes on by it")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "hypercall-numbers",
        what: "every hypercall number with garbage in the registers",
        bare: Bare::Harmless,
        run: || {
            let numbers = (0..0x200).chain([0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]);
            world::start_timer();
            for number in numbers.filter(|number| !FATAL.iter().any(|call| call.number() == *number)) {
                for garbage in [0, PATTERN, TOP + 0x2000, 0xFFFF_FFFF] {
                    let _ = trap::catch(|| machine::hypercall(number, garbage, garbage, garbage));
                    irq::disable();
                    machine::out8(0x20, 0x20);
                }
            }
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "hypercall-returns",
        what: "the hypercalls of IRET and SYSEXIT with garbage in the frame",
        bare: Bare::Harmless,
        must: &[Must::NoEffect, Must::Stopped],
        run: || {
            for number in [33, 34, 0x82] {
                for garbage in [0, PATTERN, TOP + 0x2000, 0xFFFF_FFFF] {
                    let _ = trap::catch(|| machine::hypercall(number, garbage, garbage, garbage));
                    restore();
                }
            }
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "hypercall-stack",
        what: "the hypervisor's vector with a stack pointer in its memory",
        bare: Bare::Resets,
        must: &[Must::Fault(12), Must::Fault(13), Must::Fault(14), Must::NoEffect, Must::Stopped],
        run: || {
            for stack in [TOP + 0x2000, INSIDE, 0xFFFF_FFFC, 0xFFFF_FFFF, 0] {
                let _ = trap::catch(|| machine::hypercall_on_stack(stack));
            }
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
];

/// With garbage these end the program by right, lead it away, or take for ever.
const FATAL: [Call; 18] = [
    Call::SET_GDT,
    Call::SET_IDT,
    Call::SET_LDT,
    Call::SET_TR,
    Call::SET_CR0,
    Call::SET_CR3,
    Call::SET_CR4,
    Call::UPDATE_KERNEL_STACK,
    Call::IRET,
    Call::SYSEXIT,
    Call::REBOOT,
    Call::SHUTDOWN,
    Call::INSB,
    Call::INSW,
    Call::INSL,
    Call::OUTSB,
    Call::OUTSW,
    Call::OUTSL,
];

/// A descriptor, and a gate, that gives everything away.
const GARBAGE: Descriptor = Descriptor(0x00CF_9B00_0000_FFFF);

/// Whether a call writes the hypervisor's memory; natively, a page of the program's.
fn writes(address: u32, call: impl FnOnce()) -> Verdict {
    let place = world::claim_top() + (address & 0xFFF);
    machine::write(place, PATTERN ^ 1);
    match trap::catch(call) {
        Err(fault) => Verdict::Fault(fault),
        Ok(()) => {
            let is_own = machine::read(place) != PATTERN ^ 1;
            Verdict::by(is_own, "the guest's own page was written", "nothing of the guest's was written")
        }
    }
}

/// Puts back what a call with garbage may have changed, as a kernel can.
fn restore() {
    irq::disable();
    machine::lidt(world::pseudo_descriptor(world::idt(), 0x7FF));
    machine::set_cr3(world::directory());
}

extern "C" fn identity(argument: u32) -> u32 {
    argument
}
