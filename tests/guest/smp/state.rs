//! What a processor starts with, and where.

use paravirt_vmi::abi::DescriptorTableRegister;
use paravirt_vmi::cpu::Cr0;
use paravirt_vmi::descriptor::Selector;
use paravirt_vmi::smp::{ApStatePage, InitialState, StateError, TrampolinePage};
use zerocopy::IntoBytes;

use super::state;

#[test]
fn every_register_lies_where_the_structure_has_it() {
    let page = ApStatePage::new(&state()).unwrap();
    let bytes = page.state().as_bytes();
    let word = |offset: usize| u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap());
    let half = |offset: usize| u16::from_le_bytes(bytes[offset..offset + 2].try_into().unwrap());
    let words = [
        (0x00, 0x8005_0023),
        (0x04, 2),
        (0x08, 0x3000),
        (0x0c, 0x20),
        (0x10, 0x800),
        (0x14, 0),
        (0x18, 0xc010_0000),
        (0x1c, 6),
        (0x20, 10),
        (0x24, 11),
        (0x28, 12),
        (0x2c, 13),
        (0x30, 0xc020_0000),
        (0x34, 14),
        (0x38, 15),
        (0x3c, 16),
        (0x50, 0xc030_0000),
        (0x54, 0xc031_0000),
    ];
    for (offset, value) in words {
        assert_eq!(word(offset), value, "{offset:#x}");
    }
    let halves =
        [(0x40, 9), (0x42, 0x11), (0x44, 0x19), (0x46, 0x21), (0x48, 0x29), (0x4a, 0x31), (0x4c, 0x38)];
    for (offset, value) in halves.into_iter().chain([(0x4e, 0x3f), (0x58, 0x7ff)]) {
        assert_eq!(half(offset), value, "{offset:#x}");
    }
}

#[test]
fn a_page_of_state_begins_at_a_page() {
    let pages = [ApStatePage::new(&state()).unwrap(), ApStatePage::new(&state()).unwrap()];
    assert!(pages.iter().all(|page| (&raw const *page).addr() % 4096 == 0));
}

#[test]
fn a_state_in_which_no_processor_starts_is_refused() {
    type Case = (fn(&mut InitialState), &'static str);
    let cases: [Case; 11] = [
        (|s| s.cr0.remove(Cr0::PG), "CR0 00050023: PE and PG must be set"),
        (|s| s.cr0.remove(Cr0::PE), "CR0 80050022: PE and PG must be set"),
        (|s| s.efer |= 0x100, "EFER 900: LME and LMA must be clear"),
        (|s| s.efer |= 0x400, "EFER c00: LME and LMA must be clear"),
        (|s| s.eflags = 0x2_0000, "EFLAGS 00020000: VM must be clear"),
        (|s| s.cs = Selector(1), "a null selector in CS"),
        (|s| s.ss = Selector(3), "a null selector in SS"),
        (|s| s.ss = Selector(0x10), "CS 0009 and SS 0010: their rings differ"),
        (|s| s.gs = Selector(0x40), "GS 0040: the GDT has the limit 003f"),
        (|s| s.gdt = DescriptorTableRegister::new(0x0e, 0), "CS 0009: the GDT has the limit 000e"),
        (|s| s.ldt = Selector(0x0c), "LDTR 000c: the GDT has the limit 003f"),
    ];
    for (spoil, message) in cases {
        let mut state = state();
        spoil(&mut state);
        let error = ApStatePage::new(&state).unwrap_err();
        assert_eq!(error.to_string(), format!("a processor cannot start with {message}"));
        assert_eq!(state.to_ap_state(), Err(error));
    }
}

#[test]
fn a_new_state_lacks_what_only_the_caller_knows() {
    let error = InitialState::new(0, 0).to_ap_state().unwrap_err();
    assert_eq!(error, StateError::NullSelector { register: "CS" });
}

#[test]
fn data_segments_may_be_null_or_in_the_ldt() {
    let data = [Selector::NULL, Selector(2), Selector::ldt(0x1000)];
    for selector in data {
        let state = InitialState { ds: selector, gs: selector, ..state() };
        assert!(state.to_ap_state().is_ok(), "{selector:?}");
    }
}

#[test]
fn a_trampoline_page_is_one_that_real_mode_reaches_and_no_vector_reserves() {
    let vectors: Vec<_> = (0..0x200)
        .filter_map(|page| TrampolinePage::new(page << 12))
        .map(|page| u32::from(page.vector()))
        .collect();
    let expected: Vec<_> = (0..0xa0).chain(0xc0..0x100).collect();
    assert_eq!(vectors, expected);
    assert_eq!(TrampolinePage::new(0x8001), None);
}
