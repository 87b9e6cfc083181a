//! What holds of sections on the mock processor, whoever provides them.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use critical_section::Mutex;
use paravirt_vmi::irq;
use paravirt_vmi::mock::{self, Cpu, Limits};

const VECTOR: u8 = 0x20;

#[test]
fn a_section_masks_and_unmasks_again() {
    mock::run(|cpu| {
        let result = critical_section::with(|_| {
            assert!(!cpu.interrupt_flag());
            42
        });
        assert_eq!(result, 42);
        assert!(cpu.interrupt_flag());
    });
}

#[test]
fn sections_in_each_other_end_with_the_outermost() {
    mock::run(|cpu| {
        critical_section::with(|_| {
            critical_section::with(|_| assert!(!cpu.interrupt_flag()));
            assert!(!cpu.interrupt_flag());
            irq::without_interrupts(|| assert!(!cpu.interrupt_flag()));
            assert!(!cpu.interrupt_flag());
        });
        assert!(cpu.interrupt_flag());
        irq::without_interrupts(|| {
            critical_section::with(|_| assert!(!cpu.interrupt_flag()));
            assert!(!cpu.interrupt_flag());
        });
        assert!(cpu.interrupt_flag());
    });
}

#[test]
fn a_section_in_masked_code_leaves_it_masked() {
    mock::run(|cpu| {
        irq::disable();
        critical_section::with(|_| assert!(!cpu.interrupt_flag()));
        assert!(!cpu.interrupt_flag());
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable() };
    });
}

#[test]
fn a_panic_in_nested_sections_ends_them() {
    mock::run(|cpu| {
        let section = || critical_section::with(|_| irq::without_interrupts(|| nested_panic(cpu)));
        catch_unwind(AssertUnwindSafe(section)).unwrap_err();
        assert!(cpu.interrupt_flag());
        critical_section::with(|_| ());
        assert!(cpu.interrupt_flag());
    });
}

fn nested_panic(cpu: Cpu) {
    critical_section::with(|_| {
        assert!(!cpu.interrupt_flag());
        panic!("in a section, on purpose");
    });
}

#[test]
fn an_interrupt_waits_for_the_end_of_the_outermost_section() {
    mock::run(|cpu| {
        let ticks = Rc::new(Cell::new(0));
        let counter = ticks.clone();
        cpu.handle(VECTOR, move || critical_section::with(|_| counter.set(counter.get() + 1)));
        critical_section::with(|_| {
            critical_section::with(|_| cpu.raise(VECTOR));
            cpu.point();
            assert_eq!(ticks.get(), 0);
        });
        cpu.point();
        cpu.point();
        assert_eq!(ticks.get(), 1);
    });
}

/// One more, in as many steps as leave others room in between.
fn count_up(count: &Mutex<Cell<u32>>) {
    critical_section::with(|section| {
        let count = count.borrow(section);
        let seen = count.get();
        thread::yield_now();
        count.set(seen + 1);
    });
}

#[test]
fn threads_exclude_each_other_with_a_processor_and_without() {
    static COUNT: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));
    const TURNS: u32 = 2_000;
    thread::scope(|scope| {
        for with_processor in [true, false, true, false] {
            scope.spawn(move || {
                if with_processor {
                    return mock::run(|_| (0..TURNS).for_each(|_| count_up(&COUNT)));
                }
                (0..TURNS).for_each(|_| count_up(&COUNT));
            });
        }
    });
    assert_eq!(critical_section::with(|section| COUNT.borrow(section).get()), 4 * TURNS);
}

#[test]
fn a_thread_that_uses_no_processor_may_enter_as_often_as_it_likes() {
    let entered = thread::spawn(|| {
        let entered = AtomicU32::new(0);
        for _ in 0..Limits::DEFAULT.operations {
            critical_section::with(|_| entered.fetch_add(1, Relaxed));
        }
        // Had a section used the processor, it would have been written down.
        assert!(Cpu::current().journal().is_empty());
        entered.into_inner()
    });
    assert_eq!(entered.join().unwrap() as usize, Limits::DEFAULT.operations);
}

#[test]
fn a_processor_that_is_first_used_in_a_section_is_as_masked_as_before() {
    thread::spawn(|| {
        critical_section::with(|_| {
            let cpu = Cpu::current();
            assert!(!cpu.interrupt_flag());
            critical_section::with(|_| assert!(!cpu.interrupt_flag()));
        });
        assert!(!Cpu::current().interrupt_flag());
    })
    .join()
    .unwrap();
}
