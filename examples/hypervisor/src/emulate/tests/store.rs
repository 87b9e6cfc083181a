//! Stores to what is not memory.

use super::*;
use crate::device::apic::register;
use crate::frame::eflags;
use crate::layout::{LOCAL_APIC, ROM, SHARED, shared};

/// The kernel's store; without paging the linear address is the physical one.
fn store(code: &[u8], prepare: impl FnOnce(&mut Guest<FakeHost>)) -> Guest<FakeHost> {
    let mut guest = guest(code);
    prepare(&mut guest);
    assert_eq!(guest.emulate_store(), Ok(()));
    guest
}

#[test]
fn a_store_to_the_apic_sets_its_register() {
    let mut code = vec![0xC7, 0x05];
    code.extend((LOCAL_APIC + u32::from(register::TASK_PRIORITY)).to_le_bytes());
    code.extend(0x20_u32.to_le_bytes());
    let guest = store(&code, |_| ());
    assert_eq!(guest.board.apic.read(register::TASK_PRIORITY), 0x20);
    assert!(guest.host.apic.contains(&(register::TASK_PRIORITY, 0x20)));
    assert_eq!(advanced(&guest), 10);
}

#[test]
fn an_exchange_with_the_apic_gives_the_old_value() {
    // xchg [ebx], ecx
    let guest = store(&[0x87, 0x0B], |guest| {
        guest.board.apic.write(register::TASK_PRIORITY, 0x30);
        guest.vcpu.frame.ebx = 0x1234;
        poke_words(guest, 0x1234, &[0x55]);
        guest.vcpu.frame.ecx = 0x40;
    });
    assert_eq!((guest.vcpu.frame.ecx, peek(&guest, 0x1234)), (0x55, 0x40));
}

#[test]
fn a_store_to_the_rom_is_lost() {
    // mov [ebx], ah; mov [moffs], ax
    for code in [&[0x88, 0x23][..], &[0x66, 0xA3, 0x00, 0xC0, 0x0C, 0x00]] {
        let guest = store(code, |guest| {
            guest.vcpu.frame.ebx = ROM;
            guest.vcpu.frame.eax = 0x1234;
        });
        assert_eq!(guest.host.rom[..2], [0, 0]);
        assert_eq!(advanced(&guest), code.len() as u32);
    }
}

#[test]
fn a_store_to_a_hole_is_lost() {
    let guest = store(&[0x89, 0x03], |guest| guest.vcpu.frame.ebx = 0xE_0000);
    assert_eq!(advanced(&guest), 2);
}

#[test]
fn a_repeated_store_is_done_one_at_a_time() {
    // rep stosd
    let mut guest = store(&[0xF3, 0xAB], |guest| {
        guest.vcpu.frame.edi = ROM - 4;
        guest.vcpu.frame.ecx = 2;
    });
    assert_eq!((guest.vcpu.frame.edi, guest.vcpu.frame.ecx, advanced(&guest)), (ROM, 1, 0));
    guest.emulate_store().unwrap();
    assert_eq!((guest.vcpu.frame.edi, guest.vcpu.frame.ecx, advanced(&guest)), (ROM + 4, 0, 2));
}

#[test]
fn a_move_goes_downwards_with_the_direction_flag() {
    // movsw
    let guest = store(&[0x66, 0xA5], |guest| {
        guest.vcpu.frame.eflags |= eflags::DIRECTION;
        guest.vcpu.frame.esi = 0x1234;
        guest.vcpu.frame.edi = 0x2234;
        poke_words(guest, 0x1234, &[0xAABB_CCDD]);
    });
    assert_eq!((guest.vcpu.frame.esi, guest.vcpu.frame.edi), (0x1232, 0x2232));
    assert_eq!(peek(&guest, 0x2234) & 0xFFFF, 0xCCDD);
}

#[test]
fn another_instruction_is_refused() {
    // add [ebx], eax
    let mut guest = guest(&[0x01, 0x03]);
    guest.vcpu.frame.ebx = ROM;
    assert_eq!(guest.emulate_store(), Err(Fault::general_protection(0)));
    assert_eq!(guest.host.log.len(), 1);
}

#[test]
fn a_store_outside_its_segment_faults() {
    let mut guest = guest(&[0x89, 0x03]);
    guest.vcpu.frame.ebx = 0xFFC0_1000;
    assert_eq!(guest.emulate_store(), Err(Fault::general_protection(0)));
    guest.vcpu.frame.ds = 0;
    guest.vcpu.frame.ebx = ROM;
    assert_eq!(guest.emulate_store(), Err(Fault::general_protection(0)));
}

#[test]
fn a_store_beside_the_virtual_flag_leaves_it_as_it_is() {
    for offset in [0, 2, 3, shared::PENDING] {
        for interrupt_flag in [false, true] {
            // mov byte ptr [ebx], ch
            let guest = store(&[0x88, 0x2B], |guest| {
                guest.vcpu.interrupt_flag = interrupt_flag;
                guest.vcpu.frame.ebx = SHARED + shared::FLAG + offset;
                guest.vcpu.frame.ecx = 0;
            });
            assert_eq!(guest.vcpu.interrupt_flag, interrupt_flag, "offset {offset}");
        }
    }
}
