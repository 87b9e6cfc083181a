//! What a correct kernel does is not flagged, in either flavour.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, Flavour, InterruptFrame, Limits, run, try_run};
use paravirt_vmi::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::{KEYBOARD, TIMER, enable, guard, halt, restore};

/// Runs `f` in both flavours, with a timer that may interrupt a halt.
#[track_caller]
fn is_correct(f: fn(Cpu)) {
    for flavour in Flavour::ALL {
        let result = try_run(Limits::DEFAULT, move |cpu| {
            cpu.set_flavour(flavour);
            cpu.handle(TIMER, || ());
            cpu.source(TIMER);
            f(cpu);
        });
        if let Err(failure) = result {
            panic!("{flavour:?}: {failure}");
        }
    }
}

#[test]
fn the_idle_loop_of_the_documentation() {
    is_correct(|cpu| {
        let ready = Rc::new(AtomicBool::new(false));
        let (handler, left) = (ready.clone(), Cell::new(3));
        cpu.handle(TIMER, move || {
            left.set(left.get() - 1);
            handler.store(left.get() == 0, Ordering::Relaxed);
        });
        irq::disable();
        while !ready.load(Ordering::Relaxed) {
            halt();
            irq::disable();
        }
        enable();
    });
}

#[test]
fn an_interrupt_before_the_check_and_one_inside_the_halt() {
    is_correct(|cpu| {
        let work = AtomicU32::new(0);
        _ = work.load(Ordering::Relaxed);
        cpu.raise(TIMER);
        irq::disable();
        if work.load(Ordering::Relaxed) == 0 {
            cpu.raise(TIMER);
            halt();
        }
    });
}

#[test]
fn a_masked_check_that_the_mock_does_not_see_after_one_that_it_does() {
    is_correct(|cpu| {
        let (seen, unseen) = (AtomicU32::new(0), Cell::new(0));
        _ = seen.load(Ordering::Relaxed);
        cpu.raise(TIMER);
        irq::disable();
        if unseen.get() == 0 {
            halt();
        }
    });
}

#[test]
fn waiting_for_the_next_interrupts_one_after_the_other() {
    is_correct(|_| {
        for _ in 0..3 {
            halt();
        }
    });
}

#[test]
fn sections_inside_sections() {
    is_correct(|cpu| {
        irq::without_interrupts(|| {
            irq::without_interrupts(|| irq::without_interrupts(|| cpu.raise(TIMER)));
            let guard = guard();
            assert!(!irq::is_enabled());
            drop(guard);
        });
        assert!(irq::is_enabled());
    });
}

#[test]
fn polls_of_the_flag_between_save_and_restore() {
    is_correct(|_| {
        let outer = irq::save();
        irq::disable();
        for _ in 0..3 {
            assert!(!irq::is_enabled());
            let inner = irq::save();
            irq::disable();
            assert!(!irq::is_enabled());
            restore(inner);
        }
        restore(outer);
        assert!(irq::is_enabled());
        // The same state once more: nothing was saved in between.
        irq::disable();
        restore(outer);
    });
}

#[test]
fn a_section_between_save_and_restore_and_the_other_way_round() {
    is_correct(|_| {
        let state = irq::save();
        irq::without_interrupts(|| {
            let inner = irq::save();
            irq::disable();
            restore(inner);
        });
        restore(state);
    });
}

#[test]
fn a_handler_that_unmasks_and_masks_again() {
    is_correct(|cpu| {
        cpu.handle(KEYBOARD, move || {
            enable();
            cpu.raise(TIMER);
            cpu.point();
            irq::disable();
        });
        cpu.raise(KEYBOARD);
    });
}

#[test]
fn a_handler_that_saves_unmasks_and_restores() {
    is_correct(|cpu| {
        cpu.handle(KEYBOARD, || {
            let state = irq::save();
            enable();
            irq::without_interrupts(|| ());
            restore(state);
        });
        cpu.raise(KEYBOARD);
    });
}

#[test]
fn a_guard_that_a_panic_drops() {
    is_correct(|cpu| {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _outer = guard();
            irq::without_interrupts(|| {
                cpu.raise(TIMER);
                panic!("on purpose");
            })
        }));
        assert!(panicked.is_err());
        assert!(cpu.interrupt_flag());
        cpu.point();
        assert!(!cpu.is_pending(TIMER));
    });
}

#[test]
fn masking_twice_and_unmasking_twice() {
    is_correct(|_| {
        irq::disable();
        irq::disable();
        enable();
        enable();
    });
}

#[test]
fn user_mode_entered_with_if_set_and_kernel_code_with_if_clear() {
    is_correct(|cpu| {
        irq::disable();
        cpu.iret(InterruptFrame { eip: 0x0804_8000, cs: 0x1b, eflags: 0x202 });
        cpu.iret(InterruptFrame { eip: 0xc010_0000, cs: 0x08, eflags: 0x002 });
        cpu.sysexit(0x0804_8000, 0xbfff_f000);
    });
}

#[test]
fn a_state_that_was_saved_on_another_processor() {
    let state = run(|_| irq::save());
    is_correct(|_| ());
    run(move |_| restore(state));
}
