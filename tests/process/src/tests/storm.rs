//! Interrupts at any time: from another thread and from a timer, while the kernel masks and unmasks.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use paravirt_vmi::irq;
use vmi_hypervisor::rom::Leave;

use super::{tests, wait_until};
use crate::guest::{self, Kernel, MASKED, SHARED_COUNTER};
use crate::monitor;

tests![
    a_hundred_thousand_sections_in_a_storm_of_another_thread,
    a_storm_of_a_timer,
    a_storm_on_returns_by_jump,
];

/// How many sections there are.
const SECTIONS: u32 = 100_000;
/// How many interrupts there have to be for it to be a storm.
const STORM: u32 = 1000;
/// How many are enough on a busy machine, after [`PATIENCE`].
const BREEZE: u32 = 20;
/// How long a storm is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a storm may take.
const LIMIT: Duration = Duration::from_secs(50);

/// Numbers without a pattern (xorshift).
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// Counts in a section on which the handler must not break in.
fn section(random: &mut Random) {
    irq::without_interrupts(|| {
        MASKED.store(true, SeqCst);
        for _ in 0..random.next() % 16 {
            std::hint::spin_loop();
        }
        if random.next().is_multiple_of(4) {
            irq::without_interrupts(|| assert!(!irq::is_enabled()));
        }
        assert!(!irq::is_enabled());
        guest::count_unprotected();
        MASKED.store(false, SeqCst);
    });
}

/// Enters sections until there were enough of them, and of interrupts; how many there were.
fn sections() -> u32 {
    let start = Instant::now();
    let mut random = Random(0x2006_0316);
    let mut count = 0;
    while count < SECTIONS
        || guest::HANDLED.load(SeqCst) < if start.elapsed() < PATIENCE { STORM } else { BREEZE }
    {
        section(&mut random);
        count += 1;
        assert!(start.elapsed() < LIMIT, "{count} sections, {} interrupts", guest::HANDLED.load(SeqCst));
    }
    count
}

/// What must hold when the storm is over.
fn is_over(sections: u32) -> u32 {
    let handled = guest::all_handled();
    assert_eq!(SHARED_COUNTER.load(SeqCst), sections + handled, "counts of sections and handlers");
    assert!(handled >= BREEZE);
    assert!(monitor::flag());
    handled
}

/// Every interrupt that is sent has come up before the next one is: none are one.
fn storm_of_a_thread(leave: Leave) {
    static STOP: AtomicBool = AtomicBool::new(false);
    let kernel = Kernel::boot(leave);
    let line = kernel.line;
    guest::enable();
    let sender = thread::spawn(move || {
        let mut sent = 0;
        while !STOP.load(SeqCst) {
            line.raise();
            sent += 1;
            wait_until(|| monitor::RAISED.load(SeqCst) == sent);
        }
        sent
    });
    let count = sections();
    STOP.store(true, SeqCst);
    let sent = sender.join().expect("the sender ends");
    let handled = is_over(count);
    assert_eq!(handled, sent);
    println!("{count} sections, {handled} interrupts, {} put back", monitor::ROLLED_BACK.load(SeqCst));
}

fn a_hundred_thousand_sections_in_a_storm_of_another_thread() {
    storm_of_a_thread(Leave::ByCall);
}

fn a_storm_on_returns_by_jump() {
    storm_of_a_thread(Leave::ByJump);
}

fn a_storm_of_a_timer() {
    let kernel = Kernel::boot(Leave::ByCall);
    guest::enable();
    kernel.line.start_timer(1_000_000);
    let count = sections();
    // The timer goes on; the counts are those of one moment.
    irq::without_interrupts(|| {
        let handled = guest::HANDLED.load(SeqCst);
        assert_eq!(handled, monitor::DELIVERED.load(SeqCst));
        assert_eq!(SHARED_COUNTER.load(SeqCst), count + handled);
        assert_eq!(guest::OUT_OF_ORDER.load(SeqCst), 0);
        assert_eq!(guest::WHILE_MASKED.load(SeqCst), 0);
    });
}
