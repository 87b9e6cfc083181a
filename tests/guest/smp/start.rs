//! The messages that start a processor, on the mock's local APIC.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use paravirt_vmi::abi::Call;
use paravirt_vmi::apic::LocalApic;
use paravirt_vmi::mock::Cpu;
use paravirt_vmi::smp::{ApStatePage, ProcessorStart, StartError, StartErrorCause, TrampolinePage};

use super::state;

const BASE: u32 = 0xfee0_0000;
const APIC_ID: u8 = 5;

/// A call with its arguments.
type Made = (Call, Vec<u32>);

/// Starts a processor that is up when it has been looked for `up_after` times: the result, the calls, and all
/// that was waited.
fn start(timeout: Duration, up_after: u32) -> (Result<(), StartError>, Vec<Made>, Duration) {
    let page = ApStatePage::new(&state()).unwrap();
    let trampoline = TrampolinePage::new(0x8000).unwrap();
    let start = ProcessorStart { apic_id: APIC_ID, state: &page, trampoline, timeout };
    let (looks, waited) = (Cell::new(0), Cell::new(Duration::ZERO));
    let is_up = || {
        looks.set(looks.get() + 1);
        looks.get() >= up_after
    };
    // SAFETY: the mock has no local APIC and no other processor.
    let apic = unsafe { LocalApic::new(BASE) };
    // SAFETY: as above.
    let result = unsafe { start.run(&apic, |time| waited.set(waited.get() + time), is_up) };
    let journal = Cpu::current().journal();
    let calls =
        journal.iter().filter_map(|entry| Some((entry.call()?, entry.arguments().to_vec()))).collect();
    (result, calls, waited.get())
}

/// The calls that send a command to the processor.
fn command(value: u32) -> [Made; 3] {
    [
        (Call::APIC_WRITE, vec![BASE + 0x310, u32::from(APIC_ID) << 24]),
        (Call::APIC_WRITE, vec![BASE + 0x300, value]),
        (Call::APIC_READ, vec![BASE + 0x300]),
    ]
}

#[test]
fn a_processor_gets_init_its_state_and_startup() {
    Cpu::current().reset();
    let (result, calls, waited) = start(Duration::from_secs(1), 1);
    assert_eq!(result, Ok(()));
    assert_eq!(calls[..3], command(0xc500));
    assert_eq!(calls[3..6], command(0x8500));
    assert_eq!(calls[6].0, Call::SET_INITIAL_AP_STATE);
    assert_eq!(calls[6].1[1], u32::from(APIC_ID));
    assert_eq!(calls[7..], command(0x608));
    assert_eq!(waited, Duration::from_micros(10_200));
}

#[test]
fn a_processor_that_is_not_up_gets_a_second_startup() {
    Cpu::current().reset();
    let (result, calls, _) = start(Duration::from_secs(1), 2);
    assert_eq!(result, Ok(()));
    assert_eq!(calls[7..10], command(0x608));
    assert_eq!(calls[10..], command(0x608));
}

#[test]
fn a_processor_that_comes_up_late_is_waited_for() {
    Cpu::current().reset();
    let (result, _, waited) = start(Duration::from_millis(50), 2 + 50);
    assert_eq!((result, waited), (Ok(()), Duration::from_micros(60_400)));
}

#[test]
fn a_processor_that_never_comes_up_is_a_time_out() {
    Cpu::current().reset();
    let timeout = Duration::from_millis(50);
    let (result, _, waited) = start(timeout, u32::MAX);
    let error = StartError { apic_id: APIC_ID, cause: StartErrorCause::TimedOut { after: timeout } };
    assert_eq!(result, Err(error));
    assert_eq!(waited, Duration::from_micros(60_400));
    assert_eq!(
        error.to_string(),
        "processor with APIC id 5: not up 50ms after STARTUP: there is none, or its state was refused"
    );
}

#[test]
fn a_command_that_is_never_sent_is_an_error_and_nothing_follows_it() {
    Cpu::current().reset();
    Cpu::current().answer(Call::APIC_READ, 1 << 12);
    let (result, calls, waited) = start(Duration::from_secs(1), 1);
    let error = StartError { apic_id: APIC_ID, cause: StartErrorCause::NotSent { command: 0xc500 } };
    assert_eq!(result, Err(error));
    assert_eq!(calls.len(), 2 + 100);
    assert_eq!(waited, Duration::from_millis(10));
    assert_eq!(
        error.to_string(),
        "processor with APIC id 5: the local APIC does not send the command 0xc500"
    );
}

#[test]
fn the_state_is_looked_for_only_after_the_waiting() {
    Cpu::current().reset();
    let page = ApStatePage::new(&state()).unwrap();
    let trampoline = TrampolinePage::new(0x8000).unwrap();
    let start =
        ProcessorStart { apic_id: APIC_ID, state: &page, trampoline, timeout: Duration::from_millis(2) };
    let events = RefCell::new(String::new());
    // SAFETY: the mock has no local APIC and no other processor.
    let apic = unsafe { LocalApic::new(BASE) };
    let looked = || {
        events.borrow_mut().push('?');
        false
    };
    // SAFETY: as above.
    _ = unsafe { start.run(&apic, |_| events.borrow_mut().push('.'), looked) };
    assert_eq!(events.into_inner(), "..?.?.?.?");
}
