//! Interrupts in calls 29 and 32: delivered in the call, and wherever else in the ROM the guest is met.
//!
//! # Safety
//!
//! Nothing here relies on masking; a site is entered with registers that its call may be made with.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::SeqCst;

use paravirt_vmi::abi::Call;
use paravirt_vmi::irq;
use vmi_hypervisor::layout::{HYPERCALL_IRET, shared};
use vmi_hypervisor::rom::Leave;

use super::masking::{keeps, registers};
use super::tests;
use crate::guest::{self, Kernel};
use crate::machine::SharedPage;
use crate::monitor::{self, Exits, INTERRUPT_FLAG};
use crate::sites::{self, Registers, call_site};

tests![
    an_interrupt_while_masked_waits,
    what_waits_is_delivered_in_the_call_that_unmasks,
    everything_that_waits_is_delivered_by_one_call,
    an_interrupt_while_unmasked_needs_no_call,
    a_delivery_keeps_every_register,
    an_interrupt_at_every_instruction_of_a_call_comes_once,
    an_interrupt_at_every_instruction_of_the_roms_code_at_sites_comes_once,
    masking_once_more_while_one_waits_delivers_nothing,
];

/// The interrupts that have been handled.
fn handled() -> u32 {
    guest::HANDLED.load(SeqCst)
}

fn an_interrupt_while_masked_waits() {
    let kernel = Kernel::boot(Leave::ByCall);
    kernel.line.raise();
    assert_eq!((handled(), monitor::RAISED.load(SeqCst)), (0, 1));
    assert_eq!(SharedPage::word(shared::PENDING).load(SeqCst), 1);
    irq::without_interrupts(|| ());
    assert_eq!(handled(), 0, "the section was not the outermost");
    guest::enable();
    assert_eq!(guest::all_handled(), 1);
    assert_eq!(SharedPage::word(shared::PENDING).load(SeqCst), 0);
}

fn what_waits_is_delivered_in_the_call_that_unmasks() {
    let kernel = Kernel::boot(Leave::ByCall);
    for (round, call) in
        [Call::ENABLE_INTERRUPTS, Call::SET_INTERRUPT_MASK].into_iter().cycle().take(100).enumerate()
    {
        irq::disable();
        kernel.line.raise();
        let exits = monitor::exits();
        let eax = if call == Call::SET_INTERRUPT_MASK { INTERRUPT_FLAG } else { 0x77 };
        // SAFETY: nothing relies on masking here.
        let [before, after] = unsafe { call_site(call, Registers { eax, ..registers(0) }) };
        keeps(call, &before, &after);
        assert_eq!(handled() as usize, round + 1);
        assert_eq!(monitor::exits(), Exits { stores: exits.stores + 1, ..exits });
        assert!(monitor::flag(), "the handler's return has unmasked");
    }
    guest::all_handled();
}

fn everything_that_waits_is_delivered_by_one_call() {
    let kernel = Kernel::boot(Leave::ByCall);
    for _ in 0..5 {
        kernel.line.raise();
    }
    let (stores, returns) = (monitor::exits().stores, monitor::hypercalls(HYPERCALL_IRET));
    guest::enable();
    assert_eq!(guest::all_handled(), 5);
    assert_eq!(monitor::exits().stores, stores + 1, "the first is delivered by the store that unmasks");
    assert_eq!(
        monitor::hypercalls(HYPERCALL_IRET),
        returns + 4,
        "each other in the return from the one before"
    );
}

fn masking_once_more_while_one_waits_delivers_nothing() {
    let kernel = Kernel::boot(Leave::ByCall);
    kernel.line.raise();
    let exits = monitor::exits();
    irq::disable();
    assert_eq!((handled(), monitor::flag()), (0, false));
    assert_eq!(monitor::exits(), Exits { stores: exits.stores + 1, ..exits });
    guest::enable();
    assert_eq!(guest::all_handled(), 1);
    irq::disable();
    guest::enable();
    assert_eq!(monitor::exits().stores, exits.stores + 2, "where nothing waits no store traps");
}

fn an_interrupt_while_unmasked_needs_no_call() {
    let kernel = Kernel::boot(Leave::ByCall);
    guest::enable();
    let exits = monitor::exits();
    for round in 1..=100 {
        kernel.line.raise();
        assert_eq!(guest::all_handled(), round);
        assert!(monitor::flag());
    }
    assert_eq!(monitor::exits(), exits, "the returns are the processor's own");
}

fn a_delivery_keeps_every_register() {
    let kernel = Kernel::boot(Leave::ByCall);
    for pattern in [0, !0] {
        irq::disable();
        kernel.line.raise();
        // SAFETY: nothing relies on masking here.
        let [before, after] = unsafe { call_site(Call::ENABLE_INTERRUPTS, registers(pattern)) };
        keeps(Call::ENABLE_INTERRUPTS, &before, &after);
    }
    assert_eq!(guest::all_handled(), 2);
}

fn an_interrupt_at_every_instruction_of_a_call_comes_once() {
    at_every_instruction(false);
}

fn an_interrupt_at_every_instruction_of_the_roms_code_at_sites_comes_once() {
    at_every_instruction(true);
}

/// Has the processor trap behind every instruction, and an interrupt come up in front of the first, the second, and so
/// on: in the site, in the ROM, in front of the instruction that sets the flag and behind it.
fn at_every_instruction(inline: bool) {
    let kernel = Kernel::boot_with(Leave::ByCall, inline);
    for (call, eax) in [
        (Call::ENABLE_INTERRUPTS, 0),
        (Call::DISABLE_INTERRUPTS, 0),
        (Call::GET_INTERRUPT_MASK, 0),
        (Call::SET_INTERRUPT_MASK, INTERRUPT_FLAG),
        (Call::SET_INTERRUPT_MASK, 0),
    ] {
        for enabled in [false, true] {
            let mut in_rom = 0;
            for instruction in 1.. {
                // The planted one comes alone, and with another that waits already.
                for waiting in [0, 1] {
                    irq::disable();
                    (0..waiting).for_each(|_| kernel.line.raise());
                    if enabled {
                        guest::enable();
                    }
                    monitor::plant(instruction);
                    // SAFETY: nothing relies on masking here.
                    let [before, after] =
                        unsafe { call_site(call, Registers { eax, flags: sites::STEPPING, ..registers(0) }) };
                    keeps(call, &before, &after);
                    match (call, eax) {
                        (Call::ENABLE_INTERRUPTS, _) | (Call::SET_INTERRUPT_MASK, INTERRUPT_FLAG) => {
                            assert!(monitor::flag(), "{call}");
                        }
                        (Call::GET_INTERRUPT_MASK, _) => {
                            assert_eq!(monitor::flag(), enabled);
                            assert_eq!(after.eax & INTERRUPT_FLAG, if enabled { INTERRUPT_FLAG } else { 0 });
                        }
                        _ => assert!(!monitor::flag(), "{call}"),
                    }
                    if monitor::flag() {
                        guest::all_handled();
                    }
                }
                irq::disable();
                guest::enable();
                guest::all_handled();
                match monitor::planted_at() {
                    Some(place) if kernel.rom().contains(&place) => in_rom += 1,
                    Some(place) if place == sites::returned() => break,
                    Some(_) => {}
                    None => panic!("{call}: no interrupt in front of instruction {instruction}"),
                }
            }
            let is_inline = kernel.vmi.plan.inline_code(call).is_some() && cfg!(not(feature = "indirect"));
            assert_eq!(in_rom > 0, !is_inline, "{call}: {in_rom} places in the ROM");
        }
    }
}
