//! Control registers, model-specific registers, descriptor tables.

use super::*;
use crate::frame::eflags;
use crate::host::Flush;
use crate::vcpu::TableRegister;

/// `mov crN, eax` with a value.
fn set(control: u8, value: u32) -> (Guest<FakeHost>, Option<Fault>) {
    let mut guest = guest(&[0x0F, 0x22, 0xC0 | control << 3]);
    guest.vcpu.frame.eax = value;
    let fault = protection_fault(&mut guest, 0);
    (guest, fault)
}

#[test]
fn cr0_keeps_the_bits_that_it_has() {
    let (guest, fault) = set(0, 0x8005_002F);
    assert_eq!((fault, guest.vcpu.cr0, advanced(&guest)), (None, 0x8005_003F, 3));
    assert!(guest.host.flushes.contains(&Flush::All));
    let (guest, _) = set(0, 0x1FFA_FF11);
    assert_eq!(guest.vcpu.cr0, 0x11, "the others are ignored");
}

#[test]
fn protected_mode_cannot_be_left() {
    for value in [0, 0x8000_0000, 0x10] {
        let (guest, fault) = set(0, value);
        assert_eq!((fault, guest.vcpu.cr0), (Some(Fault::general_protection(0)), 0x11), "{value:x}");
        assert_eq!(guest.host.log.len(), usize::from(value & 1 << 31 == 0));
    }
    assert_eq!(set(0, 0x2000_0011).1, Some(Fault::general_protection(0)), "NW without CD");
}

#[test]
fn lmsw_cannot_clear_protection() {
    // lmsw ax
    let mut guest = guest(&[0x0F, 0x01, 0xF0]);
    guest.vcpu.frame.eax = 0xFFFE;
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(guest.vcpu.cr0, 0x1F);
    guest.vcpu.frame.eip = place::CODE;
    guest.vcpu.frame.eax = 0;
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(guest.vcpu.cr0, 0x11);
}

#[test]
fn clts_clears_one_bit() {
    let mut guest = guest(&[0x0F, 0x06]);
    guest.vcpu.cr0 = 0x3B;
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(guest.vcpu.cr0, 0x33);
}

#[test]
fn cr3_forgets_all_translations() {
    let (guest, fault) = set(3, 0x1234_5018);
    assert_eq!((fault, guest.vcpu.cr3), (None, 0x1234_5018));
    assert!(guest.host.flushes.contains(&Flush::All));
}

#[test]
fn cr4_has_the_bits_of_the_features_that_there_are() {
    let (guest, fault) = set(4, 0x7FF);
    assert_eq!((fault, guest.vcpu.cr4), (None, 0x7FF));
    for bit in 11..32 {
        let (guest, fault) = set(4, 1 << bit);
        assert_eq!((fault, guest.vcpu.cr4), (Some(Fault::general_protection(0)), 0), "{bit}");
    }
}

#[test]
fn a_control_register_that_does_not_exist_is_an_invalid_opcode() {
    for control in [1, 5, 6, 7] {
        assert_eq!(set(control, 0).1, Some(Fault::INVALID_OPCODE));
    }
}

#[test]
fn control_registers_are_read_as_they_were_set() {
    for (control, value) in [(0, 0x8005_0033), (2, 0x1234_5678), (3, 0x7000), (4, 0xB0)] {
        // mov crN, eax; mov ebx, crN
        let mut guest = guest(&[0x0F, 0x22, 0xC0 | control << 3, 0x0F, 0x20, 0xC3 | control << 3]);
        if control == 0 || control == 3 {
            // what paging needs: one large page that maps itself
            guest.vcpu.cr4 = 0x10;
            poke_words(&mut guest, 0x7000, &[0x83]);
            guest.vcpu.cr3 = 0x7000;
        }
        guest.vcpu.frame.eax = value;
        assert_eq!(protection_fault(&mut guest, 0), None);
        assert_eq!(protection_fault(&mut guest, 0), None);
        assert_eq!(guest.vcpu.frame.ebx, value, "CR{control}");
    }
}

#[test]
fn invlpg_forgets_one_page() {
    // invlpg [ebx + 8]
    let mut guest = guest(&[0x0F, 0x01, 0x7B, 0x08]);
    guest.vcpu.frame.ebx = 0x0040_1000;
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(guest.host.flushes, [Flush::Page(0x0040_1008)]);
}

#[test]
fn debug_registers_have_fixed_bits_and_two_names() {
    let mut guest = guest(&[]);
    guest.set_debug_register(7, !0).unwrap();
    assert_eq!(guest.debug_register(7), Err(Fault::DEBUG), "general detect");
    assert_eq!(guest.debug_register(5), Ok(0xFFFF_07FF));
    assert_eq!(guest.debug_register(6), Ok(0xFFFF_2FF0));
    guest.set_debug_register(4, 0).unwrap();
    assert_eq!(guest.debug_register(6), Ok(0xFFFF_0FF0));
    guest.vcpu.cr4 = 8;
    assert_eq!(guest.debug_register(4), Err(Fault::INVALID_OPCODE));
    assert_eq!(guest.debug_register(8), Err(Fault::INVALID_OPCODE));
}

#[test]
fn debug_registers_are_moved_by_their_instructions() {
    // mov dr3, ecx; mov esi, dr3
    let mut guest = guest(&[0x0F, 0x23, 0xD9, 0x0F, 0x21, 0xDE]);
    guest.vcpu.frame.ecx = 0x3000_0004;
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!((guest.vcpu.frame.esi, advanced(&guest)), (0x3000_0004, 6));
}

/// `wrmsr`, then `rdmsr`.
fn through_msr(number: u32, value: u64) -> Result<u64, Fault> {
    let mut guest = guest(&[0x0F, 0x30, 0x0F, 0x32]);
    let frame = &mut guest.vcpu.frame;
    (frame.ecx, frame.eax, frame.edx) = (number, value as u32, (value >> 32) as u32);
    if let Some(fault) = protection_fault(&mut guest, 0) {
        return Err(fault);
    }
    guest.vcpu.frame.eax = 0;
    assert_eq!(protection_fault(&mut guest, 0), None);
    Ok(u64::from(guest.vcpu.frame.edx) << 32 | u64::from(guest.vcpu.frame.eax))
}

#[test]
fn the_model_specific_registers_that_there_are_keep_their_values() {
    for (number, value) in [
        (0x174, 0x60),
        (0x175, 0xFEDC_BA98),
        (0x176, 0xC010_0000),
        (0x277, 0x0706_0400_0001_0406),
        (0xC000_0080, 1 << 11),
        (0x1B, 0xFEE0_0100),
    ] {
        assert_eq!(through_msr(number, value), Ok(value), "{number:x}");
    }
}

#[test]
fn other_model_specific_registers_and_values_are_refused() {
    let refused = Err(Fault::general_protection(0));
    for (number, value) in [
        (0x10, 0),
        (0x1B, 0xFED0_0900),
        (0x277, 2),
        (0x277, 8 << 56),
        (0xC000_0080, 1 << 8),
        (0xC000_0081, 0),
        (0, 0),
    ] {
        assert_eq!(through_msr(number, value), refused, "{number:x}");
    }
}

#[test]
fn the_time_stamp_counter_is_withheld_from_ring_3_if_the_kernel_says_so() {
    let mut kernel = guest(&[0x0F, 0x31]);
    let mut program = user(&[0x0F, 0x31]);
    for guest in [&mut kernel, &mut program] {
        guest.host.cycles = 0x1_2345_6789;
        guest.vcpu.cr4 = 1 << 2;
    }
    assert_eq!(protection_fault(&mut kernel, 0), None);
    assert_eq!((kernel.vcpu.frame.edx, kernel.vcpu.frame.eax), (1, 0x2345_6789));
    assert_eq!(protection_fault(&mut program, 0), Some(Fault::general_protection(0)));
}

#[test]
fn lgdt_and_lidt_take_limit_and_base() {
    // lgdt [1234], with 16 bits, and lidt [1234]
    let mut guest = guest(&[0x66, 0x0F, 0x01, 0x15, 0x34, 0x12, 0, 0, 0x0F, 0x01, 0x1D, 0x34, 0x12, 0, 0]);
    poke(&mut guest, 0x1234, &[0x7F, 0x00, 0x00, 0x10, 0x00, 0x40]);
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(guest.vcpu.gdt, TableRegister { base: place::GDT, limit: 0x7F });
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(guest.vcpu.idt, TableRegister { base: 0x4000_1000, limit: 0x7F });
    assert_eq!(advanced(&guest), 15);
}

#[test]
fn ltr_marks_the_segment_as_busy() {
    // ltr ax
    let mut guest = guest(&[0x0F, 0x00, 0xD8]);
    set_entry(&mut guest, selector::SPARE, 0x0000_8900_7000_0067);
    guest.vcpu.frame.eax = selector::SPARE.into();
    assert_eq!(protection_fault(&mut guest, 0), None);
    assert_eq!(guest.vcpu.task.selector, selector::SPARE);
    assert_eq!(guest.vcpu.task.table, TableRegister { base: 0x7000, limit: 0x67 });
    assert_eq!(peek(&guest, place::GDT + u32::from(selector::SPARE) + 4), 0x8B00);
    guest.vcpu.frame.eip = place::CODE;
    let busy = Fault::general_protection(selector::SPARE.into());
    assert_eq!(protection_fault(&mut guest, 0), Some(busy));
    // LAR shows the type
    guest.vcpu.exception = None;
    guest.enter().unwrap();
    assert_eq!(guest.host.descriptors[0][usize::from(selector::SPARE / 8)] >> 40 & 0x1F, 11);
}

#[test]
fn lldt_takes_local_tables_only() {
    // lldt ax
    let mut guest = guest(&[0x0F, 0x00, 0xD0]);
    set_entry(&mut guest, selector::SPARE, 0x0000_8200_7000_000F);
    poke(&mut guest, 0x7008, &crate::descriptor::Descriptor::FLAT_DATA.0.to_le_bytes());
    for (selector, fault) in [
        (selector::SPARE, None),
        (selector::DATA, Some(Fault::general_protection(0x10))),
        (selector::SPARE | 4, Some(Fault::general_protection(0x34))),
        (0, None),
    ] {
        guest.vcpu.frame.eip = place::CODE;
        guest.vcpu.frame.eax = selector.into();
        assert_eq!(protection_fault(&mut guest, 0), fault, "{selector:x}");
        guest.vcpu.exception = None;
        if fault.is_none() {
            guest.enter().unwrap();
            let present = guest.host.descriptors[1][1] >> 47 & 1;
            assert_eq!((guest.vcpu.ldt.selector, present), (selector, u64::from(selector != 0)));
        }
    }
}

#[test]
fn caches_and_counters() {
    let (guest, fault) = kernel(&[0x0F, 0x09]);
    assert_eq!((fault, advanced(&guest)), (None, 2));
    let (guest, fault) = kernel(&[0x0F, 0x08]);
    assert_eq!((fault, advanced(&guest)), (None, 2));
    let (guest, fault) = kernel(&[0x0F, 0x33]);
    assert_eq!((fault, advanced(&guest)), (Some(Fault::general_protection(0)), 0));
    assert_eq!(guest.vcpu.frame.eflags & eflags::ALWAYS, eflags::ALWAYS);
}
