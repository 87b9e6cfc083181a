//! Call 35: a hypercall that sleeps.
//!
//! # Safety
//!
//! Nothing here relies on masking.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use paravirt_vmi::abi::Call;
use paravirt_vmi::irq;
use vmi_hypervisor::rom::Leave;

use super::masking::{keeps, registers};
use super::{tests, wait_until};
use crate::guest::{self, Kernel};
use crate::monitor;
use crate::sites::call_site;

tests![
    a_halt_ends_at_once_if_something_waits,
    a_halt_sleeps_until_an_interrupt_comes,
    an_unpatched_halt_is_two_faults,
    no_wake_up_is_lost_between_the_question_and_the_halt,
];

/// Unmasks and sleeps.
fn halt() {
    // SAFETY: nothing relies on masking here.
    unsafe { irq::enable_and_halt() };
}

/// Raises an interrupt from another thread as soon as the guest sleeps.
fn wake_when_halted(line: monitor::Line) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        wait_until(|| monitor::HALTED.load(SeqCst) != 0);
        thread::sleep(Duration::from_millis(5));
        line.raise();
    })
}

fn a_halt_ends_at_once_if_something_waits() {
    let kernel = Kernel::boot(Leave::ByCall);
    for round in 1..=20 {
        irq::disable();
        kernel.line.raise();
        // SAFETY: nothing relies on masking here.
        let [before, after] = unsafe { call_site(Call::HALT, registers(0)) };
        keeps(Call::HALT, &before, &after);
        assert_eq!(guest::all_handled(), round);
        assert!(monitor::flag());
        assert_eq!(monitor::hypercalls(Call::HALT.number()), round);
    }
}

fn a_halt_sleeps_until_an_interrupt_comes() {
    let kernel = Kernel::boot(Leave::ByCall);
    let waker = wake_when_halted(kernel.line);
    halt();
    assert_eq!(guest::all_handled(), 1);
    assert!(monitor::flag());
    assert_eq!(monitor::hypercalls(Call::HALT.number()), 1);
    waker.join().expect("the other thread ends");
}

fn an_unpatched_halt_is_two_faults() {
    let line = guest::start_native();
    line.raise();
    halt();
    assert_eq!(guest::HANDLED.load(SeqCst), 1);
    assert_eq!(monitor::exits(), monitor::Exits { hypercalls: 0, stores: 0, traps: 2 });
    assert_eq!(monitor::last_fault(), Some("hlt"));
}

fn no_wake_up_is_lost_between_the_question_and_the_halt() {
    let kernel = Kernel::boot(Leave::ByCall);
    let line = kernel.line;
    let rounds = 500;
    let waker = thread::spawn(move || {
        for round in 0..rounds {
            // One at a time, at no particular moment.
            wait_until(|| guest::HANDLED.load(SeqCst) >= round);
            line.raise();
        }
    });
    for round in 1..=rounds {
        irq::disable();
        while guest::HANDLED.load(SeqCst) < round {
            halt();
            irq::disable();
        }
    }
    assert_eq!(guest::all_handled(), rounds);
    waker.join().expect("the other thread ends");
}
