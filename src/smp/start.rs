//! [`ProcessorStart`]: the sequence of messages that starts a processor.
//!
//! # Safety
//!
//! See the [module above](super).
#![allow(unsafe_code)]

use core::fmt;
use core::time::Duration;

use super::{ApStatePage, set_initial_ap_state};
use crate::apic::{LocalApic, Register};

/// Interrupt command: INIT, level, asserted.
const INIT_ASSERT: u32 = 0xc500;
/// Interrupt command: INIT, level, no longer asserted; processors before the Pentium 4 need it.
const INIT_DEASSERT: u32 = 0x8500;
/// Interrupt command: STARTUP; the vector is the number of the page at which to begin.
const STARTUP: u32 = 0x600;
/// Interrupt command, delivery status: the last command is not sent yet.
const SEND_PENDING: u32 = 1 << 12;

/// How long a processor takes to reset.
const AFTER_INIT: Duration = Duration::from_millis(10);
/// How long a processor takes to notice STARTUP.
const AFTER_STARTUP: Duration = Duration::from_micros(200);
/// How long a command waits before it counts as stuck, and how often that is looked at.
const SEND_POLLS: (u32, Duration) = (100, Duration::from_micros(100));
/// How often the new processor is looked for.
const POLL: Duration = Duration::from_millis(1);

/// The page of physical memory at which a processor begins in real mode, natively.
///
/// ```
/// use paravirt_vmi::smp::TrampolinePage;
///
/// assert!(TrampolinePage::new(0x8000).is_some());
/// assert!(TrampolinePage::new(0x8004).is_none()); // not the start of a page
/// assert!(TrampolinePage::new(0x10_0000).is_none()); // real mode does not get there
/// assert!(TrampolinePage::new(0xa_0000).is_none()); // a reserved vector
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrampolinePage(u8);

impl TrampolinePage {
    /// The page at the physical address `address`, or `None` if no processor can begin there: it must be the
    /// start of a page, below 1 MiB, and not one of A0000 to BF000.
    pub const fn new(address: u32) -> Option<Self> {
        let vector = address >> 12;
        if address % 0x1000 != 0 || vector > 0xff || (vector >= 0xa0 && vector < 0xc0) {
            return None;
        }
        Some(Self(vector as u8))
    }

    /// The number of the page: STARTUP's vector.
    pub const fn vector(self) -> u8 {
        self.0
    }
}

/// A processor to start, and how.
#[derive(Clone, Copy, Debug)]
pub struct ProcessorStart<'a> {
    /// The processor's local APIC id.
    pub apic_id: u8,
    /// The state in which it starts; natively, what the code at the trampoline page makes of it.
    pub state: &'a ApStatePage,
    /// Where it begins natively. A hypervisor does not look at it.
    pub trampoline: TrampolinePage,
    /// How long to wait for it after the last message.
    pub timeout: Duration,
}

impl ProcessorStart<'_> {
    /// Starts the processor: INIT, the state, STARTUP, and STARTUP once more if it is not up by then; waits
    /// until `is_up` says that it is.
    ///
    /// `delay` waits at least as long as it is told; the time-out is counted in what it was told to wait.
    ///
    /// # Errors
    ///
    /// If the local APIC does not get rid of a message, or the processor is not up in time.
    ///
    /// # Safety
    ///
    /// * As for [`set_initial_ap_state`]. After a time-out as well: the processor may start at any time later,
    ///   so state, tables and stack stay in place.
    /// * Natively, the code at the trampoline page is there, and brings the processor to where it belongs.
    /// * `apic` is that of this processor. Nobody else here sends messages meanwhile: interrupts are masked,
    ///   or their handlers leave the interrupt command alone.
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub unsafe fn run(
        &self,
        apic: &LocalApic,
        mut delay: impl FnMut(Duration),
        mut is_up: impl FnMut() -> bool,
    ) -> Result<(), StartError> {
        // SAFETY: the processor does not run the kernel.
        unsafe { self.send(apic, INIT_ASSERT, &mut delay) }?;
        delay(AFTER_INIT);
        // SAFETY: as above.
        unsafe { self.send(apic, INIT_DEASSERT, &mut delay) }?;
        // SAFETY: passed on to the caller.
        unsafe { set_initial_ap_state(self.state, self.apic_id) };
        for _ in 0..2 {
            // SAFETY: the processor waits for this and has all that it needs; a second one is ignored.
            unsafe { self.send(apic, STARTUP | u32::from(self.trampoline.0), &mut delay) }?;
            delay(AFTER_STARTUP);
            if is_up() {
                return Ok(());
            }
        }
        let mut waited = Duration::ZERO;
        while waited < self.timeout {
            delay(POLL);
            waited += POLL;
            if is_up() {
                return Ok(());
            }
        }
        Err(self.error(StartErrorCause::TimedOut { after: self.timeout }))
    }

    /// Sends a command to the processor, and waits until it is sent.
    ///
    /// # Safety
    ///
    /// What the command does to the processor is sound.
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    unsafe fn send(
        &self,
        apic: &LocalApic,
        command: u32,
        delay: &mut impl FnMut(Duration),
    ) -> Result<(), StartError> {
        // SAFETY: selects the receiver and sends nothing.
        unsafe { apic.write(Register::INTERRUPT_COMMAND_HIGH, u32::from(self.apic_id) << 24) };
        // SAFETY: passed on to the caller.
        unsafe { apic.write(Register::INTERRUPT_COMMAND_LOW, command) };
        let (polls, pause) = SEND_POLLS;
        for _ in 0..polls {
            if apic.read(Register::INTERRUPT_COMMAND_LOW) & SEND_PENDING == 0 {
                return Ok(());
            }
            delay(pause);
        }
        Err(self.error(StartErrorCause::NotSent { command }))
    }

    fn error(&self, cause: StartErrorCause) -> StartError {
        StartError { apic_id: self.apic_id, cause }
    }
}

/// A processor that was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartError {
    /// Its local APIC id.
    pub apic_id: u8,
    /// What went wrong.
    pub cause: StartErrorCause,
}

/// What went wrong when starting a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartErrorCause {
    /// The local APIC did not send a command.
    NotSent {
        /// The command.
        command: u32,
    },
    /// The processor did not come up.
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "processor with APIC id {}: ", self.apic_id)?;
        match self.cause {
            StartErrorCause::NotSent { command } => {
                write!(f, "the local APIC does not send the command {command:#06x}")
            }
            StartErrorCause::TimedOut { after } => {
                write!(f, "not up {after:?} after STARTUP: there is none, or its state was refused")
            }
        }
    }
}

impl core::error::Error for StartError {}
