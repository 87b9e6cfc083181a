//! Tables that are followed, and registers that are loaded.

use super::*;
use crate::host::Flush;
use crate::paging::Privilege;
use crate::stop::Stop;
use crate::testing::*;
use crate::vcpu::TableRegister;

const PRESENT: u64 = 1 << 47;

fn shadow_of(guest: &Guest<FakeHost>, selector: u16) -> Descriptor {
    Descriptor(guest.host.descriptors[usize::from(selector >> 2 & 1)][usize::from(selector >> 3)])
}

#[test]
fn the_shadow_follows_the_table_as_far_as_its_limit() {
    let mut guest = guest(&[]);
    for selector in [selector::CODE, selector::USER_DATA] {
        assert_eq!(shadow_of(&guest, selector).0, shadow(guest.guest_descriptor(selector).unwrap().0));
    }
    guest.load_gdt(TableRegister { base: place::GDT, limit: 0x1E });
    guest.sync_descriptors();
    assert!(shadow_of(&guest, selector::DATA).is_present());
    assert!(!shadow_of(&guest, selector::USER_CODE).is_present(), "half of it is beyond the limit");
    assert_eq!(guest.guest_descriptor(selector::USER_CODE), None);
}

#[test]
fn entries_that_the_hypervisor_has_no_room_for_do_not_exist() {
    let mut guest = guest(&[]);
    guest.load_gdt(TableRegister { base: place::GDT, limit: 0xFFFF });
    guest.sync_descriptors();
    assert!(guest.guest_descriptor(511 * 8).is_some());
    assert_eq!(guest.guest_descriptor(512 * 8), None);
    assert_eq!(guest.guest_descriptor(START_CODE), Some(Descriptor::FLAT_CODE));
}

#[test]
fn a_table_that_is_not_there_is_empty() {
    let mut guest = guest(&[]);
    guest.load_gdt(TableRegister { base: 0xFFC0_4000, limit: 0x7F });
    guest.sync_descriptors();
    assert!(guest.host.descriptors[0].iter().all(|entry| !Descriptor(*entry).is_present()));
    assert!(!guest.is_descriptor_frame(place::GDT.into()));
}

#[test]
fn a_table_that_ends_in_a_page_that_is_not_there_is_read_up_to_it() {
    let mut guest = guest(&[]);
    let base = MEMORY - 32;
    for index in 0..4 {
        poke(&mut guest, base + 8 * index, &Descriptor::FLAT_DATA.0.to_le_bytes());
    }
    guest.load_gdt(TableRegister { base, limit: 0x7F });
    guest.sync_descriptors();
    assert!(shadow_of(&guest, 0x18).is_present());
    assert!(!shadow_of(&guest, 0x20).is_present());
}

#[test]
fn each_frame_of_a_table_is_watched_and_forgotten_once() {
    let mut guest = guest(&[]);
    assert!(guest.is_descriptor_frame(0x1FFC) && !guest.is_descriptor_frame(0x2000));
    guest.load_gdt(TableRegister { base: 0x7FF8, limit: 0x7F });
    guest.sync_descriptors();
    assert!(guest.is_descriptor_frame(0x7000) && guest.is_descriptor_frame(0x8000));
    assert!(!guest.is_descriptor_frame(0x1000));
    assert_eq!(guest.host.flushes, [Flush::All], "other frames were mapped writable");
    guest.descriptors_changed();
    guest.sync_descriptors();
    assert_eq!(guest.host.flushes.len(), 1);
}

#[test]
fn segments_are_loaded_anew_and_marked() {
    let mut guest = guest(&[]);
    const ACCESSED: u64 = 1 << 40;
    for selector in [selector::CODE, selector::DATA, selector::SPARE] {
        let entry = guest.guest_descriptor(selector).unwrap();
        set_entry(&mut guest, selector, entry.0 & !ACCESSED);
    }
    set_entry(&mut guest, selector::SPARE, Descriptor::FLAT_DATA.0 & !ACCESSED);
    guest.vcpu.frame.es = selector::SPARE.into();
    guest.vcpu.frame.fs = 0x78;
    guest.vcpu.frame.gs = 0;
    guest.reload_segments().unwrap();
    for selector in [selector::CODE, selector::DATA, selector::SPARE] {
        assert_ne!(peek(&guest, place::GDT + u32::from(selector) + 4) & 1 << 8, 0, "{selector:x}");
    }
    let frame = &guest.vcpu.frame;
    assert_eq!((frame.ds, frame.es), (selector::DATA.into(), selector::SPARE.into()));
    assert_eq!((frame.fs, frame.gs), (0, 0), "there is no such segment");
}

#[test]
fn segments_cannot_be_loaded_anew_without_code_and_stack() {
    for selector in [selector::CODE, selector::DATA] {
        let mut guest = guest(&[]);
        set_entry(&mut guest, selector, 0);
        assert_eq!(guest.reload_segments(), Err(Fault::general_protection(selector.into())));
    }
}

#[test]
fn a_data_segment_that_is_gone_becomes_null_on_the_way_in() {
    let mut guest = guest(&[]);
    set_entry(&mut guest, selector::SPARE, Descriptor::FLAT_DATA.0);
    guest.vcpu.frame.ds = selector::SPARE.into();
    guest.enter().unwrap();
    assert_eq!(guest.vcpu.frame.ds, selector::SPARE.into());
    for gone in [0, Descriptor::FLAT_DATA.0 & !PRESENT, 0x0000_8900_0000_0067] {
        guest.vcpu.frame.ds = selector::SPARE.into();
        set_entry(&mut guest, selector::SPARE, gone);
        guest.enter().unwrap();
        assert_eq!(guest.vcpu.frame.ds, 0);
    }
}

#[test]
fn a_guest_without_code_or_stack_is_stopped() {
    for (selector, value) in [(selector::CODE, 0x09), (selector::DATA, 0x11)] {
        let mut guest = guest(&[]);
        set_entry(&mut guest, selector, 0);
        let Err(Stop::Refused { value: found, eip, .. }) = guest.enter() else {
            panic!("it goes on");
        };
        assert_eq!((found, eip), (value, place::CODE));
    }
}

#[test]
fn a_segment_that_was_put_into_the_hypervisor_ends_below_it() {
    let mut guest = guest(&[]);
    // base FFC00FF0
    set_entry(&mut guest, selector::SPARE, 0xFFCF_93C0_0FF0_FFFF);
    let entry = shadow_of(&guest, selector::SPARE);
    assert_eq!((entry.base(), entry.limit()), (0xFFC0_0FF0, 0xF));
    guest.vcpu.frame.fs = selector::SPARE.into();
    let at = |offset| guest.segment_address(Segment::Fs, offset, 4, Intent::Read);
    assert_eq!(at(12), Ok(0xFFC0_0FFC));
    assert_eq!(at(13), Err(Fault::general_protection(0)));
}

#[test]
fn an_access_that_the_segment_does_not_allow_is_refused() {
    let mut guest = guest(&[]);
    let refused = Err(Fault::general_protection(0));
    set_entry(&mut guest, selector::SPARE, Descriptor::FLAT_DATA.0 & !(1 << 41));
    guest.vcpu.frame.fs = selector::SPARE.into();
    assert_eq!(guest.segment_address(Segment::Fs, 8, 4, Intent::Read), Ok(8));
    assert_eq!(guest.segment_address(Segment::Fs, 8, 4, Intent::Write), refused);
    assert_eq!(guest.segment_address(Segment::Gs, 8, 4, Intent::Read), refused, "null");
    assert_eq!(guest.segment_address(Segment::Cs, 8, 4, Intent::Write), refused);
    guest.vcpu.frame.ss = 0;
    assert_eq!(guest.segment_address(Segment::Ss, 8, 4, Intent::Write), Err(Fault::stack(0)));
}

#[test]
fn a_descriptor_that_the_hypervisor_writes_is_seen() {
    let mut guest = guest(&[]);
    let address = place::GDT + u32::from(selector::SPARE);
    guest.write_linear(address, &Descriptor::FLAT_DATA.0.to_le_bytes(), Privilege::Supervisor).unwrap();
    guest.sync_descriptors();
    assert!(shadow_of(&guest, selector::SPARE).is_present());
}

#[test]
fn the_code_of_ring_3_is_hidden_from_a_kernel_that_does_not_know_its_ring() {
    let mut guest = guest(&[]);
    let local = selector::SPARE;
    set_entry(&mut guest, local, 0x0000_8200_7000_000F);
    poke(&mut guest, 0x7008, &(Descriptor::FLAT_CODE.0 | 3 << 45).to_le_bytes());
    guest.load_ldt(local).unwrap();
    let shown = |guest: &Guest<FakeHost>| {
        [selector::USER_CODE, 0x0F].map(|selector| shadow_of(guest, selector).is_present())
    };
    guest.enter().unwrap();
    assert_eq!(shown(&guest), [false; 2]);
    assert!(
        shadow_of(&guest, selector::CODE).is_present() && shadow_of(&guest, selector::USER_DATA).is_present()
    );
    // a table that is read again is hidden again
    set_entry(&mut guest, selector::USER_CODE, Descriptor::FLAT_CODE.0 | 3 << 45 | 1 << 52);
    guest.enter().unwrap();
    assert_eq!(shown(&guest), [false; 2]);
    // ring 3 needs it
    let kernel = guest.vcpu.frame;
    guest.vcpu.frame.cs = selector::USER_CODE.into();
    guest.vcpu.frame.ss = selector::USER_DATA.into();
    guest.enter().unwrap();
    assert_eq!(shown(&guest), [true; 2]);
    // so does a kernel that reads it
    guest.vcpu.frame = kernel;
    guest.vcpu.frame.fs = selector::USER_CODE.into();
    guest.enter().unwrap();
    assert_eq!((shown(&guest), guest.vcpu.frame.fs), ([true; 2], selector::USER_CODE.into()));
    guest.vcpu.frame.fs = 0;
    guest.enter().unwrap();
    assert_eq!(shown(&guest), [false; 2]);
    guest.vcpu.mode = crate::vcpu::Mode::Paravirtual;
    guest.enter().unwrap();
    assert_eq!(shown(&guest), [true; 2]);
}
