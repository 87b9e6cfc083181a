//! The order of things on the way in, and what the way out does first.

use super::*;
use crate::descriptor::Descriptor;
use crate::host::Flush;
use crate::testing::*;

const TRAP: u32 = eflags::TRAP;

/// Leaves the guest by a vector.
fn leave(guest: &mut Guest<FakeHost>, vector: u8) {
    guest.vcpu.frame.vector = vector.into();
    guest.exit().unwrap();
}

#[test]
fn a_masked_interrupt_waits_and_the_rom_is_told() {
    let mut guest = guest(&[]);
    assert_eq!(guest.enter(), Ok(Entry::Run));
    assert!(!guest.vcpu.interrupt_pending);
    raise_interrupt(&mut guest, 0x30);
    assert_eq!(guest.enter(), Ok(Entry::Run));
    assert!(guest.vcpu.interrupt_pending);
    assert_eq!(guest.vcpu.frame.eip, place::CODE);
    guest.vcpu.interrupt_flag = true;
    assert_eq!(guest.enter(), Ok(Entry::Run));
    assert_eq!(guest.vcpu.frame.eip, handler(0x30));
    assert!(!guest.vcpu.interrupt_pending);
}

#[test]
fn trap_gates_let_one_interrupt_after_the_other_in() {
    let mut guest = guest(&[]);
    guest.vcpu.interrupt_flag = true;
    for (port, value) in [(0x20, 0x11), (0x21, 0xC0), (0x21, 4), (0x21, 1)] {
        guest.board.pic.write(port, value);
    }
    guest.board.pic.pulse(1);
    raise_interrupt(&mut guest, 0xF0);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(0xF0));
    let [return_to, _, flags] = stack(&guest);
    assert_eq!((return_to, flags & eflags::INTERRUPT), (handler(0xC1), eflags::INTERRUPT));
    assert!(!guest.vcpu.interrupt_pending);
}

#[test]
fn ring_3_cannot_mask_an_interrupt() {
    let mut guest = user(&[]);
    guest.vcpu.interrupt_flag = false;
    raise_interrupt(&mut guest, 0x30);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(0x30));
}

#[test]
fn an_exception_comes_before_an_interrupt() {
    let mut guest = guest(&[]);
    guest.vcpu.interrupt_flag = true;
    guest.vcpu.exception = Some(Fault::INVALID_OPCODE);
    raise_interrupt(&mut guest, 0x30);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(6), "the interrupt gate of the exception masks it");
    assert!(guest.vcpu.interrupt_pending);
    assert_eq!(peek(&guest, guest.vcpu.frame.esp), place::CODE);
}

#[test]
fn the_real_flags_are_those_of_a_guest() {
    let mut guest = guest(&[]);
    guest.vcpu.frame.eflags = !TRAP;
    guest.enter().unwrap();
    let flags = guest.vcpu.frame.eflags;
    assert_eq!(flags & (eflags::IOPL | eflags::VM | 3 << 19), 0);
    assert_ne!(flags & eflags::INTERRUPT, 0);
}

#[test]
fn the_instruction_behind_sti_is_done_before_an_interrupt() {
    // sti; nop; nop
    let mut guest = guest(&[0xFB, 0x90, 0x90]);
    raise_interrupt(&mut guest, 0x30);
    assert_eq!(protection_fault(&mut guest, 0), None);
    guest.enter().unwrap();
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.frame.eflags & TRAP), (place::CODE + 1, TRAP));
    // a page fault of the hypervisor's own does not end the shadow
    leave(&mut guest, 0x20);
    assert_eq!(guest.vcpu.frame.eflags & TRAP, 0);
    guest.enter().unwrap();
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.frame.eflags & TRAP), (place::CODE + 1, TRAP));
    guest.vcpu.frame.eip += 1;
    leave(&mut guest, vector::DEBUG);
    assert_eq!(guest.vcpu.exception, None);
    guest.enter().unwrap();
    assert_eq!((guest.vcpu.frame.eip, guest.vcpu.frame.eflags & TRAP), (handler(0x30), 0));
    assert_eq!(stack(&guest), [place::CODE + 2, 8, eflags::ALWAYS | eflags::INTERRUPT]);
}

#[test]
fn nothing_is_traced_behind_sti_if_nothing_waits() {
    let mut guest = guest(&[0xFB, 0x90]);
    assert_eq!(protection_fault(&mut guest, 0), None);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eflags & TRAP, 0);
    guest.vcpu.frame.eip += 1;
    leave(&mut guest, 0x20);
    raise_interrupt(&mut guest, 0x30);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(0x30));
}

#[test]
fn sti_cli_lets_no_interrupt_in() {
    let mut guest = guest(&[0xFB, 0xFA]);
    raise_interrupt(&mut guest, 0x30);
    assert_eq!(protection_fault(&mut guest, 0), None);
    guest.enter().unwrap();
    assert_eq!(protection_fault(&mut guest, 0), None);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, place::CODE + 2);
    assert!(guest.vcpu.interrupt_pending);
}

#[test]
fn pushf_behind_sti_does_not_show_the_trap_flag() {
    // sti; pushfd; nop
    let mut guest = guest(&[0xFB, 0x9C, 0x90]);
    raise_interrupt(&mut guest, 0x30);
    assert_eq!(protection_fault(&mut guest, 0), None);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(0x30));
    assert_eq!(stack::<4>(&guest)[0], place::CODE + 2);
    assert_eq!(stack::<4>(&guest)[3], eflags::ALWAYS | eflags::INTERRUPT);
}

#[test]
fn popf_behind_sti_loads_the_trap_flag() {
    let mut guest = guest(&[0xFB, 0x9D]);
    raise_interrupt(&mut guest, 0x30);
    assert_eq!(protection_fault(&mut guest, 0), None);
    guest.enter().unwrap();
    // the processor has loaded a set flag
    guest.vcpu.frame.eip += 1;
    leave(&mut guest, vector::DEBUG);
    assert_eq!(guest.vcpu.exception, None);
    assert_eq!(guest.vcpu.frame.eflags & TRAP, TRAP);
}

#[test]
fn a_guest_that_traces_itself_gets_the_debug_exception() {
    let mut guest = guest(&[0x90]);
    guest.vcpu.frame.eflags |= TRAP;
    guest.enter().unwrap();
    guest.vcpu.frame.eip += 1;
    leave(&mut guest, vector::DEBUG);
    assert_eq!((guest.vcpu.exception, guest.vcpu.debug[6] & 1 << 14), (Some(Fault::DEBUG), 1 << 14));
}

#[test]
fn a_write_to_a_descriptor_is_traced_and_seen() {
    let mut guest = guest(&[0x89, 0x03]);
    guest.vcpu.frame.ebx = place::GDT + u32::from(selector::SPARE);
    guest.enter().unwrap();
    assert!(guest.is_descriptor_frame(place::GDT.into()));
    guest.vcpu.fault_address = guest.vcpu.frame.ebx;
    guest.vcpu.frame.error_code = 3;
    guest.host.flushes.clear();
    leave(&mut guest, vector::PAGE_FAULT);
    assert_eq!(guest.vcpu.exception, None);
    let (linear, mapping) = *guest.host.maps.last().unwrap();
    assert!(linear / 4096 == place::GDT / 4096 && mapping.writable);
    guest.enter().unwrap();
    assert_ne!(guest.vcpu.frame.eflags & TRAP, 0);
    // the processor does it
    poke(&mut guest, place::GDT + u32::from(selector::SPARE), &Descriptor::FLAT_DATA.0.to_le_bytes());
    guest.vcpu.frame.eip += 2;
    leave(&mut guest, vector::DEBUG);
    assert_eq!((guest.vcpu.exception, guest.vcpu.frame.eflags & TRAP), (None, 0));
    assert_eq!(guest.host.flushes, [Flush::Page(place::GDT + u32::from(selector::SPARE))]);
    guest.enter().unwrap();
    let shadow = guest.host.descriptors[0][usize::from(selector::SPARE / 8)];
    assert!(Descriptor(shadow).is_present());
    assert_eq!(guest.vcpu.frame.eflags & TRAP, 0);
}

/// A guest with a ROM that is mapped at 8CC000, and whose EIP is at an offset in it.
fn in_rom(offset: u32) -> Guest<FakeHost> {
    let mut guest = guest(&[]);
    guest.windows =
        crate::rom::Windows { iret_start: 0x1100, iret_asked: 0x1110, iret_or: 0x1120, iret_end: 0x1121 };
    guest.vcpu.cr4 = 0x10;
    guest.vcpu.cr0 |= 1 << 31;
    guest.vcpu.cr3 = 0x8000;
    poke_words(&mut guest, 0x8000, &[0x83, 0, 0x83]);
    guest.descriptors_changed();
    guest.vcpu.interrupt_flag = true;
    guest.vcpu.frame.eip = 0x80_0000 + ROM + offset;
    guest
}

#[test]
fn an_interrupt_in_the_roms_window_begins_it_anew() {
    for (offset, start, flag) in [
        (0x10FF, 0x10FF, true),
        (0x1100, 0x1100, true),
        (0x1105, 0x1100, true),
        (0x1120, 0x1100, false),
        (0x1121, 0x1121, true),
        (0x0120, 0x0120, true),
    ] {
        let mut guest = in_rom(offset);
        leave(&mut guest, 0x20);
        assert_eq!(guest.vcpu.frame.eip, 0x80_0000 + ROM + start, "{offset:x}");
        assert_eq!(guest.vcpu.interrupt_flag, flag, "{offset:x}");
    }
}

#[test]
fn a_fault_in_the_roms_window_takes_the_flag_back_and_stays() {
    let mut guest = in_rom(0x1120);
    leave(&mut guest, vector::SEGMENT_NOT_PRESENT);
    assert_eq!(guest.vcpu.frame.eip, 0x80_0000 + ROM + 0x1120);
    assert!(!guest.vcpu.interrupt_flag);
}

#[test]
fn other_code_at_the_same_place_in_a_page_is_left_alone() {
    let mut guest = in_rom(0x1120);
    guest.vcpu.frame.eip = 0x80_0000 + place::CODE + 0x120;
    leave(&mut guest, 0x20);
    assert_eq!(guest.vcpu.frame.eip, 0x80_0000 + place::CODE + 0x120);
    assert!(guest.vcpu.interrupt_flag);
}

#[test]
fn virtual_8086_mode_stops_the_guest() {
    let mut guest = guest(&[]);
    guest.vcpu.frame.eflags |= eflags::VM;
    guest.vcpu.frame.vector = 0x20;
    assert!(matches!(guest.exit(), Err(Stop::Refused { what: "virtual-8086 mode", .. })));
}

#[test]
fn exceptions_of_the_guests_own_are_given_to_it() {
    for (vector, code) in [(0, None), (6, None), (7, None), (16, None), (17, Some(0)), (19, None)] {
        let mut guest = user(&[0x90]);
        leave(&mut guest, vector);
        assert_eq!(guest.vcpu.exception, Some(Fault { vector, error_code: code, address: None }));
    }
}
