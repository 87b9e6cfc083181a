//! Shared memory on the mock processor: what each access does, and that it is an operation.

use core::fmt::Debug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{self as core_atomic};
use std::cell::Cell;
use std::rc::Rc;

use paravirt_vmi::irq;
use paravirt_vmi::mock::{self, Cpu, Event, FailureCause, Limits, Misuse};
use paravirt_vmi::sync::{UnsafeCell, atomic};

/// The accesses that `f` makes, by name.
fn accesses(f: impl FnOnce()) -> Vec<&'static str> {
    let before = Cpu::current().journal().len();
    f();
    let journal = Cpu::current().journal().split_off(before);
    let names = journal.iter().map(|entry| match entry.event {
        Event::Access { name } => name,
        ref other => panic!("{other}"),
    });
    names.collect()
}

/// Calls a method on an atomic of ours and on that of `core`: the same result, the same value, and one access called
/// like the method.
macro_rules! compare {
    ($type:ident($value:expr): $($method:ident($($argument:expr),*)),* $(,)?) => {$(
        let (ours, theirs) = (atomic::$type::new($value), core_atomic::$type::new($value));
        let mut result = None;
        let names = accesses(|| result = Some(text(&ours.$method($($argument),*))));
        assert_eq!(names, [concat!(stringify!($type), "::", stringify!($method))]);
        assert_eq!(result, Some(text(&theirs.$method($($argument),*))), stringify!($type::$method));
        assert_eq!(ours.into_inner(), theirs.into_inner(), stringify!($type::$method));
    )*};
}

fn text(value: &impl Debug) -> String {
    format!("{value:?}")
}

macro_rules! compare_all {
    ($type:ident($value:expr, $other:expr)) => {
        compare! {
            $type($value):
            load(SeqCst),
            store($other, SeqCst),
            swap($other, SeqCst),
            compare_exchange($value, $other, SeqCst, Relaxed),
            compare_exchange($other, $other, SeqCst, Relaxed),
            compare_exchange_weak($other, $value, SeqCst, Relaxed),
        }
        let mut atomic = atomic::$type::from($value);
        assert!(accesses(|| _ = text(&atomic)).is_empty());
        assert_eq!(text(&atomic), text(&core_atomic::$type::new($value)));
        assert!(accesses(|| *atomic.get_mut() = $other).is_empty());
        let [atomic, default] = [atomic, Default::default()];
        let [_, expected] = [core_atomic::$type::new($value), Default::default()];
        assert_eq!(atomic.into_inner(), $other);
        assert_eq!(default.into_inner(), expected.into_inner());
    };
}

macro_rules! compare_integer {
    ($type:ident($value:expr, $other:expr)) => {
        compare_all!($type($value, $other));
        compare! {
            $type($value):
            fetch_add($other, SeqCst),
            fetch_sub($other, SeqCst),
            fetch_and($other, SeqCst),
            fetch_nand($other, SeqCst),
            fetch_or($other, SeqCst),
            fetch_xor($other, SeqCst),
            fetch_max($other, SeqCst),
            fetch_min($other, SeqCst),
        }
    };
}

#[test]
fn atomic_integers_do_what_those_of_core_do_in_one_operation_each() {
    compare_integer!(AtomicU8(0x0F, 0xF6));
    compare_integer!(AtomicU16(0xFF0F, 0x00F6));
    compare_integer!(AtomicU32(7, u32::MAX - 3));
    compare_integer!(AtomicUsize(7, usize::MAX - 3));
    compare_integer!(AtomicI32(-7, 12));
    compare_integer!(AtomicIsize(7, -12));
}

#[test]
fn atomic_booleans_and_pointers_do_what_those_of_core_do_in_one_operation_each() {
    compare_all!(AtomicBool(true, false));
    for (value, other) in [(false, false), (false, true), (true, false), (true, true)] {
        compare! {
            AtomicBool(value):
            fetch_and(other, SeqCst),
            fetch_nand(other, SeqCst),
            fetch_or(other, SeqCst),
            fetch_xor(other, SeqCst),
            fetch_not(SeqCst),
        }
    }
    let (mut a, mut b) = (1, 2);
    let (a, b): (*mut i32, *mut i32) = (&mut a, &mut b);
    compare_all!(AtomicPtr(a, b));
}

#[test]
fn fetch_update_is_a_load_and_an_exchange_and_starts_again_if_something_came_between() {
    let atomic = atomic::AtomicU32::new(1);
    let names = accesses(|| assert_eq!(atomic.fetch_update(SeqCst, SeqCst, |value| Some(value + 1)), Ok(1)));
    assert_eq!(names, ["AtomicU32::load", "AtomicU32::compare_exchange_weak"]);
    let names = accesses(|| assert_eq!(atomic.fetch_update(SeqCst, SeqCst, |_| None), Err(2)));
    assert_eq!(names, ["AtomicU32::load"]);

    let coverage = mock::explore(|cpu| {
        let atomic = Rc::new(atomic::AtomicU32::new(0));
        let interrupts = Rc::new(Cell::new(0));
        let (shared, count) = (atomic.clone(), interrupts.clone());
        cpu.handle(0x20, move || {
            shared.fetch_add(1, SeqCst);
            count.set(count.get() + 1);
        });
        cpu.source(0x20);
        _ = atomic.fetch_update(SeqCst, SeqCst, |value| Some(value + 10));
        assert_eq!(atomic.load(SeqCst), 10 + interrupts.get());
    });
    // Load, exchange, load at the end, the end: with an interrupt behind the first load one more exchange.
    assert_eq!(coverage.flavours()[0].points, 4);
    assert!(coverage.flavours()[0].longest > 4, "{coverage}");
}

#[test]
fn a_cell_holds_its_value() {
    let mut cell = UnsafeCell::new([1, 2, 3]);
    // SAFETY: nothing else has access.
    let names = accesses(|| cell.with_mut(|value| unsafe { (*value)[1] = 5 }));
    assert_eq!(names, ["UnsafeCell::with_mut"]);
    // SAFETY: as above.
    let names = accesses(|| assert_eq!(cell.with(|value| unsafe { (*value)[1] }), 5));
    assert_eq!(names, ["UnsafeCell::with"]);
    assert!(accesses(|| cell.get_mut()[0] = 4).is_empty());
    assert_eq!(format!("{cell:?}"), "UnsafeCell { .. }");
    assert_eq!(cell.into_inner(), [4, 5, 3]);
    assert_eq!(UnsafeCell::<u8>::default().into_inner(), 0);
    assert_eq!(UnsafeCell::from('x').into_inner(), 'x');
}

/// Runs `main` with a handler that is raised by it.
fn interrupted(
    main: impl FnOnce(Cpu) + Send + 'static,
    handler: impl Fn() + Send + 'static,
) -> Result<(), FailureCause> {
    let result = mock::try_run(Limits::DEFAULT, |cpu| {
        cpu.handle(0x20, handler);
        main(cpu);
    });
    result.map_err(|failure| failure.cause)
}

/// A cell that both can reach; what is done to it goes wrong only in the tests.
struct Shared(UnsafeCell<[u32; 4]>);

// SAFETY: each test uses it in one thread.
unsafe impl Sync for Shared {}

impl Shared {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; 4]))
    }

    #[track_caller]
    fn read(&self) {
        self.0.with(|_| ());
    }
}

#[test]
fn an_access_in_the_middle_of_another_is_a_data_race_if_one_writes() {
    static SHARED: Shared = Shared::new();
    let result = interrupted(|cpu| SHARED.0.with_mut(|_| cpu.raise(0x20)), || SHARED.read());
    let Err(FailureCause::Misuse(race @ Misuse::DataRace { .. })) = result else { panic!("{result:?}") };
    let (file, line) = (file!(), line!() - 2);
    assert_eq!(
        race.to_string(),
        format!(
            "data race: UnsafeCell::with at {file}:{line}, in a handler that has interrupted the access at {file}:{line}"
        )
    );
    let write = || SHARED.0.with_mut(|_| ());
    let result = interrupted(|cpu| SHARED.0.with(|_| cpu.raise(0x20)), write);
    assert!(matches!(result, Err(FailureCause::Misuse(Misuse::DataRace { .. }))), "{result:?}");
    let result = interrupted(|cpu| SHARED.0.with_mut(|_| cpu.raise(0x20)), write);
    assert!(matches!(result, Err(FailureCause::Misuse(Misuse::DataRace { .. }))), "{result:?}");
    assert_eq!(interrupted(|cpu| SHARED.0.with(|_| cpu.raise(0x20)), || SHARED.read()), Ok(()));
}

#[test]
fn accesses_behind_one_another_or_to_other_memory_are_no_data_race() {
    static SHARED: Shared = Shared::new();
    static OTHER: Shared = Shared::new();
    let write = || SHARED.0.with_mut(|_| ());
    let behind = |cpu: Cpu| {
        SHARED.0.with_mut(|_| ());
        cpu.raise(0x20);
    };
    assert_eq!(interrupted(behind, write), Ok(()));
    assert_eq!(interrupted(|cpu| OTHER.0.with_mut(|_| cpu.raise(0x20)), write), Ok(()));
    // Of a section the end delivers, behind the access.
    let masked = |cpu: Cpu| irq::without_interrupts(|| SHARED.0.with_mut(|_| cpu.raise(0x20)));
    assert_eq!(interrupted(masked, write), Ok(()));
    // The code that is interrupted accesses the cell again.
    assert_eq!(interrupted(|_| SHARED.0.with_mut(|_| SHARED.0.with_mut(|_| ())), write), Ok(()));
}

#[test]
fn nothing_can_race_for_memory_without_size() {
    let failure = mock::try_run(Limits::DEFAULT, |cpu| {
        let cell = Rc::new(UnsafeCell::new(()));
        let of_handler = cell.clone();
        cpu.handle(0x20, move || of_handler.with_mut(|_| ()));
        cell.with_mut(|_| cpu.raise(0x20));
    });
    assert!(failure.is_ok());
}

#[test]
fn an_access_that_unwinds_is_over() {
    static SHARED: Shared = Shared::new();
    let main = |cpu: Cpu| {
        let unwound = std::panic::catch_unwind(|| SHARED.0.with_mut(|_| panic!("on purpose")));
        assert!(unwound.is_err());
        cpu.raise(0x20);
    };
    assert_eq!(interrupted(main, || SHARED.read()), Ok(()));
}

#[test]
fn a_pending_interrupt_arrives_inside_an_access_behind_sti() {
    static SHARED: Shared = Shared::new();
    let main = |cpu: Cpu| {
        irq::disable();
        cpu.raise(0x20);
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable() };
        SHARED.0.with_mut(|_| ());
    };
    let result = interrupted(main, || SHARED.read());
    assert!(matches!(result, Err(FailureCause::Misuse(Misuse::DataRace { .. }))), "{result:?}");
}

#[test]
fn a_store_is_no_check_for_work() {
    // An interrupt between a store and a halt is not lost: nothing was asked.
    let main = |cpu: Cpu| {
        let flag = atomic::AtomicBool::new(false);
        flag.store(true, Relaxed);
        cpu.raise(0x20);
        cpu.source(0x20);
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable_and_halt() };
    };
    assert_eq!(interrupted(main, || ()), Ok(()));
    let main = |cpu: Cpu| {
        let flag = atomic::AtomicBool::new(false);
        flag.swap(true, Relaxed);
        cpu.raise(0x20);
        cpu.source(0x20);
        // SAFETY: as above.
        unsafe { irq::enable_and_halt() };
    };
    let result = interrupted(main, || ());
    assert!(matches!(result, Err(FailureCause::Misuse(Misuse::LostWakeUp { .. }))), "{result:?}");
}
