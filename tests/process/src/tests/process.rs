//! That this is what it is said to be: a 32-bit process with the hypervisor's ROM in it.
//!
//! # Safety
//!
//! The ROM is the hypervisor's own, and the monitor carries out what needs another ring.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::SeqCst;

use paravirt_vmi::abi::header::ROM_INIT_OFFSET;
use paravirt_vmi::boot::{self, Backend, NativeReason, Options};
use vmi_hypervisor::layout::{HYPERCALL_INIT, ROM, SHARED, shared};
use vmi_hypervisor::rom::Leave;

use super::tests;
use crate::guest::{self, Kernel};
use crate::machine::{SharedPage, Text, Window};
use crate::{monitor, sites};

tests![
    pointers_have_32_bits_and_this_is_ring_3,
    the_shared_page_is_where_the_rom_looks_for_it,
    the_rom_in_the_window_is_found_and_initialised_once,
    a_kernel_that_is_told_to_stay_native_leaves_the_rom_alone,
    the_self_test_of_the_guest_crate_passes,
];

fn pointers_have_32_bits_and_this_is_ring_3() {
    assert_eq!(size_of::<usize>(), 4);
    assert_eq!(size_of::<*const u8>(), 4);
    for selector in sites::selectors() {
        assert_eq!(selector & 3, 3);
    }
    // In a process of 64 bits the same bytes are another instruction: `dec eax` is a prefix there.
    let value: u32;
    // SAFETY: changes EAX alone.
    unsafe { std::arch::asm!("mov eax, 7", ".byte 0x48, 0x90", out("eax") value) };
    assert_eq!(value, 6);
}

fn the_shared_page_is_where_the_rom_looks_for_it() {
    // Nothing has been unmasked yet.
    let words = [shared::FLAG, shared::PENDING, shared::USER_CODE];
    for (number, offset) in (1..).zip(words) {
        let of_guest = std::ptr::with_exposed_provenance::<u32>((SHARED + offset) as usize);
        SharedPage::word(offset).store(number, SeqCst);
        // SAFETY: the page is mapped.
        assert_eq!(unsafe { of_guest.read_volatile() }, number);
        SharedPage::word(offset).store(0, SeqCst);
    }
}

fn the_rom_in_the_window_is_found_and_initialised_once() {
    let kernel = Kernel::boot(Leave::ByCall);
    assert_eq!(kernel.vmi.rom.address(), ROM);
    assert_eq!(kernel.vmi.rom.product(), Some(c"VMI 3.0 hypervisor"));
    assert_eq!(kernel.vmi.kernel_ring, 3);
    assert_eq!(monitor::hypercalls(HYPERCALL_INIT), 1);
    assert_eq!(
        monitor::exits(),
        monitor::Exits { hypercalls: 1, stores: 0, traps: 0 },
        "relocations need no exit"
    );
    let entry = kernel.options.physical_offset.wrapping_add(ROM + ROM_INIT_OFFSET);
    assert!(kernel.rom().contains(&entry));
}

fn a_kernel_that_is_told_to_stay_native_leaves_the_rom_alone() {
    guest::start_native();
    let window = Window::map(Leave::ByCall);
    monitor::insert(&window);
    let mut text = Text::default();
    let options = Options {
        enabled: false,
        physical_offset: window.physical_offset(),
        linear_mapping: None,
        inline: true,
    };
    // SAFETY: nothing is done.
    let backend = unsafe { boot::activate(&options, &mut text) };
    assert!(matches!(backend, Ok(Backend::Native(NativeReason::Disabled))));
    assert_eq!((text.writes, monitor::exits().hypercalls), (0, 0));
}

fn the_self_test_of_the_guest_crate_passes() {
    let kernel = Kernel::boot(Leave::ByCall);
    // SAFETY: the plan is committed, and interrupts may be unmasked.
    unsafe { kernel.vmi.self_test(&kernel.options) }.expect("the ROM keeps to the call table");
}
