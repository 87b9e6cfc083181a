//! Where the calls deliver what is pending, natively and under a hypervisor.

use std::cell::Cell;
use std::rc::Rc;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Cpu, Flavour, run};

use super::{KEYBOARD, TIMER, enable, guard, restore, trace, traces};

#[test]
fn behind_sti_an_interrupt_waits_for_the_next_instruction_natively_and_for_nothing_under_a_hypervisor() {
    let [native, vmi] = traces(|cpu| {
        irq::disable();
        cpu.raise(TIMER);
        enable();
        irq::is_enabled();
        irq::is_enabled();
    });
    assert_eq!(
        native,
        [
            "DisableInterrupts",
            "raise 0x20",
            "EnableInterrupts",
            "GetInterruptMask",
            "  enter 0x20",
            "leave 0x20",
            "GetInterruptMask",
        ]
    );
    assert_eq!(
        vmi,
        [
            "DisableInterrupts",
            "raise 0x20",
            "EnableInterrupts",
            "  enter 0x20",
            "leave 0x20",
            "GetInterruptMask",
            "GetInterruptMask",
        ]
    );
}

#[test]
fn cli_in_the_shadow_of_sti_lets_nothing_through_natively() {
    let [native, vmi] = traces(|cpu| {
        irq::disable();
        cpu.raise(TIMER);
        enable();
        irq::disable();
        assert_eq!(cpu.is_pending(TIMER), cpu.flavour() == Flavour::Native);
        enable();
    });
    let ends = ["EnableInterrupts", "DisableInterrupts", "EnableInterrupts"];
    assert_eq!(native[2..], ends); // the end of the test delivers, which its journal is too early to show
    assert_eq!(
        vmi[2..],
        ["EnableInterrupts", "  enter 0x20", "leave 0x20", "DisableInterrupts", "EnableInterrupts"]
    );
}

#[test]
fn a_point_between_sti_and_cli_lets_interrupts_through() {
    for trace in traces(|cpu| {
        irq::disable();
        cpu.raise(TIMER);
        enable();
        cpu.point();
        irq::disable();
        enable();
    }) {
        assert_eq!(trace[3..], ["  enter 0x20", "leave 0x20", "DisableInterrupts", "EnableInterrupts"]);
    }
}

#[test]
fn sti_with_interrupts_unmasked_has_no_shadow() {
    for trace in traces(|cpu| {
        enable();
        cpu.raise(TIMER);
        enable();
    }) {
        assert_eq!(
            trace,
            ["EnableInterrupts", "raise 0x20", "  enter 0x20", "leave 0x20", "EnableInterrupts"]
        );
    }
}

#[test]
fn an_interrupt_that_comes_in_the_shadow_waits_for_its_end() {
    let [native, vmi] = traces(|cpu| {
        irq::disable();
        enable();
        cpu.raise(TIMER);
        cpu.point();
        cpu.point();
    });
    assert_eq!(native, vmi);
    run(|cpu| {
        cpu.handle(TIMER, || ());
        irq::disable();
        enable();
        cpu.raise(TIMER);
        assert!(cpu.is_pending(TIMER));
        cpu.point();
        assert!(!cpu.is_pending(TIMER));
    });
}

#[test]
fn the_end_of_a_section_is_sti() {
    let [native, vmi] = traces(|cpu| {
        let section = guard();
        cpu.raise(TIMER);
        drop(section);
        irq::disable();
        enable();
    });
    let masked = ["GetInterruptMask", "DisableInterrupts", "raise 0x20", "EnableInterrupts"];
    assert_eq!(native[..4], masked);
    assert_eq!(vmi[..4], masked);
    assert_eq!(native[4..], ["DisableInterrupts", "EnableInterrupts"]);
    assert_eq!(vmi[4..], ["  enter 0x20", "leave 0x20", "DisableInterrupts", "EnableInterrupts"]);
}

#[test]
fn the_end_of_an_inner_section_delivers_nothing() {
    for trace in traces(|cpu| {
        irq::without_interrupts(|| {
            irq::without_interrupts(|| cpu.raise(TIMER));
            cpu.point();
            assert!(cpu.is_pending(TIMER));
        });
        cpu.point();
        assert!(!cpu.is_pending(TIMER));
    }) {
        assert_eq!(trace.iter().filter(|line| *line == "EnableInterrupts").count(), 1);
    }
}

#[test]
fn restoring_an_unmasked_state_delivers_at_once() {
    for trace in traces(|cpu| {
        let state = irq::save();
        irq::disable();
        cpu.raise(TIMER);
        restore(state);
        irq::disable();
        enable();
    }) {
        assert_eq!(
            trace,
            [
                "GetInterruptMask",
                "DisableInterrupts",
                "raise 0x20",
                "SetInterruptMask",
                "  enter 0x20",
                "leave 0x20",
                "DisableInterrupts",
                "EnableInterrupts",
            ]
        );
    }
}

#[test]
fn restoring_a_masked_state_delivers_nothing() {
    for trace in traces(|cpu| {
        irq::disable();
        cpu.raise(TIMER);
        restore(irq::save());
        assert!(cpu.is_pending(TIMER));
        enable();
    }) {
        assert_eq!(trace[2..5], ["GetInterruptMask", "SetInterruptMask", "EnableInterrupts"]);
    }
}

#[test]
fn an_interrupt_that_is_raised_while_they_are_unmasked_is_delivered_at_once() {
    for trace in traces(|cpu| cpu.raise(TIMER)) {
        assert_eq!(trace, ["raise 0x20", "  enter 0x20", "leave 0x20"]);
    }
}

#[test]
fn what_is_pending_is_delivered_in_the_order_in_which_it_came_and_once() {
    for trace in traces(|cpu| {
        irq::disable();
        for vector in [KEYBOARD, TIMER, KEYBOARD, TIMER] {
            cpu.raise(vector);
        }
        enable();
        cpu.point();
    }) {
        assert_eq!(
            trace,
            [
                "DisableInterrupts",
                "raise 0x21",
                "raise 0x20",
                "EnableInterrupts",
                "  enter 0x21",
                "leave 0x21",
                "  enter 0x20",
                "leave 0x20",
            ]
        );
    }
}

#[test]
fn a_vector_is_pending_until_its_handler_begins() {
    run(|cpu| {
        cpu.handle(TIMER, move || assert!(!cpu.is_pending(TIMER)));
        irq::disable();
        assert!(!cpu.is_pending(TIMER));
        cpu.raise(TIMER);
        assert!(cpu.is_pending(TIMER));
        assert!(!cpu.is_pending(KEYBOARD));
        enable();
        cpu.point();
        assert!(!cpu.is_pending(TIMER));
    });
}

#[test]
fn what_is_pending_at_the_end_of_a_test_is_delivered_also_in_the_shadow() {
    let delivered = run(|cpu| {
        let delivered = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = delivered.clone();
        cpu.handle(TIMER, move || _ = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        irq::disable();
        cpu.raise(TIMER);
        enable();
        assert!(cpu.is_pending(TIMER));
        delivered
    });
    assert_eq!(delivered.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn a_processor_outside_a_run_delivers_too() {
    let cpu = Cpu::current();
    cpu.reset();
    let ticks = Rc::new(Cell::new(0));
    let count = ticks.clone();
    cpu.handle(TIMER, move || count.set(count.get() + 1));
    cpu.raise(TIMER);
    assert_eq!(ticks.get(), 0);
    enable();
    cpu.point();
    assert_eq!(ticks.get(), 1);
    cpu.reset();
    assert!(cpu.journal().is_empty() && !cpu.interrupt_flag());
    assert_eq!(trace(cpu), [""; 0]);
}

#[test]
fn a_source_does_not_interrupt_a_run_that_does_not_halt() {
    for trace in traces(|cpu| {
        cpu.source(TIMER);
        cpu.point();
        cpu.point();
    }) {
        assert_eq!(trace, [""; 0]);
    }
}
