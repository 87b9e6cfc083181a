//! The page that the ROM shares with the hypervisor: what becomes of a store while an interrupt waits.

use crate::fault::{Fault, vector};
use crate::guest::Guest;
use crate::layout::{LAST_ADDRESS, PAGE_SIZE, SHARED, shared};
use crate::paging::code;
use crate::testing::*;

const FLAG: u32 = SHARED + shared::FLAG;
/// A store of ring 1 to a page that is read-only.
const STORE: u32 = code::PRESENT | code::WRITE;

/// The bytes of `mov byte ptr ss:[address], value`.
fn store(address: u32, value: u8) -> Vec<u8> {
    [&[0x36, 0xC6, 0x05][..], &address.to_le_bytes(), &[value]].concat()
}

/// A guest that executes `code`, with an interrupt that waits, and masked or not.
fn waiting(code: &[u8], interrupt_flag: bool) -> Guest<FakeHost> {
    let mut guest = guest(code);
    guest.vcpu.interrupt_flag = false;
    raise_interrupt(&mut guest, 0x30);
    guest.enter().unwrap();
    assert!(guest.vcpu.has_masked_interrupt());
    guest.vcpu.interrupt_flag = interrupt_flag;
    guest
}

/// The guest is left for a page fault at an address; the exception that it gets.
fn fault(guest: &mut Guest<FakeHost>, address: u32, error_code: u32) -> Option<Fault> {
    guest.vcpu.frame.vector = vector::PAGE_FAULT.into();
    guest.vcpu.frame.error_code = error_code;
    guest.vcpu.fault_address = address;
    guest.exit().unwrap();
    guest.vcpu.exception
}

#[test]
fn the_store_that_unmasks_delivers_what_waits_behind_it() {
    let code = store(FLAG + 1, 2);
    let mut guest = waiting(&code, false);
    let eip = guest.vcpu.frame.eip;
    assert_eq!(fault(&mut guest, FLAG + 1, STORE), None);
    assert!(guest.vcpu.interrupt_flag);
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.eip, handler(0x30));
    let [return_to, _, flags, _] = stack(&guest);
    assert_eq!((return_to, flags & 0x200), (eip + code.len() as u32, 0x200));
    assert!(!guest.vcpu.has_masked_interrupt(), "it is masked, and nothing waits any more");
}

#[test]
fn a_store_that_masks_once_more_is_carried_out_and_nothing_is_delivered() {
    let mut guest = waiting(&store(FLAG + 1, 0), false);
    assert_eq!(fault(&mut guest, FLAG + 1, STORE), None);
    guest.enter().unwrap();
    assert_eq!(advanced(&guest), 8);
    assert!(!guest.vcpu.interrupt_flag && guest.vcpu.has_masked_interrupt());
}

#[test]
fn a_store_to_the_flag_counts_by_its_bit_9() {
    // mov dword ptr ss:[FLAG], imm32
    for (value, enabled) in [(0x200_u32, true), (!0x200, false), (!0, true), (0, false)] {
        let code = [&[0x36, 0xC7, 0x05][..], &FLAG.to_le_bytes(), &value.to_le_bytes()].concat();
        let mut guest = waiting(&code, false);
        assert_eq!(fault(&mut guest, FLAG, STORE), None);
        assert_eq!((guest.vcpu.interrupt_flag, advanced(&guest)), (enabled, 11), "{value:08x}");
    }
}

#[test]
fn a_store_elsewhere_in_the_page_changes_nothing() {
    for address in [FLAG, FLAG + 2, FLAG + 3, SHARED + shared::PENDING + 1, LAST_ADDRESS] {
        let mut guest = waiting(&store(address, 0xFF), false);
        assert_eq!(fault(&mut guest, address, STORE), None);
        assert_eq!((guest.vcpu.interrupt_flag, advanced(&guest)), (false, 8), "{address:08x}");
        guest.enter().unwrap();
        assert!(guest.vcpu.has_masked_interrupt());
    }
}

#[test]
fn other_accesses_to_the_top_are_the_guests_own_faults() {
    let code = store(FLAG + 1, 2);
    for (address, error_code, interrupt_flag) in [
        // nothing is masked, so that the page can be written
        (FLAG + 1, STORE, true),
        // a load, a fetch, and ring 3
        (FLAG + 1, code::PRESENT, false),
        (FLAG + 1, code::PRESENT | code::FETCH, false),
        (FLAG + 1, STORE | code::USER, false),
        // behind the page
        (SHARED + PAGE_SIZE, STORE, false),
    ] {
        let mut guest = waiting(&code, interrupt_flag);
        assert_eq!(fault(&mut guest, address, error_code), Some(Fault::page(error_code, address)));
        assert_eq!(guest.vcpu.interrupt_flag, interrupt_flag);
    }
}

#[test]
fn an_instruction_that_is_no_plain_store_is_refused() {
    // or byte ptr ss:[FLAG + 1], 2
    let code = [&[0x36, 0x80, 0x0D][..], &(FLAG + 1).to_le_bytes(), &[2]].concat();
    let mut guest = waiting(&code, false);
    assert_eq!(fault(&mut guest, FLAG + 1, STORE), Some(Fault::general_protection(0)));
    assert!(!guest.vcpu.interrupt_flag);
}
