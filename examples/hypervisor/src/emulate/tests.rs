//! Each instruction that traps, in ring 1 and in ring 3.

mod control;
mod store;
mod transfer;

use proptest::prelude::*;

use crate::fault::Fault;
use crate::frame::eflags;
use crate::guest::Guest;
use crate::stop::Stop;
use crate::testing::*;

/// Executes one instruction of the kernel's that raises #GP(0); the exception that it gets.
fn kernel(code: &[u8]) -> (Guest<FakeHost>, Option<Fault>) {
    let mut guest = guest(code);
    let fault = protection_fault(&mut guest, 0);
    (guest, fault)
}

#[test]
fn the_kernel_masks_and_unmasks_its_own_flag() {
    let (mut guest, fault) = kernel(&[0x3E, 0x3E, 0xFB, 0xFA]);
    assert_eq!((fault, advanced(&guest)), (None, 3));
    assert!(guest.vcpu.interrupt_flag && guest.vcpu.interrupt_shadow);
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(advanced(&guest), 4);
    assert!(!guest.vcpu.interrupt_flag);
}

#[test]
fn a_locked_cli_is_an_invalid_opcode() {
    let (guest, fault) = kernel(&[0xF0, 0xFA]);
    assert_eq!((fault, advanced(&guest)), (Some(Fault::INVALID_OPCODE), 0));
}

#[test]
fn a_program_with_io_privilege_skips_cli_and_sti() {
    for code in [[0xFA], [0xFB]] {
        let mut guest = user(&code);
        guest.vcpu.iopl = 3;
        assert_eq!(protection_fault(&mut guest, 0), None);
        assert_eq!(advanced(&guest), 1);
        assert!(guest.vcpu.interrupt_flag && !guest.vcpu.interrupt_shadow);
    }
}

#[test]
fn a_program_without_io_privilege_gets_the_fault() {
    for iopl in 0..3 {
        let mut guest = user(&[0xFA]);
        guest.vcpu.iopl = iopl;
        assert_eq!(protection_fault(&mut guest, 0), Some(Fault::general_protection(0)));
        assert_eq!(advanced(&guest), 0);
    }
}

#[test]
fn what_is_privileged_is_refused_to_ring_3() {
    let privileged: [&[u8]; 16] = [
        &[0xF4],
        &[0x0F, 0x06],
        &[0x0F, 0x08],
        &[0x0F, 0x09],
        &[0x0F, 0x30],
        &[0x0F, 0x32],
        &[0x0F, 0x35],
        &[0x0F, 0x01, 0x10],
        &[0x0F, 0x01, 0x18],
        &[0x0F, 0x01, 0xF0],
        &[0x0F, 0x01, 0x38],
        &[0x0F, 0x00, 0xD0],
        &[0x0F, 0x00, 0xD8],
        &[0x0F, 0x22, 0xD8],
        &[0x0F, 0x20, 0xC0],
        &[0x0F, 0x23, 0xF8],
    ];
    for code in privileged {
        let mut guest = user(code);
        guest.vcpu.iopl = 3;
        let before = guest.vcpu.clone();
        assert_eq!(protection_fault(&mut guest, 0), Some(Fault::general_protection(0)), "{code:x?}");
        assert_eq!((guest.vcpu.frame.eip, guest.vcpu.cr3), (before.frame.eip, before.cr3));
    }
}

#[test]
fn an_instruction_that_is_not_sensitive_keeps_its_fault() {
    // mov eax, cs:[0], beyond a limit
    let mut guest = guest(&[0x2E, 0xA1, 0, 0, 0, 0]);
    assert_eq!(protection_fault(&mut guest, 0), Some(Fault::general_protection(0)));
    // mov ds, ax with a selector that does not exist
    let mut guest = user(&[0x8E, 0xD8]);
    assert_eq!(protection_fault(&mut guest, 0x78), Some(Fault::general_protection(0x78)));
}

#[test]
fn a_halted_guest_wakes_with_an_interrupt() {
    let (mut guest, fault) = kernel(&[0xFB, 0xF4]);
    assert_eq!(fault, None);
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert!(guest.vcpu.halted);
    assert_eq!(guest.enter(), Err(Stop::Asleep), "nothing will ever come");
    raise_interrupt(&mut guest, 0x30);
    assert_eq!(guest.enter(), Ok(crate::run::Entry::Run));
    assert_eq!(guest.vcpu.frame.eip, handler(0x30));
    assert_eq!(peek(&guest, guest.vcpu.frame.esp), place::CODE + 2);
}

#[test]
fn a_guest_that_halts_with_interrupts_masked_is_off() {
    let mut guest = guest(&[0xF4]);
    guest.vcpu.frame.vector = 13;
    assert_eq!(guest.exit(), Err(Stop::PowerOff));
}

#[test]
fn a_traced_instruction_is_followed_by_the_debug_exception() {
    let mut guest = guest(&[0xFA]);
    guest.vcpu.frame.eflags |= eflags::TRAP;
    assert_eq!(protection_fault(&mut guest, 0), Some(Fault::DEBUG));
    assert_eq!((advanced(&guest), guest.vcpu.debug[6] & 1 << 14), (1, 1 << 14));
}

#[test]
fn segments_of_ring_0_are_loaded_in_ring_1() {
    // mov ss, ax
    let mut guest = guest(&[0x8E, 0xD0]);
    guest.vcpu.frame.eax = selector::DATA.into();
    guest.vcpu.frame.ss = u32::from(crate::layout::START_DATA);
    assert_eq!(protection_fault(&mut guest, selector::DATA.into()), None);
    assert_eq!((guest.vcpu.frame.ss, advanced(&guest)), (u32::from(selector::DATA | 1), 2));
}

#[test]
fn a_stack_segment_that_hardware_would_refuse_is_refused() {
    for (selector, fault) in [
        (0, Fault::general_protection(0)),
        (selector::CODE, Fault::general_protection(8)),
        (selector::USER_DATA, Fault::general_protection(0x20)),
        (selector::DATA | 3, Fault::general_protection(0x10)),
        (selector::SPARE, Fault::stack(selector::SPARE.into())),
    ] {
        let mut guest = guest(&[0x8E, 0xD0]);
        set_entry(&mut guest, selector::SPARE, crate::descriptor::Descriptor::FLAT_DATA.0 & !(1 << 47));
        guest.vcpu.frame.eax = selector.into();
        assert_eq!(protection_fault(&mut guest, selector.into()), Some(fault), "{selector:x}");
        assert_eq!(guest.vcpu.frame.ss, u32::from(selector::DATA | 1));
    }
}

#[test]
fn a_popped_stack_segment_takes_four_bytes() {
    // pop ss
    let mut guest = guest(&[0x17]);
    poke_words(&mut guest, place::STACK, &[selector::DATA.into()]);
    assert_eq!(protection_fault(&mut guest, selector::DATA.into()), None);
    assert_eq!((guest.vcpu.frame.esp, advanced(&guest)), (place::STACK + 4, 1));
}

#[test]
fn lss_loads_both() {
    // lss esp, [1234]
    let mut guest = guest(&[0x0F, 0xB2, 0x25, 0x34, 0x12, 0, 0]);
    poke(&mut guest, 0x1234, &[0x00, 0x00, 0x05, 0x00, 0x10, 0x00]);
    assert_eq!(protection_fault(&mut guest, selector::DATA.into()), None);
    assert_eq!((guest.vcpu.frame.esp, guest.vcpu.frame.ss, advanced(&guest)), (0x5_0000, 0x11, 7));
}

#[test]
fn a_stack_segment_and_its_pointer_are_loaded_without_an_interrupt_between() {
    // mov ss, ax; mov esp, ebx
    let mut guest = guest(&[0x8E, 0xD0, 0x89, 0xDC]);
    guest.vcpu.frame.eax = selector::DATA.into();
    guest.vcpu.interrupt_flag = true;
    raise_interrupt(&mut guest, 0x30);
    assert_eq!(protection_fault(&mut guest, selector::DATA.into()), None);
    guest.enter().unwrap();
    assert_eq!((advanced(&guest), guest.vcpu.frame.eflags & eflags::TRAP), (2, eflags::TRAP));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is executed, with whatever in the registers: the guest stays in its rings.
    #[test]
    fn no_instruction_leads_out_of_ring_1_and_3(
        in_user: bool,
        prefix in prop::option::of(prop::sample::select(vec![0x26u8, 0x2E, 0x36, 0x64, 0x66, 0x67, 0xF0, 0xF3])),
        two_bytes: bool,
        code in prop::collection::vec(any::<u8>(), 12),
        registers in prop::array::uniform8(prop_oneof![any::<u32>(), 0u32..0x10_0000, 0u32..0x100]),
        words in prop::collection::vec(prop_oneof![any::<u32>(), 0u32..0x60], 8),
        vector in prop::sample::select(vec![1u32, 3, 4, 6, 10, 11, 12, 13, 0xF0]),
        error_code in prop_oneof![Just(0u32), 0u32..0x800],
    ) {
        let mut bytes: Vec<u8> = prefix.into_iter().collect();
        if two_bytes {
            bytes.push(0x0F);
        }
        bytes.extend(code);
        let mut guest = if in_user { user(&bytes) } else { guest(&bytes) };
        for (number, value) in (0..8).zip(registers) {
            if number != 4 {
                *guest.vcpu.frame.register_mut(number) = value;
            }
        }
        let esp = guest.vcpu.frame.esp;
        poke_words(&mut guest, esp, &words);
        guest.vcpu.frame.vector = vector;
        guest.vcpu.frame.error_code = error_code;
        if guest.exit().is_ok() && guest.enter() == Ok(crate::run::Entry::Run) {
            let frame = &guest.vcpu.frame;
            prop_assert!(matches!(frame.cs & 3, 1 | 3) && frame.ss & 3 == frame.cs & 3);
            prop_assert_eq!(frame.eflags & (eflags::IOPL | eflags::VM | eflags::INTERRUPT), eflags::INTERRUPT);
            prop_assert_eq!(guest.vcpu.cr0 & 1, 1);
        }
    }

    #[test]
    fn no_store_leads_astray(code in prop::collection::vec(any::<u8>(), 15), registers in prop::array::uniform8(any::<u32>())) {
        let mut guest = guest(&code);
        for (number, value) in (0..8).zip(registers) {
            *guest.vcpu.frame.register_mut(number) = value;
        }
        let before = guest.vcpu.frame;
        if guest.emulate_store().is_err() {
            prop_assert_eq!(guest.vcpu.frame.eip, before.eip);
        }
    }
}
