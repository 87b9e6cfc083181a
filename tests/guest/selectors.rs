//! Selectors, the kernel's ring, and where a frame came from.

use paravirt_vmi::cpu::{Cr0, Cr4};
use paravirt_vmi::descriptor::{Selector, came_from_user};
use paravirt_vmi::mmu::LinearMappingSlot;

const VM: u32 = 1 << 17;

#[test]
fn a_frame_came_from_user_mode_if_its_rpl_is_3_or_vm_is_set_and_never_because_it_is_not_0() {
    for rpl in 0..4 {
        assert_eq!(came_from_user(0x08 | rpl, 0x202), rpl == 3, "RPL {rpl}");
        assert!(came_from_user(0x08 | rpl, 0x202 | VM), "RPL {rpl} with VM");
    }
}

#[test]
fn what_lies_beside_cs_in_its_word_does_not_count() {
    assert!(came_from_user(0xffff_001b, 0x2));
    assert!(!came_from_user(0xffff_0008, 0x2));
    assert!(!came_from_user(0x0001_0009, !VM));
}

#[test]
fn a_selector_keeps_its_entry_when_its_ring_changes() {
    let selector = Selector::gdt(5);
    assert_eq!((selector.0, selector.index(), selector.rpl(), selector.is_ldt()), (0x28, 5, 0, false));
    let in_ring_1 = selector.with_rpl(1);
    assert_eq!((in_ring_1.0, in_ring_1.index(), in_ring_1.rpl()), (0x29, 5, 1));
    assert!(selector.same_segment(in_ring_1));
    assert_eq!(in_ring_1.with_rpl(4), selector, "two bits count");
    let local = Selector::ldt(5).with_rpl(3);
    assert_eq!((local.0, local.index(), local.is_ldt()), (0x2f, 5, true));
    assert!(!local.same_segment(selector));
}

#[test]
fn the_null_selector_is_null_in_every_ring_and_entry_0_of_the_ldt_is_not() {
    for rpl in 0..4 {
        assert!(Selector::NULL.with_rpl(rpl).is_null());
        assert!(!Selector::ldt(0).with_rpl(rpl).is_null());
    }
}

#[test]
fn there_are_four_linear_mapping_slots() {
    let numbers: Vec<_> = (0..8).filter_map(LinearMappingSlot::new).map(LinearMappingSlot::number).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
}

#[test]
fn bits_of_control_registers_without_a_name_are_kept() {
    assert_eq!(Cr0::from_bits_retain(0x6005_003b).union(Cr0::PG).bits(), 0xe005_003b);
    assert_eq!((Cr4::from_bits_retain(0xffff_ffff) - Cr4::PGE).bits(), 0xffff_ff7f);
    assert_eq!(Cr4::from_bits_truncate(1 << 20).bits(), 1 << 20);
}
