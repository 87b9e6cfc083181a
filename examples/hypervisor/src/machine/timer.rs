//! The real interval timer: channel 0 interrupts the guest at the next deadline, channel 2 measured how fast
//! the time-stamp counter runs.
//!
//! # Safety
//!
//! The ports belong to the timer, which only raises interrupt line 0, and to the speaker, which is silent.
#![allow(unsafe_code)]

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use vmi_hypervisor::layout::REAL_INTERRUPTS;

use super::pic;
use crate::port::Port;

// SAFETY: a register of the timer.
const CHANNEL_0: Port = unsafe { Port::new(0x40) };
// SAFETY: a register of the timer.
const CHANNEL_2: Port = unsafe { Port::new(0x42) };
// SAFETY: a register of the timer.
const CONTROL: Port = unsafe { Port::new(0x43) };
// SAFETY: the gate and the output of channel 2, and the speaker.
const SPEAKER: Port = unsafe { Port::new(0x61) };

/// Control word: channel 0, both bytes, mode 0 (one interrupt at the end of the count).
const ONE_SHOT: u8 = 0x30;
/// Control word: channel 2, both bytes, mode 0.
const MEASURE: u8 = 0xB0;
/// SPEAKER: channel 2 counts; the speaker does not listen.
const GATE: u8 = 1;
/// SPEAKER: the output of channel 2.
const OUTPUT: u8 = 1 << 5;
/// Counts a second.
const FREQUENCY: u64 = 1_193_182;
/// Counts of the measurement: 10 milliseconds.
const MEASURED: u16 = 11_932;

/// The time-stamp counter.
pub fn cycles() -> u64 {
    // SAFETY: every processor with PAE has the instruction.
    unsafe { core::arch::x86::_rdtsc() }
}

/// Whether the timer has run out since it was last set.
static EXPIRED: AtomicBool = AtomicBool::new(false);

/// Answers a real interrupt. Returns whether `vector` is one.
pub fn interrupted(vector: u8) -> bool {
    let Some(line) = vector.checked_sub(REAL_INTERRUPTS).filter(|line| *line < 16) else {
        return false;
    };
    // All other lines are masked: what comes by them went away again, and no end of interrupt is due.
    if line == pic::TIMER {
        pic::end_of_interrupt();
        EXPIRED.store(true, Relaxed);
    }
    true
}

/// The timer.
pub struct Timer {
    /// Of the time-stamp counter.
    frequency: u64,
    /// The time it is set to.
    deadline: Option<u64>,
}

impl Timer {
    /// Measures the frequency of the time-stamp counter.
    pub fn new() -> Self {
        let [low, high] = MEASURED.to_le_bytes();
        SPEAKER.write(GATE);
        CONTROL.write(MEASURE);
        CHANNEL_2.write(low);
        CHANNEL_2.write(high);
        let start = cycles();
        while SPEAKER.read() & OUTPUT == 0 {
            core::hint::spin_loop();
        }
        let frequency = (cycles() - start) * FREQUENCY / u64::from(MEASURED);
        Self { frequency, deadline: None }
    }

    /// The frequency of the time-stamp counter, in Hz.
    pub fn frequency(&self) -> u64 {
        self.frequency
    }

    /// Sees to it that an interrupt comes at `deadline`, or before if that is far; `None`: none has to come.
    pub fn set(&mut self, deadline: Option<u64>) {
        if EXPIRED.swap(false, Relaxed) {
            self.deadline = None;
        }
        let Some(wanted) = deadline.filter(|_| self.deadline != deadline) else {
            return;
        };
        self.deadline = deadline;
        let wait = wanted.saturating_sub(cycles()).min(self.frequency);
        let count = (wait * FREQUENCY).div_ceil(self.frequency).clamp(1, u16::MAX.into());
        let [low, high] = (count as u16).to_le_bytes();
        CONTROL.write(ONE_SHOT);
        CHANNEL_0.write(low);
        CHANNEL_0.write(high);
    }

    /// Sleeps until an interrupt has come.
    pub fn wait() {
        // SAFETY: the gates mask interrupts again, and `ring_0_interrupted` keeps all registers.
        unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
    }

    /// Spends time: at least that many cycles. Returns how many it was.
    pub fn spend(cycles: u64) -> u64 {
        let start = self::cycles();
        loop {
            let spent = self::cycles() - start;
            if spent >= cycles {
                return spent;
            }
            core::hint::spin_loop();
        }
    }
}
