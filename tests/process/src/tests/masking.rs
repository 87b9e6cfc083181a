//! Calls 29 to 32, patched: what they do, what they keep, and that they need no exit.
//!
//! # Safety
//!
//! Nothing here relies on masking but where it says so; a site is entered with registers that its call may be made with.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::SeqCst;

use paravirt_vmi::abi::Call;
use paravirt_vmi::boot::Register;
use paravirt_vmi::irq;
use vmi_hypervisor::layout::shared;
use vmi_hypervisor::rom::Leave;

use super::tests;
use crate::guest::{self, Kernel};
use crate::machine::SharedPage;
use crate::monitor::{self, INTERRUPT_FLAG};
use crate::sites::{self, Registers, call_site};

tests![
    masking_and_unmasking_change_the_virtual_flag_alone,
    the_mask_has_the_flag_in_bit_9,
    a_mask_is_restored_by_its_bit_9,
    the_four_calls_keep_every_register_without_ds_and_es,
    ten_thousand_masked_sections_make_no_exit,
    sections_of_the_crate_critical_section_mask,
    other_words_of_the_shared_page_are_left_alone,
];

/// The four calls, with an EAX and what the flag is behind them; none if that depends on what it was.
const CALLS: [(Call, u32, Option<bool>); 7] = [
    (Call::ENABLE_INTERRUPTS, 0xA5A5_A5A5, Some(true)),
    (Call::DISABLE_INTERRUPTS, 0xA5A5_A5A5, Some(false)),
    (Call::GET_INTERRUPT_MASK, 0xA5A5_A5A5, None),
    (Call::SET_INTERRUPT_MASK, 0xFFFF_FFFF, Some(true)),
    (Call::SET_INTERRUPT_MASK, INTERRUPT_FLAG, Some(true)),
    (Call::SET_INTERRUPT_MASK, !INTERRUPT_FLAG, Some(false)),
    (Call::SET_INTERRUPT_MASK, 0, Some(false)),
];

/// The real flag, which ring 3 always sees set.
fn real_flag() -> bool {
    let flags: u32;
    // SAFETY: reads EFLAGS.
    unsafe { std::arch::asm!("pushfd", "pop {}", out(reg) flags) };
    flags & INTERRUPT_FLAG != 0
}

fn masking_and_unmasking_change_the_virtual_flag_alone() {
    let _kernel = Kernel::boot(Leave::ByCall);
    assert!(!irq::is_enabled());
    guest::enable();
    assert!(irq::is_enabled() && monitor::flag() && real_flag());
    irq::disable();
    assert!(!irq::is_enabled() && !monitor::flag() && real_flag());
}

fn the_mask_has_the_flag_in_bit_9() {
    let _kernel = Kernel::boot(Leave::ByCall);
    for word in [0, INTERRUPT_FLAG, 0] {
        SharedPage::word(shared::FLAG).store(word, SeqCst);
        // SAFETY: the call reads.
        let [_, after] = unsafe {
            call_site(Call::GET_INTERRUPT_MASK, Registers { flags: sites::FLAGS, ..Registers::default() })
        };
        assert_eq!(after.eax & INTERRUPT_FLAG, word);
    }
}

fn a_mask_is_restored_by_its_bit_9() {
    let _kernel = Kernel::boot(Leave::ByCall);
    let masked = irq::save();
    guest::enable();
    let unmasked = irq::save();
    // SAFETY: nothing relies on masking here.
    unsafe { irq::restore(masked) };
    assert!(!monitor::flag());
    // SAFETY: as above.
    unsafe { irq::restore(unmasked) };
    assert!(monitor::flag());
}

/// Looks at everything that a call must keep.
pub fn keeps(call: Call, before: &Registers, after: &Registers) {
    for (register, found) in [
        (Register::Eax, [before.eax, after.eax]),
        (Register::Ebx, [before.ebx, after.ebx]),
        (Register::Ecx, [before.ecx, after.ecx]),
        (Register::Edx, [before.edx, after.edx]),
        (Register::Esi, [before.esi, after.esi]),
        (Register::Edi, [before.edi, after.edi]),
        (Register::Ebp, [before.ebp, after.ebp]),
        (Register::Esp, [before.esp, after.esp]),
        (Register::Ds, [before.segments[0], after.segments[0]]),
        (Register::Es, [before.segments[1], after.segments[1]]),
        (Register::Df, [before.flags & sites::DIRECTION, after.flags & sites::DIRECTION]),
    ] {
        if register.is_kept_by(call) {
            let [before, after] = found;
            assert_eq!(after, before, "{call}: {register} is {after:08x} and was {before:08x}");
        }
    }
    assert_eq!(after.stack, before.stack, "{call}: the stack above its pointer");
}

/// Registers with a value of their own in each, and its complement for `pattern` all ones.
pub fn registers(pattern: u32) -> Registers {
    Registers {
        eax: 0x1111_1111 ^ pattern,
        ebx: 0x2222_2222 ^ pattern,
        ecx: 0x3333_3333 ^ pattern,
        edx: 0x4444_4444 ^ pattern,
        esi: 0x5555_5555 ^ pattern,
        edi: 0x6666_6666 ^ pattern,
        ebp: 0x7777_7777 ^ pattern,
        flags: sites::FLAGS,
        stack: [0x8888_8888 ^ pattern, 0x9999_9999 ^ pattern, 0xAAAA_AAAA ^ pattern],
        ..Registers::default()
    }
}

fn the_four_calls_keep_every_register_without_ds_and_es() {
    let _kernel = Kernel::boot(Leave::ByCall);
    let exits = monitor::exits();
    for pattern in [0, !0] {
        for (call, eax, _) in CALLS {
            for (again, _, expected) in CALLS.map(|(again, _, expected)| (again, eax, expected)) {
                // From both states of the flag, in every order.
                let argument = CALLS.iter().find(|row| row.0 == again).map_or(0, |row| row.1);
                for (call, eax) in [(call, eax), (again, argument)] {
                    let registers = Registers { eax, ..registers(pattern) };
                    // SAFETY: nothing relies on masking here.
                    let [before, after] = unsafe { call_site(call, registers) };
                    keeps(call, &before, &after);
                    assert_eq!(before.segments, [0; 2]);
                }
                if again != Call::SET_INTERRUPT_MASK
                    && let Some(expected) = expected
                {
                    assert_eq!(monitor::flag(), expected, "{again}");
                }
            }
        }
        for (call, eax, expected) in CALLS {
            let was = monitor::flag();
            // SAFETY: nothing relies on masking here.
            unsafe { call_site(call, Registers { eax, ..registers(pattern) }) };
            assert_eq!(monitor::flag(), expected.unwrap_or(was), "{call} {eax:08x}");
        }
    }
    assert_eq!(monitor::exits(), exits, "nothing was pending");
}

fn ten_thousand_masked_sections_make_no_exit() {
    let _kernel = Kernel::boot(Leave::ByCall);
    guest::enable();
    let exits = monitor::exits();
    let mut sum = 0;
    for _ in 0..10_000 {
        irq::without_interrupts(|| {
            assert!(!monitor::flag());
            sum += 1;
        });
        assert!(monitor::flag());
    }
    assert_eq!(sum, 10_000);
    assert_eq!(monitor::exits(), exits);
}

fn sections_of_the_crate_critical_section_mask() {
    let kernel = Kernel::boot(Leave::ByCall);
    guest::enable();
    critical_section::with(|_| {
        assert!(!monitor::flag());
        kernel.line.raise();
        critical_section::with(|_| assert_eq!(guest::HANDLED.load(SeqCst), 0));
        assert!(!monitor::flag());
    });
    assert!(monitor::flag());
    assert_eq!(guest::all_handled(), 1);
}

fn other_words_of_the_shared_page_are_left_alone() {
    let _kernel = Kernel::boot(Leave::ByCall);
    let marks = [(shared::USER_CODE, 0x1357), (shared::USER_STACK, 0x2468), (64, 0x55AA_55AA), (4092, 7)];
    for (offset, value) in marks {
        SharedPage::word(offset).store(value, SeqCst);
    }
    for _ in 0..2 {
        guest::enable();
        irq::disable();
    }
    for (offset, value) in marks {
        assert_eq!(SharedPage::word(offset).load(SeqCst), value);
    }
    assert_eq!(SharedPage::word(shared::PENDING).load(SeqCst), 0);
}
