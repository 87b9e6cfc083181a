//! IRET, RETF, INT n, SYSENTER, SYSEXIT, far jumps.

use super::*;
use crate::descriptor::Descriptor;
use crate::frame::eflags;
use crate::vcpu::Mode;

const IRET: [u8; 1] = [0xCF];
/// Where frames lead.
const TARGET: u32 = 0x1_2340;

/// The kernel returns by this frame, by `iretd` that raises #GP(CS).
fn returns(mode: Mode, words: &[u32]) -> (Guest<FakeHost>, Option<Fault>) {
    let mut guest = guest(&IRET);
    guest.vcpu.mode = mode;
    poke_words(&mut guest, place::STACK, words);
    let fault = protection_fault(&mut guest, words[1] & 0xFFFC);
    (guest, fault)
}

#[test]
fn a_kernel_in_ring_0_returns_to_itself() {
    let flags = eflags::INTERRUPT | 3 << eflags::IOPL_SHIFT | eflags::CARRY | eflags::ALIGNMENT_CHECK;
    let (guest, fault) = returns(Mode::Hardware, &[TARGET, 0x08, flags]);
    assert_eq!(fault, None);
    let vcpu = &guest.vcpu;
    assert_eq!((vcpu.frame.eip, vcpu.frame.cs, vcpu.frame.esp), (TARGET, 0x09, place::STACK + 12));
    assert_eq!((vcpu.interrupt_flag, vcpu.iopl), (true, 3));
    assert_eq!(vcpu.frame.eflags & (eflags::CARRY | eflags::ALIGNMENT_CHECK), 0x4_0001);
}

#[test]
fn a_kernel_that_knows_its_ring_does_not_load_the_privilege_level() {
    let (guest, fault) = returns(Mode::Paravirtual, &[TARGET, 0x08, 3 << eflags::IOPL_SHIFT]);
    assert_eq!((fault, guest.vcpu.iopl, guest.vcpu.interrupt_flag), (None, 0, false));
}

#[test]
fn a_return_to_ring_3_enables_interrupts_and_drops_the_kernels_segments() {
    for flags in [0, eflags::INTERRUPT] {
        let words = [TARGET, 0x1B, flags, place::USER_STACK, 0x23];
        let (guest, fault) = returns(Mode::Hardware, &words);
        assert_eq!(fault, None);
        let frame = &guest.vcpu.frame;
        assert_eq!((frame.eip, frame.cs, frame.esp, frame.ss), (TARGET, 0x1B, place::USER_STACK, 0x23));
        assert_eq!((frame.ds, frame.es), (0, 0));
        assert!(guest.vcpu.interrupt_flag);
    }
}

#[test]
fn a_return_keeps_segments_of_ring_3() {
    let mut guest = guest(&IRET);
    guest.vcpu.frame.ds = selector::USER_DATA.into();
    poke_words(&mut guest, place::STACK, &[TARGET, 0x1B, 0, place::USER_STACK, 0x23]);
    assert_eq!(protection_fault(&mut guest, 0x18), None);
    assert_eq!((guest.vcpu.frame.ds, guest.vcpu.frame.es), (selector::USER_DATA.into(), 0));
}

#[test]
fn a_frame_that_hardware_would_refuse_is_refused() {
    let user = |code, stack| [TARGET, code, 0, place::USER_STACK, stack];
    for (words, fault) in [
        ([TARGET, 0, 0, 0, 0], Fault::general_protection(0)),
        ([TARGET, 0x10, 0, 0, 0], Fault::general_protection(0x10)),
        ([TARGET, 0x18, 0, 0, 0], Fault::general_protection(0x18)),
        ([TARGET, 0x0A, 0, 0, 0], Fault::general_protection(0x08)),
        ([TARGET, 0x0B, 0, 0, 0], Fault::general_protection(0x08)),
        ([TARGET, 0x80, 0, 0, 0], Fault::general_protection(0x80)),
        ([TARGET, 0x28, 0, 0, 0], Fault::general_protection(0x28)),
        ([0xFFC0_1000, 0x08, 0, 0, 0], Fault::general_protection(0)),
        ([TARGET, 0x08, eflags::VM, 0, 0], Fault::general_protection(0)),
        (user(0x1B, 0), Fault::general_protection(0)),
        (user(0x1B, 0x10), Fault::general_protection(0x10)),
        (user(0x1B, 0x20), Fault::general_protection(0x20)),
        (user(0x1B, 0x1B), Fault::general_protection(0x18)),
        (user(0x1B, 0x33), Fault::stack(0x30)),
        (user(0x3B, 0x23), Fault::not_present(0x38)),
    ] {
        let mut guest = guest(&IRET);
        const DPL_3: u64 = 3 << 45;
        const PRESENT: u64 = 1 << 47;
        set_entry(&mut guest, 0x30, (Descriptor::FLAT_DATA.0 | DPL_3) & !PRESENT);
        set_entry(&mut guest, 0x38, (Descriptor::FLAT_CODE.0 | DPL_3) & !PRESENT);
        poke_words(&mut guest, place::STACK, &words);
        let before = guest.vcpu.frame;
        let found = protection_fault(&mut guest, words[1] & 0xFFFC);
        assert_eq!(found, Some(fault), "{words:x?}");
        assert_eq!((guest.vcpu.frame.eip, guest.vcpu.frame.esp), (before.eip, before.esp));
    }
}

#[test]
fn there_is_no_ring_2() {
    for code in [&IRET[..], &[0xCB]] {
        let mut guest = guest(code);
        const DPL_2: u64 = 2 << 45;
        set_entry(&mut guest, 0x30, Descriptor::FLAT_DATA.0 | DPL_2);
        set_entry(&mut guest, 0x38, Descriptor::FLAT_CODE.0 | DPL_2);
        poke_words(&mut guest, place::STACK, &[TARGET, 0x3A, 0, place::USER_STACK, 0x32]);
        assert_eq!(protection_fault(&mut guest, 0x38), Some(Fault::general_protection(0x38)));
    }
}

#[test]
fn a_nested_task_has_nowhere_to_return_to() {
    let mut guest = guest(&IRET);
    guest.vcpu.frame.eflags |= eflags::NESTED_TASK;
    poke_words(&mut guest, place::STACK, &[TARGET, 0x08, 0]);
    assert_eq!(protection_fault(&mut guest, 8), Some(Fault::invalid_tss(0)));
}

#[test]
fn a_frame_of_16_bits_has_half_the_words() {
    let mut guest = guest(&[0x66, 0xCF]);
    guest.vcpu.frame.eflags |= eflags::ID;
    poke_words(&mut guest, place::STACK, &[0x0008_1234, 0x0201]);
    assert_eq!(protection_fault(&mut guest, 8), None);
    let frame = &guest.vcpu.frame;
    assert_eq!((frame.eip, frame.cs, frame.esp), (0x1234, 0x09, place::STACK + 6));
    assert_eq!(frame.eflags & (eflags::ID | 1), eflags::ID | 1);
    assert!(guest.vcpu.interrupt_flag);
}

#[test]
fn the_hypercall_returns_by_the_frame_above_its_number() {
    let mut guest = guest(&[]);
    guest.vcpu.mode = Mode::Paravirtual;
    let number = crate::layout::HYPERCALL_IRET;
    poke_words(&mut guest, place::STACK, &[number, TARGET, 0x1B, 0, place::USER_STACK, 0x23]);
    guest.vcpu.frame.vector = crate::layout::HYPERCALL.into();
    guest.exit().unwrap();
    assert_eq!((guest.vcpu.exception, guest.vcpu.frame.eip), (None, TARGET));
}

#[test]
fn a_hypercall_that_faults_can_be_repeated() {
    let mut guest = guest(&[]);
    guest.vcpu.mode = Mode::Paravirtual;
    guest.vcpu.frame.eip += 2;
    let number = crate::layout::HYPERCALL_IRET;
    poke_words(&mut guest, place::STACK, &[number, TARGET, 0x28, 0]);
    guest.vcpu.frame.vector = crate::layout::HYPERCALL.into();
    guest.exit().unwrap();
    assert_eq!(guest.vcpu.exception, Some(Fault::general_protection(0x28)));
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.frame.esp), (place::CODE, place::STACK));
}

#[test]
fn a_far_return_to_ring_0_comes_to_ring_1() {
    // retf 8
    let mut guest = guest(&[0xCA, 8, 0]);
    poke_words(&mut guest, place::STACK, &[TARGET, 0x08]);
    assert_eq!(protection_fault(&mut guest, 8), None);
    let frame = &guest.vcpu.frame;
    assert_eq!((frame.eip, frame.cs, frame.esp), (TARGET, 0x09, place::STACK + 16));
}

#[test]
fn a_far_return_to_ring_3_switches_stacks() {
    // retf 8
    let mut guest = guest(&[0xCA, 8, 0]);
    poke_words(&mut guest, place::STACK, &[TARGET, 0x1B, 1, 2, place::USER_STACK, 0x23]);
    assert_eq!(protection_fault(&mut guest, 0x18), None);
    let frame = &guest.vcpu.frame;
    assert_eq!((frame.eip, frame.cs, frame.ss, frame.ds), (TARGET, 0x1B, 0x23, 0));
    assert_eq!(frame.esp, place::USER_STACK + 8);
    assert!(guest.vcpu.interrupt_flag);
}

#[test]
fn a_far_return_to_ring_2_is_refused() {
    let mut guest = guest(&[0xCB]);
    poke_words(&mut guest, place::STACK, &[TARGET, 0x1A, place::USER_STACK, 0x22]);
    assert_eq!(protection_fault(&mut guest, 0x18), Some(Fault::general_protection(0x18)));
}

#[test]
fn int_n_goes_through_the_guests_gate() {
    let mut guest = user(&[0xCD, 0x80]);
    assert_eq!(protection_fault(&mut guest, 0x80 * 8 + 2), None);
    assert_eq!(guest.vcpu.frame.eip, handler(0x80));
    assert_eq!(peek(&guest, guest.vcpu.frame.esp), place::CODE + 2);
    let mut guest = user(&[0xCD, 0x81]);
    assert_eq!(protection_fault(&mut guest, 0x81 * 8 + 2), Some(Fault::general_protection(0x81 * 8 + 2)));
    assert_eq!(advanced(&guest), 0);
    // the hypervisor's own vector is the guest's for ring 3
    let mut guest = user(&[0xCD, crate::layout::HYPERCALL]);
    assert_eq!(protection_fault(&mut guest, 0x782), Some(Fault::general_protection(0x782)));
}

#[test]
fn a_breakpoint_needs_an_open_gate() {
    for (code, length) in [(&[0xCC][..], 1), (&[0xCD, 0x03], 2)] {
        let mut guest = user(code);
        guest.vcpu.frame.eip += length;
        guest.vcpu.frame.vector = 3;
        guest.exit().unwrap();
        assert_eq!(guest.vcpu.exception, Some(Fault::general_protection(3 * 8 + 2)));
        assert_eq!(advanced(&guest), 0);
        set_gate(&mut guest, 3, gate(14, selector::CODE, handler(3), 3));
        guest.vcpu.exception = None;
        guest.vcpu.frame.eip += length;
        guest.exit().unwrap();
        assert_eq!((guest.vcpu.exception, guest.vcpu.frame.eip), (None, handler(3)));
        assert_eq!(peek(&guest, guest.vcpu.frame.esp), place::CODE + length);
    }
}

#[test]
fn sysenter_goes_where_the_registers_say() {
    let mut guest = user(&[0x0F, 0x34]);
    assert_eq!(protection_fault(&mut guest, 0), Some(Fault::general_protection(0)), "not set up");
    guest.vcpu.exception = None;
    guest.vcpu.msr.sysenter_cs = 0x08;
    guest.vcpu.msr.sysenter_esp = place::KERNEL_STACK.into();
    guest.vcpu.msr.sysenter_eip = TARGET.into();
    assert_eq!(protection_fault(&mut guest, 0), None);
    let frame = &guest.vcpu.frame;
    assert_eq!((frame.eip, frame.esp, frame.cs, frame.ss), (TARGET, place::KERNEL_STACK, 0x09, 0x11));
    assert!(!guest.vcpu.interrupt_flag);
}

#[test]
fn sysexit_goes_to_ring_3() {
    let mut guest = guest(&[0x0F, 0x35]);
    guest.vcpu.frame.edx = TARGET;
    guest.vcpu.frame.ecx = place::USER_STACK;
    assert_eq!(protection_fault(&mut guest, 0), Some(Fault::general_protection(0)), "not set up");
    guest.vcpu.exception = None;
    guest.vcpu.msr.sysenter_cs = 0x08;
    assert_eq!(protection_fault(&mut guest, 0), None);
    let frame = &guest.vcpu.frame;
    assert_eq!((frame.eip, frame.esp, frame.cs, frame.ss), (TARGET, place::USER_STACK, 0x1B, 0x23));
    assert!(guest.vcpu.interrupt_flag);
}

#[test]
fn tasks_and_gates_are_not_jumped_to() {
    // jmp 0028:0
    let mut guest = guest(&[0xEA, 0, 0, 0, 0, 0x28, 0]);
    guest.vcpu.frame.vector = 11;
    guest.vcpu.frame.error_code = 0x28;
    guest.exit().unwrap();
    assert_eq!(guest.vcpu.exception, Some(Fault::general_protection(0x28)));
    assert_eq!(guest.host.log.len(), 1);
    // call far [1234], to a call gate
    let mut guest = self::guest(&[0xFF, 0x1D, 0x34, 0x12, 0, 0]);
    set_entry(&mut guest, selector::SPARE, 0x0001_EC00_0008_2340);
    poke(&mut guest, 0x1234, &[0, 0, 0, 0, 0x33, 0]);
    assert_eq!(protection_fault(&mut guest, 0x30), Some(Fault::general_protection(0x30)));
    assert!(guest.host.log[0].contains("call gate"));
}
