//! How many runs an exploration takes: exactly those that the documentation of `Explorer` says.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use paravirt_vmi::irq;
use paravirt_vmi::mock::{self, Coverage, Cpu, Explorer, Flavour};

fn binomial(n: u128, k: u128) -> u128 {
    (0..k).fold(1, |product, i| product * (n - i) / (i + 1))
}

/// The runs with exactly `j` interrupts in a test of `n` points, with `v` vectors whose handlers have no points.
fn straight(n: u128, v: u128, j: u128) -> u128 {
    binomial(n + j - 1, j) * v.pow(j as u32)
}

/// The same with handlers of `m` points that can all interrupt each other.
fn nested(n: u128, v: u128, m: u128, j: u128) -> u128 {
    n * binomial(n + j * (m + 1), j) / (n + j * (m + 1)) * v.pow(j as u32)
}

/// At which positions of a run interrupts came, and by which vectors.
type Interrupts = Vec<(usize, u8)>;

/// What has happened in a run, put into a set when the run is over.
struct Trace {
    seen: RefCell<Interrupts>,
    all: Arc<Mutex<HashSet<Interrupts>>>,
}

impl Drop for Trace {
    fn drop(&mut self) {
        let is_new = self.all.lock().unwrap().insert(self.seen.take());
        assert!(is_new, "a run that was there before");
    }
}

/// Explores a test of `n` points with `v` vectors, whose handlers mark `marks` points with interrupts unmasked, if
/// `marks` is not zero; looks that no two runs are the same.
fn explore(explorer: &Explorer, n: usize, v: u8, marks: usize, reentrant: bool) -> Coverage {
    let all = Arc::new(Mutex::new(HashSet::new()));
    let of_test = all.clone();
    let coverage = explorer.clone().flavour(Flavour::Vmi).explore(move |cpu| {
        let trace = Rc::new(Trace { seen: RefCell::new(Vec::new()), all: of_test.clone() });
        let position = Rc::new(Cell::new(0));
        for vector in 0x20..0x20 + v {
            let (trace, position) = (trace.clone(), position.clone());
            let handler = move || {
                trace.seen.borrow_mut().push((position.get(), vector));
                if marks > 0 {
                    // SAFETY: nothing relies on masked interrupts.
                    unsafe { irq::enable() };
                    // The call that masks interrupts again has a gap in front of it, too.
                    for _ in 1..marks {
                        position.set(position.get() + 1);
                        cpu.point();
                    }
                    position.set(position.get() + 1);
                    irq::disable();
                    position.set(position.get() + 1);
                }
            };
            if reentrant {
                cpu.handle_reentrant(vector, handler);
            } else {
                cpu.handle(vector, handler);
            }
            cpu.source(vector);
        }
        // The end of the test is a point, too.
        for _ in 1..n {
            cpu.point();
            position.set(position.get() + 1);
        }
    });
    assert_eq!(all.lock().unwrap().len(), coverage.runs());
    coverage
}

#[test]
fn the_number_of_runs_is_that_of_the_formula() {
    for (n, k, v) in [
        (1, 0, 1),
        (1, 1, 1),
        (1, 5, 1),
        (1, 4, 3),
        (2, 1, 1),
        (2, 6, 1),
        (3, 3, 2),
        (5, 4, 2),
        (7, 3, 3),
        (12, 4, 1),
        (30, 2, 2),
        (200, 1, 4),
    ] {
        let coverage = explore(&Explorer::new().bound(k), n, v, 0, false);
        let [covered] = coverage.flavours() else { panic!("one flavour was asked for") };
        let expected: Vec<_> = (0..=k).map(|j| straight(n as u128, v.into(), j as u128) as usize).collect();
        assert_eq!(covered.runs, expected, "{n} points, bound {k}, {v} vectors");
        assert_eq!((covered.points, coverage.bound()), (n, k));
        assert_eq!(coverage.runs(), expected.iter().sum());
    }
}

#[test]
fn handlers_with_points_take_the_runs_of_the_other_formula() {
    for (n, k, v, m) in [
        (1, 3, 1, 1),
        (1, 4, 1, 2),
        (1, 3, 2, 3),
        (2, 3, 2, 1),
        (3, 3, 1, 4),
        (4, 3, 2, 2),
        (6, 4, 1, 1),
        (9, 2, 3, 2),
    ] {
        let coverage = explore(&Explorer::new().bound(k), n, v, m, true);
        let expected: Vec<_> =
            (0..=k).map(|j| nested(n as u128, v.into(), m as u128, j as u128) as usize).collect();
        assert_eq!(coverage.flavours()[0].runs, expected, "{n} points, bound {k}, {v} vectors, {m} each");
    }
    for (n, v, j) in [(1, 1, 0), (5, 2, 3), (9, 1, 4)] {
        assert_eq!(nested(n, v, 0, j), straight(n, v, j));
    }
}

/// The coefficients of a power series in the number of interrupts.
type Series = Vec<usize>;

fn product(a: &Series, b: &Series) -> Series {
    (0..a.len()).map(|j| (0..=j).map(|i| a[i] * b[j - i]).sum()).collect()
}

/// In how many ways one gap can be interrupted while the handlers in `active` are under way, each of which does not
/// interrupt itself and has `m` points.
fn gap(active: u32, v: u32, m: usize, k: usize) -> Series {
    let one: Series = (0..=k).map(|j| usize::from(j == 0)).collect();
    let mut choices = vec![0; k + 1];
    for vector in (0..v).filter(|vector| active & 1 << vector == 0) {
        let inner = gap(active | 1 << vector, v, m, k);
        let handler = (0..m).fold(one.clone(), |ways, _| product(&ways, &inner));
        for j in 0..k {
            choices[j + 1] += handler[j];
        }
    }
    // Nothing, or one interrupt and then the same gap again.
    let mut ways = one.clone();
    for _ in 0..k {
        ways = product(&choices, &ways);
        ways[0] += 1;
    }
    ways
}

#[test]
fn a_handler_does_not_interrupt_itself_unless_it_may() {
    for (n, k, v, m) in [(2, 3, 1, 2), (3, 3, 2, 1), (2, 4, 3, 1), (4, 3, 2, 3)] {
        let coverage = explore(&Explorer::new().bound(k), n, v, m, false);
        let inside = gap(0, v.into(), m, k);
        let one: Series = (0..=k).map(|j| usize::from(j == 0)).collect();
        let expected = (0..n).fold(one, |ways, _| product(&ways, &inside));
        assert_eq!(coverage.flavours()[0].runs, expected, "{n} points, bound {k}, {v} vectors, {m} each");
    }
}

#[test]
fn a_source_with_a_limit_interrupts_so_often_and_no_more() {
    let runs = |limit| {
        let coverage = Explorer::new().bound(4).flavour(Flavour::Native).explore(move |cpu| {
            cpu.handle(0x20, || ());
            cpu.source_limited(0x20, limit);
            (0..2).for_each(|_| cpu.point());
        });
        coverage.flavours()[0].runs.clone()
    };
    assert_eq!(runs(0), [1, 0, 0, 0, 0]);
    assert_eq!(runs(1), [1, 3, 0, 0, 0]);
    assert_eq!(runs(3), [1, 3, 6, 10, 0]);
    assert_eq!(runs(4), [1, 3, 6, 10, 15]);
}

#[test]
fn both_flavours_are_explored_and_only_the_machine_has_the_shadow_of_sti() {
    let coverage = mock::explore(|cpu: Cpu| {
        cpu.handle(0x20, || ());
        cpu.source(0x20);
        irq::disable();
        // SAFETY: nothing relies on masked interrupts.
        unsafe { irq::enable() };
        cpu.point();
        cpu.point();
    });
    let [native, vmi] = coverage.flavours() else { panic!("two flavours") };
    // Before the mask, in front of the second mark and at the end; under VMI in front of the first mark, too.
    assert_eq!((native.flavour, native.points, &*native.runs), (Flavour::Native, 3, &[1, 3, 6][..]));
    assert_eq!((vmi.flavour, vmi.points, &*vmi.runs), (Flavour::Vmi, 4, &[1, 4, 10][..]));
    assert_eq!(coverage.runs(), 25);
}

#[test]
fn a_test_without_sources_is_run_once_on_each_flavour() {
    let coverage = mock::explore(|cpu| cpu.point());
    assert_eq!(coverage.runs(), 2);
    assert_eq!(coverage.flavours()[0].runs, [1, 0, 0]);
    assert_eq!(coverage.flavours()[0].points, 0);
}

#[test]
fn the_coverage_says_in_a_table_that_everything_is_covered() {
    let coverage = mock::explore(|cpu| {
        cpu.handle(0x20, || ());
        cpu.source(0x20);
        (0..9).for_each(|_| cpu.point());
    });
    let expected = "\
flavour  points  longest run  runs  with 0  with 1  with 2
native       10            9    66       1      10      55
vmi          10            9    66       1      10      55
every way to have up to 2 interrupts is covered, in 132 runs";
    assert_eq!(coverage.to_string(), expected);
    let coverage = Explorer::new().bound(1).flavour(Flavour::Vmi).explore(|cpu| cpu.point());
    let text = coverage.to_string();
    assert!(text.ends_with("\nevery way to have up to 1 interrupt is covered, in 1 runs"), "{text}");
}
