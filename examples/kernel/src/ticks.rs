//! The timer interrupt: counts its ticks, and whatever about a tick should never be.
//!
//! # Safety
//!
//! The handler unmasks interrupts where it can be entered again.
#![allow(unsafe_code)]

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use paravirt_vmi::irq;

use crate::traps::Frame;
use crate::{direction, mailbox, pic, sampling, vga};

/// The interrupt line of the timer.
pub const LINE: u8 = 0;

/// How often a wait looks before it gives up; far longer than any period of the timer.
const PATIENCE: u32 = 4_000_000;

// One processor, and `irq` orders memory accesses around masking: relaxed order is enough.
static DELIVERED: AtomicU32 = AtomicU32::new(0);
static FROM_USER: AtomicU32 = AtomicU32::new(0);
static WHILE_MASKED: AtomicU32 = AtomicU32::new(0);
static FROM_MASKED_FRAME: AtomicU32 = AtomicU32::new(0);
static ENTERED_ENABLED: AtomicU32 = AtomicU32::new(0);
static ENTERED_BACKWARD: AtomicU32 = AtomicU32::new(0);

/// Set by whoever wants to see it reach zero; each tick takes one off.
pub static COUNTDOWN: AtomicU32 = AtomicU32::new(0);

static BELIEVED_MASKED: AtomicBool = AtomicBool::new(false);

/// The first address that is watched, and the first behind it.
static WATCHED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static WHILE_WATCHED: AtomicU32 = AtomicU32::new(0);
/// How many instructions a tick has to do besides.
static WORK: AtomicU32 = AtomicU32::new(0);

static DEPTH: AtomicU32 = AtomicU32::new(0);
static DEEPEST: AtomicU32 = AtomicU32::new(0);
static DEPTH_LIMIT: AtomicU32 = AtomicU32::new(1);

/// What the handler has counted since boot.
pub struct Counts {
    /// Ticks delivered.
    pub delivered: u32,
    /// Of these, ticks that interrupted ring 3.
    pub from_user: u32,
    /// Of these, ticks that came while the kernel said that it had masked them.
    pub while_masked: u32,
    /// Of these, ticks whose frame leads back to masked interrupts.
    pub from_masked_frame: u32,
    /// Of these, ticks whose handler was entered with interrupts enabled.
    pub entered_enabled: u32,
    /// Of these, ticks whose handler was entered with the direction flag set.
    pub entered_backward: u32,
}

/// What the handler has counted since boot.
pub fn counts() -> Counts {
    Counts {
        delivered: DELIVERED.load(Relaxed),
        from_user: FROM_USER.load(Relaxed),
        while_masked: WHILE_MASKED.load(Relaxed),
        from_masked_frame: FROM_MASKED_FRAME.load(Relaxed),
        entered_enabled: ENTERED_ENABLED.load(Relaxed),
        entered_backward: ENTERED_BACKWARD.load(Relaxed),
    }
}

/// The number of ticks delivered since boot.
pub fn count() -> u32 {
    DELIVERED.load(Relaxed)
}

/// Tells the handler whether the kernel takes interrupts to be masked; returns what it was told before.
pub fn believe_masked(masked: bool) -> bool {
    BELIEVED_MASKED.swap(masked, Relaxed)
}

/// Counts the ticks that interrupt ring 3 at one of these addresses while `f` runs.
pub fn watch(addresses: Range<u32>, f: impl FnOnce()) -> u32 {
    let before = WHILE_WATCHED.load(Relaxed);
    WATCHED[0].store(addresses.start, Relaxed);
    WATCHED[1].store(addresses.end, Relaxed);
    f();
    WATCHED[1].store(0, Relaxed);
    WHILE_WATCHED.load(Relaxed) - before
}

/// Makes every tick take about as many instructions longer, as on a machine with much to do.
pub fn set_work(instructions: u32) {
    WORK.store(instructions, Relaxed);
}

/// Waits until `count` ticks have been delivered since boot; returns whether it came to that.
pub fn wait_for(count: u32) -> bool {
    wait_until(|| self::count() >= count)
}

/// Waits until the interrupt controller holds a tick; returns whether it came to that.
pub fn wait_until_pending() -> bool {
    wait_until(|| pic::is_pending(LINE))
}

fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    (0..PATIENCE).any(|_| condition())
}

/// Lets handlers interrupt each other until `limit` of them run at once.
pub fn set_depth_limit(limit: u32) {
    DEEPEST.store(0, Relaxed);
    DEPTH_LIMIT.store(limit, Relaxed);
}

/// The number of handlers that run now, and the highest it was since the limit was set.
pub fn depths() -> (u32, u32) {
    (DEPTH.load(Relaxed), DEEPEST.load(Relaxed))
}

/// Handles one interrupt of the timer.
pub fn on_tick(frame: &Frame) {
    // First: it sees how late it is.
    sampling::on_tick();
    let count_if = |counter: &AtomicU32, condition| {
        counter.fetch_add(u32::from(condition), Relaxed);
    };
    count_if(&WHILE_MASKED, BELIEVED_MASKED.load(Relaxed));
    count_if(&FROM_MASKED_FRAME, !frame.interrupts_enabled());
    count_if(&ENTERED_ENABLED, irq::is_enabled());
    count_if(&ENTERED_BACKWARD, !direction::is_forward());
    count_if(&FROM_USER, frame.interrupted_user());
    let [first, behind] = WATCHED.each_ref().map(|address| address.load(Relaxed));
    count_if(&WHILE_WATCHED, frame.interrupted_user() && (first..behind).contains(&frame.eip));
    count_if(&DELIVERED, true);
    vga::on_tick(count());
    mailbox::on_tick();
    COUNTDOWN.store(COUNTDOWN.load(Relaxed).saturating_sub(1), Relaxed);
    for turn in 0..WORK.load(Relaxed) / 2 {
        core::hint::black_box(turn);
    }
    pic::end_of_interrupt();

    let depth = DEPTH.fetch_add(1, Relaxed) + 1;
    DEEPEST.fetch_max(depth, Relaxed);
    if depth < DEPTH_LIMIT.load(Relaxed) {
        let next = count() + 1;
        // SAFETY: the frame is complete and the controller has its end of interrupt, so the handler
        // can be interrupted by itself.
        unsafe { irq::enable() };
        let came = wait_for(next);
        irq::disable();
        if !came {
            // Later ticks would wait in vain too, and leave no time for the code that they interrupt.
            DEPTH_LIMIT.store(1, Relaxed);
        }
    }
    DEPTH.fetch_sub(1, Relaxed);
}
