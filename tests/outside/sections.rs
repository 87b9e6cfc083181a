//! Sections where one crate has the feature `critical-section` of paravirt-vmi, and another one that of `std`.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;

use other::Count;
use paravirt_vmi::mock::{self, Explorer};
use paravirt_vmi::sync::atomic::{AtomicU32, Ordering::Relaxed};

const TIMER: u8 = 0x20;

#[test]
fn threads_exclude_each_other() {
    static COUNT: Count = Count::new();
    thread::scope(|scope| {
        for on_processor in [true, false, true, false] {
            scope.spawn(move || {
                let count = || (0..1000).for_each(|_| COUNT.up(thread::yield_now));
                if on_processor { mock::run(move |_| count()) } else { count() }
            });
        }
    });
    assert_eq!(COUNT.get(), 4000);
}

#[test]
fn an_interrupt_waits_for_the_end_of_a_section() {
    mock::run(|cpu| {
        let count = Rc::new(Count::new());
        let of_handler = count.clone();
        cpu.handle(TIMER, move || of_handler.up(|| ()));
        count.up(|| {
            assert!(!cpu.interrupt_flag());
            cpu.raise(TIMER);
            cpu.point();
            assert!(cpu.is_pending(TIMER));
        });
        assert!(cpu.interrupt_flag());
        cpu.point();
        cpu.point();
        assert_eq!(count.get(), 2);
    });
}

/// Whether exploration finds nothing wrong with a step of two operations, taken by the test and by a handler.
fn is_sound(step: fn(&Count, &AtomicU32)) -> bool {
    let test = move |cpu: mock::Cpu| {
        let shared = Rc::new((Count::new(), AtomicU32::new(0)));
        let ticks = Rc::new(Cell::new(0));
        let (of_handler, ticked) = (shared.clone(), ticks.clone());
        cpu.handle(TIMER, move || {
            ticked.set(ticked.get() + 1);
            step(&of_handler.0, &of_handler.1);
        });
        cpu.source_limited(TIMER, 2);
        step(&shared.0, &shared.1);
        let found = Cell::new((0, 0));
        shared.0.up(|| found.set((shared.1.load(Relaxed), ticks.get())));
        let (count, ticks) = found.get();
        assert_eq!(count, 1 + ticks);
    };
    Explorer::new().try_explore(test).is_ok()
}

fn step(shared: &AtomicU32) {
    shared.store(shared.load(Relaxed) + 1, Relaxed);
}

#[test]
fn exploration_finds_nothing_in_a_section_and_the_race_without() {
    assert!(is_sound(|count, shared| count.up(|| step(shared))));
    assert!(!is_sound(|_, shared| step(shared)));
}
