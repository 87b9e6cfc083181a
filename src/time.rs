//! The hypervisor's clock: counters, alarms and the time of day.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`Clock::find`] | there is none | GetCycleFrequency (66) |
//! | [`Clock::counter`] | - | GetCycleCounter (67) |
//! | [`Clock::set_alarm`], [`Clock::cancel_alarm`] | - | SetAlarm (68), CancelAlarm (69) |
//! | [`Clock::wall_clock`], [`Clock::wall_clock_jumped`] | - | GetWallclockTime (70), WallclockUpdated (71) |
//!
//! A hypervisor need not have one, and the machine has none: then [`Clock::find`] answers `None`, and the
//! kernel keeps to its own timers. A processor is *running*, *halted* (since
//! [`irq::enable_and_halt`](crate::irq::enable_and_halt), until there is work), or *ready*: it could run and
//! does not get the machine. Source: facts sheet, section 7.6.
//!
//! # Safety
//!
//! The blocks below make the calls of the table. None of them touches memory; the interrupt that an alarm
//! raises is the business of whoever unmasks it.
#![allow(unsafe_code)]

use core::num::NonZero;
use core::time::Duration;

use paravirt_vmi_abi::flags::{AlarmFlags, Counter};

use crate::arch;

/// The hypervisor's clock.
///
/// ```
/// use paravirt_vmi::time::Clock;
///
/// assert_eq!(Clock::find(), None); // natively
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    frequency: NonZero<u64>,
}

/// A counter that has an alarm on each processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlarmCounter {
    /// [`Counter::REAL`].
    Real,
    /// [`Counter::AVAILABLE`].
    Available,
}

impl AlarmCounter {
    /// The counter.
    pub const fn counter(self) -> Counter {
        match self {
            Self::Real => Counter::REAL,
            Self::Available => Counter::AVAILABLE,
        }
    }
}

/// The interrupt that an alarm raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wiring {
    /// IRQ 0, that of the interval timer.
    Irq0,
    /// The timer vector of the local APIC.
    LocalApicTimer,
}

/// When an alarm goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alarm {
    /// The counter that is compared.
    pub counter: AlarmCounter,
    /// The count at which the alarm goes off: then or later, and only while the processor runs. A halted
    /// processor is woken.
    pub expiry: u64,
    /// After how many cycles it goes off again; `None`: it goes off once. Those that were missed count as
    /// one.
    pub period: Option<NonZero<u64>>,
    /// The interrupt that it raises.
    pub wiring: Wiring,
}

impl Clock {
    /// The clock, if there is one.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn find() -> Option<Self> {
        // SAFETY: reads only.
        let frequency = unsafe { arch::call::get_cycle_frequency() };
        NonZero::new(frequency).map(|frequency| Self { frequency })
    }

    /// Cycles per second. Changes at vmi_init at the most.
    pub const fn frequency(&self) -> NonZero<u64> {
        self.frequency
    }

    /// The count of `counter` (EAX), from EDX:EAX. Real = available + stolen.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn counter(&self, counter: Counter) -> u64 {
        // SAFETY: reads only.
        unsafe { arch::call::get_cycle_counter(counter.0) }
    }

    /// Sets this processor's alarm of a counter, and with it cancels what was set before: flags in EAX,
    /// expiry in ECX:EDX, period on the stack.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn set_alarm(&self, alarm: Alarm) {
        let wiring = match alarm.wiring {
            Wiring::Irq0 => AlarmFlags::WIRED_IRQ0,
            Wiring::LocalApicTimer => AlarmFlags::WIRED_LVTT,
        };
        let repetition = match alarm.period {
            Some(_) => AlarmFlags::PERIODIC,
            None => AlarmFlags::ONE_SHOT,
        };
        let flags = wiring.union(repetition).with_counter(alarm.counter.counter()).bits();
        let (expiry, period) = (alarm.expiry, alarm.period.map_or(0, NonZero::get));
        let [expiry_low, period_low] = [expiry as u32, period as u32];
        let [expiry_high, period_high] = [(expiry >> 32) as u32, (period >> 32) as u32];
        // SAFETY: the interrupt that comes of it is the business of whoever unmasks it.
        unsafe { arch::call::set_alarm(flags, expiry_low, expiry_high, period_low, period_high) };
    }

    /// Cancels this processor's alarm of a counter (EAX); whether it was still to go off.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn cancel_alarm(&self, counter: AlarmCounter) -> bool {
        let flags = AlarmFlags::empty().with_counter(counter.counter()).bits();
        // SAFETY: an interrupt less breaks nothing.
        unsafe { arch::call::cancel_alarm(flags) != 0 }
    }

    /// The time since the start of 1970 UTC, as the hypervisor's host has it; `None` if it does not know.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn wall_clock(&self) -> Option<Duration> {
        // SAFETY: reads only.
        match unsafe { arch::call::get_wallclock_time() } {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// Whether the wall clock has jumped against the real counter since this was asked last.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn wall_clock_jumped(&self) -> bool {
        // SAFETY: takes back a mark that is meant for this.
        unsafe { arch::call::wallclock_updated() != 0 }
    }
}
