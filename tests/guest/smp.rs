//! The state of a starting processor, and the messages that start it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use paravirt_vmi::abi::{Call, DescriptorTableRegister};
use paravirt_vmi::apic::LocalApic;
use paravirt_vmi::cpu::{Cr0, Cr4};
use paravirt_vmi::descriptor::Selector;
use paravirt_vmi::mock::Cpu;
use paravirt_vmi::smp::{
    ApStatePage, InitialState, ProcessorStart, StartError, StartErrorCause, StateError, TrampolinePage,
};
use zerocopy::IntoBytes;

const BASE: u32 = 0xfee0_0000;
const APIC_ID: u8 = 5;

/// A sound state, every register of which has a value of its own.
fn state() -> InitialState {
    InitialState {
        cr2: 2,
        cr3: 0x3000,
        cr4: Cr4::PAE,
        efer: 0x800,
        eflags: 6,
        eax: 10,
        ebx: 11,
        ecx: 12,
        edx: 13,
        ebp: 14,
        esi: 15,
        edi: 16,
        cs: Selector(0x09),
        ss: Selector(0x11),
        ds: Selector(0x19),
        es: Selector(0x21),
        fs: Selector(0x29),
        gs: Selector(0x31),
        ldt: Selector(0x38),
        gdt: DescriptorTableRegister::new(0x3f, 0xc030_0000),
        idt: DescriptorTableRegister::new(0x7ff, 0xc031_0000),
        ..InitialState::new(0xc010_0000, 0xc020_0000)
    }
}

#[test]
fn every_register_lies_where_the_structure_has_it() {
    let page = ApStatePage::new(&state()).unwrap();
    let bytes = page.state().as_bytes();
    let word = |offset: usize| u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap());
    let half = |offset: usize| u16::from_le_bytes(bytes[offset..offset + 2].try_into().unwrap());
    let words = [
        (0x00, 0x8005_0023),
        (0x04, 2),
        (0x08, 0x3000),
        (0x0c, 0x20),
        (0x10, 0x800),
        (0x14, 0),
        (0x18, 0xc010_0000),
        (0x1c, 6),
        (0x20, 10),
        (0x24, 11),
        (0x28, 12),
        (0x2c, 13),
        (0x30, 0xc020_0000),
        (0x34, 14),
        (0x38, 15),
        (0x3c, 16),
        (0x50, 0xc030_0000),
        (0x54, 0xc031_0000),
    ];
    for (offset, value) in words {
        assert_eq!(word(offset), value, "{offset:#x}");
    }
    let halves =
        [(0x40, 9), (0x42, 0x11), (0x44, 0x19), (0x46, 0x21), (0x48, 0x29), (0x4a, 0x31), (0x4c, 0x38)];
    for (offset, value) in halves.into_iter().chain([(0x4e, 0x3f), (0x58, 0x7ff)]) {
        assert_eq!(half(offset), value, "{offset:#x}");
    }
}

#[test]
fn a_page_of_state_begins_at_a_page() {
    let pages = [ApStatePage::new(&state()).unwrap(), ApStatePage::new(&state()).unwrap()];
    assert!(pages.iter().all(|page| (&raw const *page).addr() % 4096 == 0));
}

#[test]
fn a_state_in_which_no_processor_starts_is_refused() {
    type Case = (fn(&mut InitialState), &'static str);
    let cases: [Case; 11] = [
        (|s| s.cr0.remove(Cr0::PG), "CR0 00050023: PE and PG must be set"),
        (|s| s.cr0.remove(Cr0::PE), "CR0 80050022: PE and PG must be set"),
        (|s| s.efer |= 0x100, "EFER 900: LME and LMA must be clear"),
        (|s| s.efer |= 0x400, "EFER c00: LME and LMA must be clear"),
        (|s| s.eflags = 0x2_0000, "EFLAGS 00020000: VM must be clear"),
        (|s| s.cs = Selector(1), "a null selector in CS"),
        (|s| s.ss = Selector(3), "a null selector in SS"),
        (|s| s.ss = Selector(0x10), "CS 0009 and SS 0010: their rings differ"),
        (|s| s.gs = Selector(0x40), "GS 0040: the GDT has the limit 003f"),
        (|s| s.gdt = DescriptorTableRegister::new(0x0e, 0), "CS 0009: the GDT has the limit 000e"),
        (|s| s.ldt = Selector(0x0c), "LDTR 000c: the GDT has the limit 003f"),
    ];
    for (spoil, message) in cases {
        let mut state = state();
        spoil(&mut state);
        let error = ApStatePage::new(&state).unwrap_err();
        assert_eq!(error.to_string(), format!("a processor cannot start with {message}"));
        assert_eq!(state.to_ap_state(), Err(error));
    }
}

#[test]
fn a_new_state_lacks_what_only_the_caller_knows() {
    let error = InitialState::new(0, 0).to_ap_state().unwrap_err();
    assert_eq!(error, StateError::NullSelector { register: "CS" });
}

#[test]
fn data_segments_may_be_null_or_in_the_ldt() {
    let data = [Selector::NULL, Selector(2), Selector::ldt(0x1000)];
    for selector in data {
        let state = InitialState { ds: selector, gs: selector, ..state() };
        assert!(state.to_ap_state().is_ok(), "{selector:?}");
    }
}

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
fn a_trampoline_page_is_one_that_real_mode_reaches_and_no_vector_reserves() {
    let vectors: Vec<_> = (0..0x200)
        .filter_map(|page| TrampolinePage::new(page << 12))
        .map(|page| u32::from(page.vector()))
        .collect();
    let expected: Vec<_> = (0..0xa0).chain(0xc0..0x100).collect();
    assert_eq!(vectors, expected);
    assert_eq!(TrampolinePage::new(0x8001), None);
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
