//! Interrupt masking on the mock processor.

use std::panic::{AssertUnwindSafe, catch_unwind};

use paravirt_vmi::abi::Call;
use paravirt_vmi::irq::{self, Guard};
use paravirt_vmi::mock::Cpu;

/// The calls made by `f` on a fresh processor whose interrupts are `enabled`.
fn calls(enabled: bool, f: impl FnOnce()) -> Vec<Call> {
    Cpu::current().reset();
    if enabled {
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable() };
    }
    let before = Cpu::current().calls().len();
    f();
    Cpu::current().calls().split_off(before)
}

/// Makes an interrupt pending that wakes the processor when it is halted.
fn wake_up() {
    irq::disable();
    Cpu::current().handle(0x20, || ());
    Cpu::current().raise(0x20);
}

#[test]
fn a_processor_starts_with_interrupts_masked() {
    assert!(!Cpu::current().interrupt_flag());
    assert!(!irq::is_enabled());
}

#[test]
fn each_function_makes_its_one_call() {
    let made = calls(false, || {
        irq::disable();
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable() };
        let state = irq::save();
        // SAFETY: as above.
        unsafe { irq::restore(state) };
        wake_up();
        // SAFETY: as above.
        unsafe { irq::enable_and_halt() };
        _ = irq::is_enabled();
    });
    let expected = [
        Call::DISABLE_INTERRUPTS,
        Call::ENABLE_INTERRUPTS,
        Call::GET_INTERRUPT_MASK,
        Call::SET_INTERRUPT_MASK,
        Call::DISABLE_INTERRUPTS, // in `wake_up`
        Call::HALT,
        Call::GET_INTERRUPT_MASK,
    ];
    assert_eq!(made, expected);
}

#[test]
fn a_section_masks_and_unmasks_again() {
    let made = calls(true, || {
        irq::without_interrupts(|| assert!(!Cpu::current().interrupt_flag()));
        assert!(Cpu::current().interrupt_flag());
    });
    let expected = [Call::GET_INTERRUPT_MASK, Call::DISABLE_INTERRUPTS, Call::ENABLE_INTERRUPTS];
    assert_eq!(made, expected);
}

#[test]
fn a_section_in_masked_code_leaves_it_masked() {
    let made = calls(false, || {
        irq::without_interrupts(|| ());
        assert!(!Cpu::current().interrupt_flag());
    });
    assert_eq!(made, [Call::GET_INTERRUPT_MASK, Call::DISABLE_INTERRUPTS]);
}

#[test]
fn only_the_end_of_the_outermost_section_unmasks() {
    let made = calls(true, || {
        irq::without_interrupts(|| {
            irq::without_interrupts(|| irq::without_interrupts(|| ()));
            assert!(!Cpu::current().interrupt_flag());
        });
        assert!(Cpu::current().interrupt_flag());
    });
    let unmasked = made.iter().filter(|call| **call == Call::ENABLE_INTERRUPTS).count();
    assert_eq!(unmasked, 1);
}

#[test]
fn a_section_gives_back_what_its_closure_returns() {
    assert_eq!(irq::without_interrupts(|| "value"), "value");
}

#[test]
fn a_section_that_unwinds_restores_interrupts() {
    calls(true, || {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            irq::without_interrupts(|| irq::without_interrupts(|| panic!("on purpose")))
        }));
        assert!(unwound.is_err());
        assert!(Cpu::current().interrupt_flag());
    });
}

#[test]
fn guards_dropped_in_reverse_order_restore_at_the_last() {
    calls(true, || {
        // SAFETY: the guards are dropped in reverse order, below.
        let outer = unsafe { Guard::new() };
        // SAFETY: as above.
        let inner = unsafe { Guard::new() };
        drop(inner);
        assert!(!Cpu::current().interrupt_flag());
        drop(outer);
        assert!(Cpu::current().interrupt_flag());
    });
}

#[test]
fn restore_sets_what_its_state_says_whatever_is_set_now() {
    calls(false, || {
        let masked = irq::save();
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable() };
        let unmasked = irq::save();
        for (state, expected) in [(unmasked, true), (unmasked, true), (masked, false), (masked, false)] {
            // SAFETY: as above.
            unsafe { irq::restore(state) };
            assert_eq!(Cpu::current().interrupt_flag(), expected);
            assert_eq!(state.is_enabled(), expected);
        }
    });
}

#[test]
fn states_are_equal_if_their_interrupt_flag_is_and_show_nothing_else() {
    calls(false, || {
        let masked = irq::save();
        assert_eq!(masked, irq::save());
        assert_eq!(format!("{masked:?}"), "State(disabled)");
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable() };
        assert_ne!(masked, irq::save());
        assert_eq!(format!("{:?}", irq::save()), "State(enabled)");
    });
}

#[test]
fn every_thread_has_a_processor_of_its_own() {
    calls(true, || {
        std::thread::spawn(|| {
            assert!(!Cpu::current().interrupt_flag());
            assert!(Cpu::current().journal().is_empty());
            irq::disable();
        })
        .join()
        .unwrap();
        assert!(Cpu::current().interrupt_flag());
    });
}
