//! The journal: what it holds, and how it reads.

use paravirt_vmi::abi::Call;
use paravirt_vmi::mock::{Event, Flavour, run};
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering};
use paravirt_vmi::{irq, port};

use super::{TIMER, enable, marked};

fn at(mark: &str) -> String {
    marked(file!(), include_str!("journal.rs"), mark)
}

#[test]
fn an_entry_says_what_happened_with_which_flag_in_which_depth_and_where() {
    let journal = run(|cpu| {
        cpu.set_flavour(Flavour::Vmi);
        let shared = AtomicU32::new(0);
        cpu.handle(TIMER, || _ = irq::is_enabled()); // polled
        irq::disable(); // masked
        cpu.raise(TIMER); // raised
        shared.store(1, Ordering::Relaxed); // stored
        enable(); // unmasked
        cpu.journal()
    });
    let entries: Vec<(Event, bool, usize, String)> = journal
        .into_iter()
        .map(|entry| (entry.event, entry.interrupt_flag, entry.depth, entry.place.to_string()))
        .collect();
    let call = |call| Event::Call { call, arguments: Vec::new() };
    let expected = [
        (call(Call::DISABLE_INTERRUPTS), false, 0, at("masked")),
        (Event::Raised { vector: TIMER }, false, 0, at("raised")),
        (Event::Access { name: "AtomicU32::store" }, false, 0, at("stored")),
        (call(Call::ENABLE_INTERRUPTS), true, 0, at("unmasked")),
        (Event::Delivered { vector: TIMER }, false, 1, at("unmasked")),
        (call(Call::GET_INTERRUPT_MASK), false, 1, at("polled")),
        (Event::Returned { vector: TIMER }, true, 0, at("unmasked")),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn a_section_has_the_place_of_its_user() {
    let journal = run(|cpu| {
        irq::without_interrupts(|| ()); // the section
        cpu.journal()
    });
    let section = at("the section");
    assert_eq!(journal.iter().map(|entry| entry.place.to_string()).collect::<Vec<_>>(), vec![section; 3]);
}

#[test]
fn a_call_has_its_arguments_and_can_be_read() {
    let journal = run(|cpu| {
        // SAFETY: no device listens.
        unsafe { port::outb(0x20, 0x61) };
        cpu.journal()
    });
    let [entry] = &journal[..] else { panic!("{journal:?}") };
    assert_eq!((entry.call(), entry.arguments()), (Some(Call::OUTB), &[0x61, 0x20][..]));
    assert_eq!(entry.event.to_string(), "OUTB(0x61, 0x20)");
    let raised = Event::Raised { vector: 7 };
    assert_eq!(raised.to_string(), "interrupt 0x07 becomes pending");
    assert_eq!(Event::Delivered { vector: 7 }.to_string(), "interrupt 0x07 is delivered");
    assert_eq!(Event::Returned { vector: 7 }.to_string(), "the handler of 0x07 returns");
}

#[test]
fn what_is_not_a_call_has_none_and_no_arguments() {
    let journal = run(|cpu| {
        cpu.handle(TIMER, || ());
        cpu.raise(TIMER);
        assert!(cpu.calls().is_empty());
        cpu.journal()
    });
    assert_eq!(journal.len(), 3);
    assert!(journal.iter().all(|entry| entry.call().is_none() && entry.arguments().is_empty()));
}

#[test]
fn an_interrupt_that_is_pending_already_is_not_raised_again() {
    run(|cpu| {
        cpu.handle(TIMER, || ());
        irq::disable();
        cpu.raise(TIMER);
        cpu.raise(TIMER);
        assert_eq!(cpu.journal().len(), 2);
        enable();
    });
}
