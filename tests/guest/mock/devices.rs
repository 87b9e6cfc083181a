//! Devices: what they do is part of the access to them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use paravirt_vmi::mock::{Cpu, run};
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering};
use paravirt_vmi::{irq, port};

use super::{KEYBOARD, TIMER, traces};

const PORT: u16 = 0x60;

/// Puts a device at `PORT` that does `work` when it is read.
fn attach(cpu: Cpu, work: impl FnMut() + 'static) {
    let mut work = work;
    let read = move |_, _| {
        work();
        0
    };
    cpu.attach(PORT..=PORT, (read, |_, _, _| ()));
}

fn read() -> u8 {
    // SAFETY: only the device of the test is there.
    unsafe { port::inb(PORT) }
}

#[test]
fn what_a_device_raises_is_delivered_when_the_access_is_over() {
    for trace in traces(|cpu| {
        attach(cpu, move || {
            cpu.raise(TIMER);
            cpu.raise(KEYBOARD);
            assert!(cpu.is_pending(TIMER) && cpu.is_pending(KEYBOARD));
        });
        read();
    }) {
        assert_eq!(
            trace,
            ["INB", "raise 0x20", "raise 0x21", "  enter 0x20", "leave 0x20", "  enter 0x21", "leave 0x21",]
        );
    }
}

#[test]
fn what_a_device_raises_in_masked_code_waits() {
    for trace in traces(|cpu| {
        attach(cpu, move || cpu.raise(TIMER));
        irq::without_interrupts(|| {
            read();
            cpu.point();
            assert!(cpu.is_pending(TIMER));
        });
        cpu.point();
        assert!(!cpu.is_pending(TIMER));
    }) {
        assert_eq!(trace.last().unwrap(), "leave 0x20");
    }
}

#[test]
fn a_device_that_counts_its_reads_in_shared_memory_is_not_interrupted() {
    for trace in traces(|cpu| {
        let count = AtomicU32::new(0);
        attach(cpu, move || {
            cpu.raise(TIMER);
            count.fetch_add(1, Ordering::Relaxed);
            count.fetch_add(1, Ordering::Relaxed);
            assert!(cpu.is_pending(TIMER));
        });
        read();
    }) {
        assert_eq!(
            trace,
            [
                "INB",
                "raise 0x20",
                "AtomicU32::fetch_add",
                "AtomicU32::fetch_add",
                "  enter 0x20",
                "leave 0x20",
            ]
        );
    }
}

#[test]
fn a_handler_may_read_the_device_that_has_raised_it() {
    for trace in traces(|cpu| {
        let mut first = true;
        attach(cpu, move || {
            if std::mem::take(&mut first) {
                cpu.raise(TIMER);
            }
        });
        cpu.handle(TIMER, || _ = read());
        read();
    }) {
        assert_eq!(trace, ["INB", "raise 0x20", "  enter 0x20", "  INB", "leave 0x20"]);
    }
}

#[test]
fn after_a_device_has_panicked_interrupts_arrive_as_before() {
    run(|cpu| {
        cpu.handle(TIMER, || ());
        attach(cpu, || panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(read)).is_err());
        cpu.raise(TIMER);
        assert!(!cpu.is_pending(TIMER));
    });
}
