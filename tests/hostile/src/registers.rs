//! Attempts to set the real registers by the instructions for them.

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::machine;
use crate::trap::{self, TRAP_FLAG};
use crate::world::{self, CODE, PATTERN, SPARE, TASK, TOP, access, control};

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: &[Must::NoEffect],
    bare: Bare::Succeeds,
    needs: Needs::Nothing,
    patched: false,
    run: || Verdict::NoEffect(""),
};

/// The registers of SYSENTER.
const SYSENTER_CS: u32 = 0x174;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const APIC_BASE: u32 = 0x1B;
const EFER: u32 = 0xC000_0080;

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "lgdt",
        what: "LGDT, as SGDT shows it",
        run: || {
            machine::copy(world::gdt_entry(0), world::scratch(0), 0x200);
            machine::lgdt(world::pseudo_descriptor(world::scratch(0), 0x1FF));
            Verdict::by(
                machine::gdt_base() == world::scratch(0),
                "the real GDTR has it",
                "the real one is another",
            )
        },
        ..ATTEMPT
    },
    Attempt {
        name: "lgdt-top",
        what: "a GDT in the hypervisor's memory",
        must: &[Must::Fault(13), Must::Fault(14), Must::Stopped],
        run: || {
            let page = world::claim_top();
            machine::copy(world::gdt_entry(0), page, 0x200);
            machine::lgdt(world::pseudo_descriptor(TOP + 0x3000, 0xFFF));
            machine::load_fs(world::DATA);
            Verdict::by(machine::gdt_base() == TOP + 0x3000, "it was loaded", "a segment was loaded from it")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "lidt",
        what: "LIDT, as SIDT shows it",
        run: || {
            machine::copy(world::idt(), world::scratch(0), 0x800);
            machine::lidt(world::pseudo_descriptor(world::scratch(0), 0x7FF));
            Verdict::by(
                machine::idt_base() == world::scratch(0),
                "the real IDTR has it",
                "the real one is another",
            )
        },
        ..ATTEMPT
    },
    Attempt {
        name: "lldt",
        what: "LLDT, which must not reach the processor unseen",
        run: || {
            world::set_gdt(SPARE, world::segment(world::scratch(0), 0xFFF, access::LDT));
            by_trap(|| machine::lldt(SPARE))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "ltr",
        what: "LTR, which must not reach the processor unseen",
        run: || {
            world::set_gdt(TASK, world::segment(world::task(), 0x2FFF, access::TASK));
            by_trap(|| machine::ltr(TASK))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "cr0-protection",
        what: "leaving protected mode",
        must: &[Must::NoEffect, Must::Stopped, Must::Fault(13)],
        run: || {
            let value = machine::cr0();
            machine::set_cr0(value & !(control::PAGING | control::PROTECTION));
            let machine_status = machine::smsw();
            machine::set_cr0(value);
            Verdict::by(machine_status & 1 == 0, "the processor left it", "the real CR0.PE is set")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "cr0-task-switched",
        what: "setting CR0.TS, which must not reach the processor unseen",
        run: || by_trap(|| machine::set_cr0(machine::cr0() | 8)),
        ..ATTEMPT
    },
    Attempt {
        name: "lmsw",
        what: "LMSW, which must not reach the processor unseen",
        run: || by_trap(|| machine::lmsw(machine::smsw())),
        ..ATTEMPT
    },
    Attempt {
        name: "cr3",
        what: "MOV to CR3, which must not reach the processor unseen",
        run: || by_trap(|| machine::set_cr3(world::directory())),
        ..ATTEMPT
    },
    Attempt {
        name: "cr4",
        what: "the bits of CR4 but those of paging, one after another",
        must: &[Must::NoEffect, Must::Fault(13)],
        // some emulators stop at a bit that they do not have
        bare: Bare::Chance,
        run: || {
            let value = machine::cr4();
            // VME, PVI, TSD, DE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT, UMIP, VMXE, FSGSBASE, PCIDE, OSXSAVE
            for bit in [0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 13, 16, 17, 18] {
                // Whether the guest's processor has the bit or not, the hypervisor's stays as it is.
                let _ = trap::catch(|| machine::set_cr4(value | 1 << bit));
                machine::set_cr4(value);
            }
            machine::set_cr4(value & control::LARGE_PAGES);
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "dr7",
        what: "watchpoints on the hypervisor's way in and on the real IDT",
        must: &[Must::Fault(13), Must::Fault(14), Must::NoEffect],
        run: || {
            world::claim_top();
            machine::set_dr0(TOP + 0x1000);
            machine::set_dr1(TOP + 0x2000);
            // DR0: execution; DR1: reading and writing 4 bytes; both enabled
            machine::set_dr7(0x00F0_040A);
            match trap::catch(|| machine::write(TOP + 0x2000, PATTERN)) {
                Err(fault) if fault.vector == trap::DEBUG => Verdict::Succeeded("the watchpoint is real"),
                Err(fault) => Verdict::Fault(fault),
                Ok(()) => Verdict::NoEffect("no watchpoint was hit"),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "dr7-general-detect",
        what: "DR7.GD, which makes the hypervisor's own accesses fault",
        must: &[Must::Fault(1), Must::Fault(13), Must::NoEffect],
        bare: Bare::Harmless,
        run: || {
            machine::set_dr7(0x2400);
            // That the guest sees its own #DB is right; what matters is that it goes on.
            trap::catch(|| machine::set_dr0(0))
                .map_or_else(Verdict::Fault, |()| Verdict::NoEffect("it goes on"))
        },
        ..ATTEMPT
    },
    Attempt {
        name: "sysenter",
        what: "SYSENTER to ring 0 from ring 3, by MSRs of the kernel's making",
        run: || {
            machine::wrmsr(SYSENTER_CS, CODE);
            machine::wrmsr(SYSENTER_ESP, world::scratch(3));
            machine::wrmsr(SYSENTER_EIP, machine::lost_target());
            match world::user(sysenter, 0, 2) {
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
        name: "sysenter-kernel",
        what: "SYSENTER to ring 0 from the kernel",
        run: || {
            machine::wrmsr(SYSENTER_CS, CODE);
            machine::wrmsr(SYSENTER_ESP, world::scratch(3));
            machine::wrmsr(SYSENTER_EIP, machine::lost_target());
            match trap::catch(|| sysenter(0)) {
                Err(fault) if fault.vector == machine::LOST => {
                    Verdict::by(fault.eax & 3 == 0, "it led to ring 0", "it led to the guest's own ring")
                }
                Err(fault) => Verdict::Fault(fault),
                Ok(_) => Verdict::NoEffect("nothing happened"),
            }
        },
        must: &[Must::NoEffect, Must::Fault(13)],
        ..ATTEMPT
    },
    Attempt {
        name: "sysenter-into-hypervisor",
        what: "SYSENTER with EIP and ESP in the hypervisor's memory",
        must: &[Must::Fault(13), Must::Fault(14), Must::Stopped],
        needs: Needs::Limits,
        run: || {
            // `int 81h` natively
            machine::write(world::claim_top(), 0x9090_81CD);
            machine::wrmsr(SYSENTER_CS, CODE);
            machine::wrmsr(SYSENTER_ESP, TOP + 0x3F00);
            machine::wrmsr(SYSENTER_EIP, TOP + 0x1000);
            match world::user(sysenter, 0, 2) {
                Err(fault) if fault.vector == machine::LOST => Verdict::Succeeded("code ran there"),
                Err(fault) => Verdict::Fault(fault),
                Ok(_) => Verdict::NoEffect("nothing happened"),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "msr-sysenter",
        what: "WRMSR of SYSENTER_EIP, which must not reach the processor unseen",
        run: || by_trap(|| machine::wrmsr(SYSENTER_EIP, TOP)),
        ..ATTEMPT
    },
    Attempt {
        name: "msr-apic-base",
        what: "the real local APIC over the guest's own memory",
        must: &[Must::NoEffect, Must::Fault(13)],
        run: || by_trap(|| machine::wrmsr(APIC_BASE, world::scratch(0) | 0x900)),
        ..ATTEMPT
    },
    Attempt {
        name: "msr-efer",
        what: "every bit of EFER",
        must: &[Must::NoEffect, Must::Fault(13)],
        bare: Bare::Harmless,
        run: || {
            for bit in 0..32 {
                let _ = trap::catch(|| machine::wrmsr(EFER, 1 << bit));
            }
            machine::wrmsr(EFER, 0);
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "single-step-privileged",
        what: "single steps over instructions that the hypervisor carries out",
        bare: Bare::Harmless,
        run: || {
            let steps = trap::count_steps(1000, || {
                machine::popfd(machine::pushfd() | TRAP_FLAG);
                machine::set_cr3(machine::cr3());
                machine::out8(0x80, 0);
                machine::cli();
                machine::popfd(machine::pushfd() & !TRAP_FLAG);
            });
            Verdict::by(steps == 0, "no step was seen", "each step came to the guest, none to the hypervisor")
        },
        ..ATTEMPT
    },
];

/// Whether an instruction reaches the processor without the hypervisor.
fn by_trap(f: impl FnOnce()) -> Verdict {
    Verdict::by(!machine::traps(f), "it did not trap", "it trapped, and the program goes on")
}

#[allow(unsafe_code)]
extern "C" fn sysenter(_: u32) -> u32 {
    // SAFETY: see `machine`; it does not come back.
    unsafe { core::arch::asm!("sysenter", options(noreturn)) }
}
