//! Calls 33 and 34, patched, by call and by jump: the ROM's own `iretd`, executed in ring 3.
//!
//! # Safety
//!
//! Frames and registers lead to the place where registers are looked at; text is written in the one thread that runs it,
//! masked.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::SeqCst;

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::irq;
use vmi_hypervisor::layout::{HYPERCALL_IRET, shared};
use vmi_hypervisor::rom::Leave;

use super::masking::registers;
use super::tests;
use crate::guest::{self, Kernel};
use crate::machine::SharedPage;
use crate::monitor;
use crate::sites::{self, Registers, call_site};

tests![
    iret_returns_by_its_frame_in_both_forms,
    iret_takes_over_the_flags_of_its_frame,
    iret_delivers_what_waits_in_both_forms,
    sysexit_leaves_by_a_frame_of_the_user_selectors_in_both_forms,
    sysexit_delivers_what_waits,
    an_interrupt_at_every_instruction_of_a_return_comes_once,
];

const FORMS: [Leave; 2] = [Leave::ByCall, Leave::ByJump];

/// CF, PF, AF, ZF, SF and OF.
const ARITHMETIC: u32 = 0x8D5;

/// Runs `test` in a kernel whose ROM wants IRET and SYSEXIT by a call, and in one whose ROM wants a jump.
fn in_both_forms(test: impl Fn(&Kernel)) {
    for leave in FORMS {
        let mut kernel = Kernel::boot(leave);
        test(&kernel);
        irq::disable();
        // SAFETY: as for boot; the monitor carries out native instructions.
        unsafe { kernel.vmi.plan.revert(&mut kernel.text) }.expect("text can be written");
    }
}

/// Registers in front of a return whose frame has these EFLAGS.
fn with_frame(flags: u32, pattern: u32) -> Registers {
    Registers { stack: sites::return_frame(flags), ..registers(pattern) }
}

/// Looks at everything that a return must carry over: all registers, and the stack without the frame.
fn carries(before: &Registers, after: &Registers) {
    let general =
        |found: &Registers| [found.eax, found.ebx, found.ecx, found.edx, found.esi, found.edi, found.ebp];
    assert_eq!(general(after), general(before));
    assert_eq!(after.esp, before.esp + 12, "the frame, and nothing else, is gone");
    assert_eq!((after.segments, before.segments), ([0; 2], [0; 2]));
}

fn iret_returns_by_its_frame_in_both_forms() {
    in_both_forms(|_| {
        let exits = monitor::exits();
        for enabled in [false, true] {
            for pattern in [0, !0] {
                irq::disable();
                if enabled {
                    guest::enable();
                }
                // SAFETY: the frame leads to where registers are looked at.
                let [before, after] = unsafe { call_site(Call::IRET, with_frame(sites::FLAGS, pattern)) };
                carries(&before, &after);
                assert!(monitor::flag(), "ring 3 is where interrupts are enabled");
            }
        }
        assert_eq!(monitor::exits(), exits, "nothing waited");
    });
}

fn iret_takes_over_the_flags_of_its_frame() {
    in_both_forms(|_| {
        for flags in [0, ARITHMETIC, 0x41, sites::DIRECTION] {
            // SAFETY: as above.
            let [before, after] = unsafe { call_site(Call::IRET, with_frame(sites::FLAGS | flags, 0)) };
            carries(&before, &after);
            assert_eq!(after.flags & (ARITHMETIC | sites::DIRECTION), flags);
        }
    });
}

fn iret_delivers_what_waits_in_both_forms() {
    in_both_forms(|kernel| {
        for pattern in [0, !0] {
            irq::disable();
            kernel.line.raise();
            let (handled, returns) = (guest::HANDLED.load(SeqCst), monitor::hypercalls(HYPERCALL_IRET));
            // SAFETY: as above.
            let [before, after] = unsafe { call_site(Call::IRET, with_frame(sites::FLAGS | 1, pattern)) };
            carries(&before, &after);
            assert_eq!(after.flags & ARITHMETIC, 1);
            assert_eq!(guest::all_handled(), handled + 1);
            assert_eq!(monitor::hypercalls(HYPERCALL_IRET), returns + 1);
            assert!(monitor::flag());
        }
    });
}

/// Names the selectors that SYSEXIT loads: those of this process.
pub fn set_user_selectors() -> [u32; 2] {
    let [code, stack] = sites::selectors();
    SharedPage::word(shared::USER_CODE).store(code, SeqCst);
    SharedPage::word(shared::USER_STACK).store(stack, SeqCst);
    [code, stack]
}

/// The processor takes three words of the frame, as it does where the ring stays; the two for another stack are left.
fn sysexit_leaves_by_a_frame_of_the_user_selectors_in_both_forms() {
    in_both_forms(|kernel| {
        let [_, stack] = set_user_selectors();
        let by_call = kernel.vmi.plan.relocation(Call::SYSEXIT).kind == RelocationKind::CALL_REL;
        for pattern in [0, !0] {
            irq::disable();
            let exits = monitor::exits();
            let registers =
                Registers { edx: sites::returned(), ecx: 0xBFFF_1230 ^ pattern, ..registers(pattern) };
            // SAFETY: EDX leads to where registers are looked at.
            let [before, after] = unsafe { call_site(Call::SYSEXIT, registers) };
            let general = |found: &Registers| {
                [found.eax, found.ebx, found.ecx, found.edx, found.esi, found.edi, found.ebp]
            };
            assert_eq!(general(&after), general(&before));
            assert_eq!(after.stack[..2], [before.ecx, stack], "the frame's ESP and SS");
            let return_address = if by_call { 4 } else { 0 };
            assert_eq!(after.esp, before.esp - 8 - return_address);
            assert!(monitor::flag());
            assert_eq!(monitor::exits(), exits);
        }
    });
}

fn sysexit_delivers_what_waits() {
    in_both_forms(|kernel| {
        let [_, stack] = set_user_selectors();
        irq::disable();
        kernel.line.raise();
        let handled = guest::HANDLED.load(SeqCst);
        let registers = Registers { edx: sites::returned(), ecx: 0x1230, ..registers(0) };
        // SAFETY: as above.
        let [_, after] = unsafe { call_site(Call::SYSEXIT, registers) };
        assert_eq!(after.stack[..2], [0x1230, stack]);
        assert_eq!((after.edx, after.ecx), (sites::returned(), 0x1230));
        assert_eq!(guest::all_handled(), handled + 1);
        assert!(monitor::flag());
    });
}

/// As for the other calls; in the ROM's window the guest is put back, so that no interrupt waits behind a flag that has
/// been set without looking.
fn an_interrupt_at_every_instruction_of_a_return_comes_once() {
    in_both_forms(|kernel| {
        set_user_selectors();
        for call in [Call::IRET, Call::SYSEXIT] {
            let (mut in_rom, mut in_window) = (0, 0);
            for instruction in 1.. {
                irq::disable();
                monitor::plant(instruction);
                let rolled_back = monitor::ROLLED_BACK.load(SeqCst);
                let registers = Registers { flags: sites::STEPPING, ..with_frame(sites::FLAGS, 0) };
                let registers = match call {
                    Call::IRET => registers,
                    _ => Registers { edx: sites::returned(), ecx: 0x1230, ..registers },
                };
                // SAFETY: frame and EDX lead to where registers are looked at.
                let [before, after] = unsafe { call_site(call, registers) };
                assert_eq!((after.eax, after.ebp, after.ecx), (before.eax, before.ebp, before.ecx));
                assert!(monitor::flag());
                match monitor::planted_at() {
                    Some(place) if kernel.rom().contains(&place) => {
                        in_rom += 1;
                        in_window += monitor::ROLLED_BACK.load(SeqCst) - rolled_back;
                    }
                    Some(_) => {}
                    // It would have been behind the return, which has cleared TF.
                    None => break,
                }
                guest::all_handled();
            }
            assert!(in_rom >= 6, "{call}: {in_rom} places in the ROM");
            assert_eq!(in_window, 3, "{call}: the window's instructions but the first");
        }
    });
}
