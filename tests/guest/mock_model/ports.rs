//! Ports, and the devices behind them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use paravirt_vmi::abi::Call;
use paravirt_vmi::abi::flags::IoplMask;
use paravirt_vmi::mock::{self, Cpu, Device, Event};
use paravirt_vmi::time::{Alarm, AlarmCounter, Clock, Wiring};
use paravirt_vmi::{irq, port};
use proptest::prelude::*;

use super::failure;

// SAFETY of all blocks below: what is behind the ports is in this file.

fn inb(port: u16) -> u8 {
    // SAFETY: see above.
    unsafe { port::inb(port) }
}

fn inw(port: u16) -> u16 {
    // SAFETY: see above.
    unsafe { port::inw(port) }
}

fn inl(port: u16) -> u32 {
    // SAFETY: see above.
    unsafe { port::inl(port) }
}

/// Remembers what is written, and reads as what it was given.
#[derive(Default)]
struct Recorder {
    written: Vec<(u16, u8, u32)>,
    read: Vec<(u16, u8)>,
    answers: Vec<u32>,
}

impl Device for Recorder {
    fn read(&mut self, port: u16, width: u8) -> u32 {
        self.read.push((port, width));
        self.answers.remove(0)
    }

    fn write(&mut self, port: u16, width: u8, value: u32) {
        self.written.push((port, width, value));
    }
}

/// A recorder at ports 100 to 107 of this thread's processor, which is reset.
fn recorder(answers: Vec<u32>) -> Rc<RefCell<Recorder>> {
    let recorder = Rc::new(RefCell::new(Recorder { answers, ..Recorder::default() }));
    Cpu::current().reset();
    Cpu::current().attach(0x100..=0x107, recorder.clone());
    recorder
}

#[test]
fn a_port_without_a_device_reads_as_all_ones_and_takes_every_write() {
    _ = recorder(Vec::new());
    for port in [0, 0xff, 0x108, 0xffff] {
        assert_eq!((inb(port), inw(port), inl(port)), (u8::MAX, u16::MAX, u32::MAX));
        // SAFETY: see above.
        unsafe { port::outl(port, 0x1234_5678) };
    }
}

#[test]
fn a_device_sees_port_width_and_value() {
    let recorder = recorder(vec![0x1_23, 0x1_2345, 0x1234_5678]);
    // SAFETY: see above.
    unsafe { port::outb(0x100, 0x12) };
    // SAFETY: see above.
    unsafe { port::outw(0x104, 0x1234) };
    // SAFETY: see above.
    unsafe { port::outl(0x107, 0x1234_5678) };
    let written = [(0x100, 8, 0x12), (0x104, 16, 0x1234), (0x107, 32, 0x1234_5678)];
    assert_eq!(recorder.borrow().written, written);
    assert_eq!((inb(0x107), inw(0x100), inl(0x102)), (0x23, 0x2345, 0x1234_5678));
    assert_eq!(recorder.borrow().read, [(0x107, 8), (0x100, 16), (0x102, 32)]);
}

#[test]
fn the_device_that_was_connected_last_has_the_port() {
    let old = recorder(Vec::new());
    let new = Rc::new(RefCell::new(Recorder::default()));
    Cpu::current().attach(0x103..=0x103, new.clone());
    for port in 0x102..=0x104 {
        // SAFETY: see above.
        unsafe { port::outb(port, port as u8) };
    }
    assert_eq!(old.borrow().written, [(0x102, 8, 2), (0x104, 8, 4)]);
    assert_eq!(new.borrow().written, [(0x103, 8, 3)]);
}

#[test]
fn a_pair_of_closures_is_a_device() {
    mock::run(|cpu| {
        let latch = Rc::new(Cell::new(0));
        let stored = latch.clone();
        cpu.attach(0x80..=0x80, (move |_, _| latch.get() + 1, move |_, _, value| stored.set(value)));
        // SAFETY: see above.
        unsafe { port::outb(0x80, 41) };
        assert_eq!(inb(0x80), 42);
    });
}

proptest! {
    #[test]
    fn a_run_of_any_width_comes_whole_and_in_order(values: Vec<u32>) {
        let mut bytes = vec![0u8; values.len()];
        let mut words = vec![0u16; values.len()];
        let mut longs = vec![0u32; values.len()];
        let recorder = recorder([&values[..], &values, &values].concat());
        // SAFETY: see above.
        unsafe { port::insb(0x101, &mut bytes) };
        // SAFETY: see above.
        unsafe { port::insw(0x102, &mut words) };
        // SAFETY: see above.
        unsafe { port::insl(0x103, &mut longs) };
        prop_assert_eq!(&bytes, &values.iter().map(|value| *value as u8).collect::<Vec<_>>());
        prop_assert_eq!(&words, &values.iter().map(|value| *value as u16).collect::<Vec<_>>());
        prop_assert_eq!(&longs, &values);
        let count = values.len();
        let reads = [vec![(0x101, 8); count], vec![(0x102, 16); count], vec![(0x103, 32); count]].concat();
        prop_assert_eq!(&recorder.borrow().read, &reads);
    }

    #[test]
    fn a_run_of_any_width_goes_whole_and_in_order(bytes: Vec<u8>, words: Vec<u16>, longs: Vec<u32>) {
        let recorder = recorder(Vec::new());
        // SAFETY: see above.
        unsafe { port::outsb(0x101, &bytes) };
        // SAFETY: see above.
        unsafe { port::outsw(0x102, &words) };
        // SAFETY: see above.
        unsafe { port::outsl(0x103, &longs) };
        let bytes = bytes.iter().map(|value| (0x101, 8, u32::from(*value)));
        let words = words.iter().map(|value| (0x102, 16, u32::from(*value)));
        let longs = longs.iter().map(|value| (0x103, 32, *value));
        prop_assert_eq!(&recorder.borrow().written, &bytes.chain(words).chain(longs).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_changes_no_byte_beside_its_memory(mut memory: [u16; 5]) {
        _ = recorder(vec![0x1111, 0x2222]);
        let before = memory;
        // SAFETY: see above.
        unsafe { port::insw(0x100, &mut memory[1..3]) };
        prop_assert_eq!(memory, [before[0], 0x1111, 0x2222, before[3], before[4]]);
    }
}

/// Interrupts when it is written to.
struct Interrupter;

impl Device for Interrupter {
    fn read(&mut self, _port: u16, _width: u8) -> u32 {
        0
    }

    fn write(&mut self, _port: u16, _width: u8, value: u32) {
        Cpu::current().raise(value as u8);
    }
}

#[test]
fn an_interrupt_that_a_device_raises_comes_when_the_access_is_over() {
    mock::run(|cpu| {
        cpu.attach(0x60..=0x60, Interrupter);
        cpu.handle(0x21, || _ = inb(0x60)); // uses the device itself
        // SAFETY: see above.
        unsafe { port::outb(0x60, 0x21) };
        assert!(!cpu.is_pending(0x21));
        let events: Vec<_> = cpu.journal().iter().map(|entry| entry.event.to_string()).collect();
        let expected = [
            "OUTB(0x21, 0x60)",
            "interrupt 0x21 becomes pending",
            "interrupt 0x21 is delivered",
            "INB(0x60)",
            "the handler of 0x21 returns",
        ];
        assert_eq!(events, expected);
    });
}

#[test]
fn an_alarm_that_goes_off_during_an_access_comes_when_it_is_over() {
    mock::run(|cpu| {
        cpu.attach(0x60..=0x60, (|_, _| 0, move |_, _, cycles: u32| cpu.advance(cycles.into())));
        cpu.set_clock_frequency(1_000_000);
        let alarm = Alarm { counter: AlarmCounter::Real, expiry: 50, period: None, wiring: Wiring::Irq0 };
        Clock::find().unwrap().set_alarm(alarm);
        let handled = Rc::new(Cell::new(false));
        let of_handler = handled.clone();
        cpu.handle(0x20, move || {
            inb(0x60); // uses the device itself
            of_handler.set(true);
        });
        // SAFETY: see above.
        unsafe { port::outb(0x60, 100) };
        assert!(handled.get());
    });
}

#[test]
fn an_interrupt_that_a_device_raises_while_they_are_masked_stays_pending() {
    mock::run(|cpu| {
        cpu.attach(0x60..=0x60, Interrupter);
        cpu.handle(0x21, || ());
        irq::without_interrupts(|| {
            // SAFETY: see above.
            unsafe { port::outb(0x60, 0x21) };
            assert!(cpu.is_pending(0x21));
        });
        cpu.point(); // the end of the shadow of `sti`
        assert!(cpu.journal().iter().any(|entry| entry.event == Event::Delivered { vector: 0x21 }));
    });
}

#[test]
fn a_device_that_uses_its_own_ports_is_an_error_and_no_loop() {
    let message = failure(|cpu| {
        cpu.attach(0x60..=0x60, (|port, _| inb(port).into(), |_, _, _| ()));
        inb(0x60);
    });
    assert_eq!(message, "the device at port 0x0060 uses its own ports");
}

#[test]
fn the_io_privilege_level_is_what_was_set_last() {
    mock::run(|cpu| {
        assert_eq!(cpu.iopl(), 0);
        for level in [3, 1] {
            // SAFETY: there is no user code here.
            unsafe { port::set_iopl(IoplMask::from_level(level).unwrap()) };
            assert_eq!(cpu.iopl(), level);
        }
    });
}

#[test]
fn an_empty_run_is_a_call_that_moves_nothing() {
    Cpu::current().reset();
    // SAFETY: the mock has no ports.
    unsafe { port::outsb(0x80, &[]) };
    let journal = Cpu::current().journal();
    assert_eq!((journal.len(), journal[0].call()), (1, Some(Call::OUTSB)));
    assert_eq!(journal[0].arguments()[2], 0);
}
