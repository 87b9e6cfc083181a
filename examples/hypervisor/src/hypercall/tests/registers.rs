//! Calls of the processor's registers and tables.

use super::*;
use crate::vcpu::TableRegister;

#[test]
fn a_gdt_without_the_stack_segment_is_not_taken() {
    let mut guest = paravirtual();
    let before = guest.vcpu.gdt;
    poke(&mut guest, BUFFER, DescriptorTableRegister::new(0xF, place::GDT).as_bytes());
    let fault = call(&mut guest, Call::SET_GDT, &[BUFFER]);
    assert_eq!(fault, Some(Fault::general_protection(u32::from(selector::DATA))));
    assert_eq!(guest.vcpu.gdt, before);
    guest.enter().unwrap();
    assert_ne!(guest.vcpu.frame.ss & 0xFFFF, 0);
}

#[test]
fn a_gdt_is_loaded_with_every_segment_register() {
    let mut guest = paravirtual();
    let other = 0x8_0000;
    let entries = guest.host.memory[place::GDT as usize..][..8 * selector::ENTRIES as usize].to_vec();
    poke(&mut guest, other, &entries);
    let data = other + u32::from(selector::DATA);
    let high = peek(&guest, data + 4);
    poke_words(&mut guest, data + 4, &[high & !0x100]);
    guest.vcpu.frame.fs = 0x77;
    poke(
        &mut guest,
        BUFFER,
        DescriptorTableRegister::new(8 * selector::ENTRIES as u16 - 1, other).as_bytes(),
    );
    assert_eq!(call(&mut guest, Call::SET_GDT, &[BUFFER]), None);
    assert_eq!(guest.vcpu.gdt, TableRegister { base: other, limit: 8 * selector::ENTRIES - 1 });
    assert_eq!(peek(&guest, data + 4) & 0x100, 0x100, "the data segment is marked as used");
    assert_eq!(guest.vcpu.frame.fs & 0xFFFF, 0, "a segment that the table does not have becomes null");
}

#[test]
fn table_registers_are_stored_as_they_were_loaded() {
    let mut guest = paravirtual();
    poke(&mut guest, BUFFER, DescriptorTableRegister::new(0x3FF, 0x9_1234).as_bytes());
    call(&mut guest, Call::SET_IDT, &[BUFFER]);
    call(&mut guest, Call::GET_IDT, &[BUFFER + 16]);
    let image =
        |guest: &Guest<FakeHost>, at| [0, 1, 2, 3, 4, 5].map(|byte| guest.host.memory[(at + byte) as usize]);
    assert_eq!(image(&guest, BUFFER + 16), image(&guest, BUFFER));
    call(&mut guest, Call::GET_GDT, &[BUFFER]);
    assert_eq!(peek(&guest, BUFFER + 2), place::GDT);
    call(&mut guest, Call::GET_TR, &[]);
    assert_eq!(guest.vcpu.frame.eax, selector::TASK.into());
}

#[test]
fn an_entry_that_is_written_is_in_force() {
    let mut guest = paravirtual();
    guest.enter().unwrap();
    let index = u32::from(selector::SPARE / 8);
    let high = 0x00CF_9200;
    call(&mut guest, Call::WRITE_GDT_ENTRY, &[place::GDT, index, 0x1234_5678, high]);
    assert_eq!(peek(&guest, place::GDT + 8 * index), 0x1234_5678);
    guest.enter().unwrap();
    assert_eq!(guest.host.descriptors[0][index as usize] >> 45 & 3, 1, "in ring 1");
    call(&mut guest, Call::WRITE_IDT_ENTRY, &[BUFFER, 2, 3, 4]);
    assert_eq!((peek(&guest, BUFFER + 16), peek(&guest, BUFFER + 20)), (3, 4));
}

#[test]
fn control_registers_keep_what_they_are_given() {
    let mut guest = paravirtual();
    for (set, get, value) in [
        (Call::SET_CR0, Call::GET_CR0, 0x8005_0011_u32),
        (Call::SET_CR2, Call::GET_CR2, 0xFFFF_FFFC),
        (Call::SET_CR4, Call::GET_CR4, 0x90),
    ] {
        assert_eq!(call(&mut guest, set, &[value]), None);
        assert_eq!(first_result(&mut guest, get), value);
        guest.vcpu.cr0 = 0x11;
    }
    call(&mut guest, Call::SET_CR3, &[0x5000]);
    assert_eq!(first_result(&mut guest, Call::GET_CR3), 0x5000);
    guest.vcpu.cr0 |= 8;
    call(&mut guest, Call::CLTS, &[]);
    assert_eq!(guest.vcpu.cr0, 0x11);
}

/// The first result of a call without arguments, which is not read by way of the guest's stack: with paging on it
/// has none.
fn first_result(guest: &mut Guest<FakeHost>, get: Call) -> u32 {
    guest.carry_out(get, [0; 5]).unwrap()[0]
}

#[test]
fn debug_registers_that_do_not_exist_read_as_0() {
    let mut guest = paravirtual();
    for number in [4, 5, 8, 0x103] {
        assert_eq!(call(&mut guest, Call::SET_DR, &[number, 0x1234]), None);
        assert_eq!(call(&mut guest, Call::GET_DR, &[number]), None);
        assert_eq!(guest.vcpu.frame.eax, 0);
    }
    call(&mut guest, Call::SET_DR, &[3, 0x1234]);
    call(&mut guest, Call::GET_DR, &[3]);
    assert_eq!(guest.vcpu.frame.eax, 0x1234);
}

#[test]
fn model_specific_registers_are_those_of_the_instructions() {
    let mut guest = paravirtual();
    assert_eq!(call(&mut guest, Call::WRMSR, &[0x175, 0x1234_5678, 0]), None);
    assert_eq!(call(&mut guest, Call::RDMSR, &[0x175]), None);
    assert_eq!(result(&guest), 0x1234_5678);
    assert_eq!(call(&mut guest, Call::RDMSR, &[0x8000_1234]), Some(Fault::general_protection(0)));
}
