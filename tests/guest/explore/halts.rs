//! Exploration of a processor that is halted.

use std::rc::Rc;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{Event, Explorer, FailureCause, Flavour, Misuse};
use paravirt_vmi::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::count_interrupts;

fn binomial(n: usize, k: usize) -> usize {
    (0..k).fold(1, |product, i| product * (n - i) / (i + 1))
}

#[test]
fn a_halt_is_a_point_for_all_sources_but_the_one_that_wakes_the_processor_anyway() {
    for (halts, v, k) in [(1, 1, 3), (3, 1, 2), (1, 2, 3), (2, 2, 3), (3, 3, 2)] {
        let coverage = Explorer::new().bound(k).flavour(Flavour::Vmi).explore(move |cpu| {
            for vector in 0x20..0x20 + v {
                cpu.handle(vector, || ());
                cpu.source(vector);
            }
            for _ in 0..halts {
                // Behind the halt there is a gap in front of the next mask, or at the end.
                irq::disable();
                // SAFETY: nothing relies on masked interrupts.
                unsafe { irq::enable_and_halt() };
            }
        });
        let (gaps, v) = (halts + 1, usize::from(v));
        let exactly = |j: usize| -> usize {
            let in_halts = |i| binomial(halts, i) * (v - 1).pow(i as u32);
            let in_gaps = |i| binomial(gaps + i - 1, i) * v.pow(i as u32);
            (0..=j.min(halts)).map(|i| in_halts(i) * in_gaps(j - i)).sum()
        };
        let covered = &coverage.flavours()[0];
        assert_eq!(covered.points, gaps);
        assert_eq!(covered.runs, (0..=k).map(exactly).collect::<Vec<_>>(), "{halts} halts, {v} vectors");
    }
}

#[test]
fn a_loop_that_waits_for_one_of_several_sources_ends() {
    Explorer::new().bound(1).explore(|cpu| {
        let timer = count_interrupts(cpu, 0x20);
        let (keyboard, disk) = (count_interrupts(cpu, 0x21), count_interrupts(cpu, 0x22));
        irq::disable();
        while keyboard.get() == 0 || disk.get() < 2 {
            // SAFETY: nothing relies on masked interrupts.
            unsafe { irq::enable_and_halt() };
            irq::disable();
        }
        // SAFETY: as above.
        unsafe { irq::enable() };
        assert!(timer.get() <= 4);
    });
}

#[test]
fn sources_wake_a_halted_processor_in_turn() {
    Explorer::new().bound(0).flavour(Flavour::Native).explore(|cpu| {
        for vector in [0x30, 0x20, 0x25] {
            cpu.handle(vector, || ());
            cpu.source(vector);
        }
        for _ in 0..5 {
            // SAFETY: nothing relies on masked interrupts.
            unsafe { irq::enable_and_halt() };
        }
        let journal = cpu.journal();
        let delivered = journal.iter().filter_map(|entry| match entry.event {
            Event::Delivered { vector } => Some(vector),
            _ => None,
        });
        assert_eq!(delivered.collect::<Vec<_>>(), [0x30, 0x20, 0x25, 0x30, 0x20]);
    });
}

#[test]
fn a_wake_up_that_is_lost_between_check_and_halt_is_found() {
    let failure = Explorer::new()
        .try_explore(|cpu| {
            let ready = Rc::new(AtomicBool::new(false));
            let of_handler = ready.clone();
            cpu.handle(0x20, move || of_handler.store(true, Relaxed));
            cpu.source(0x20);
            while !ready.load(Relaxed) {
                // SAFETY: nothing relies on masked interrupts.
                unsafe { irq::enable_and_halt() };
            }
        })
        .unwrap_err();
    assert!(
        matches!(failure.cause, FailureCause::Misuse(Misuse::LostWakeUp { vector: 0x20, .. })),
        "{failure}"
    );
    assert_eq!(failure.run.unwrap().schedule().to_string(), "native:2=20");
}

#[test]
fn a_check_with_interrupts_masked_loses_no_wake_up() {
    let coverage = Explorer::new().bound(3).explore(|cpu| {
        let events = Rc::new(AtomicU32::new(0));
        let of_handler = events.clone();
        cpu.handle(0x20, move || _ = of_handler.fetch_add(1, Relaxed));
        cpu.source(0x20);
        irq::disable();
        while events.load(Relaxed) < 2 {
            // SAFETY: nothing relies on masked interrupts.
            unsafe { irq::enable_and_halt() };
            irq::disable();
        }
        // SAFETY: as above.
        unsafe { irq::enable() };
    });
    assert!(coverage.runs() > 20, "{coverage}");
}
