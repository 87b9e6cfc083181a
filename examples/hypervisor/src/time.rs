//! The clock of the interface: three counters of cycles, of which real = available + stolen at all times, and
//! two alarms.
//!
//! A cycle is one of the machine's time-stamp counter. Real time begins with the guest and always runs.
//! Available time runs while the guest runs or halts; what [`Time::steal`] takes, while the guest could run and
//! did not get the machine, is stolen. Source: facts sheet, section 7.6.

use core::num::NonZero;

use paravirt_vmi_abi::flags::{AlarmFlags, Counter};

/// The interrupt that an alarm raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// IRQ 0, that of the interval timer.
    Irq0,
    /// The timer vector of the local APIC.
    LocalApicTimer,
}

/// An alarm that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alarm {
    /// The count at which it goes off.
    expiry: u64,
    /// After how many cycles it goes off again.
    period: Option<NonZero<u64>>,
    wiring: Wiring,
}

impl Alarm {
    /// The alarm behind the present `count`, which it has reached: those that were missed count as one. `None`
    /// if it does not go off again.
    fn next(self, count: u64) -> Option<Self> {
        let period = self.period?.get();
        let missed = (count - self.expiry) / period;
        let expiry = missed.checked_add(1)?.checked_mul(period)?.checked_add(self.expiry)?;
        Some(Self { expiry, ..self })
    }
}

/// The counters that have an alarm.
const COUNTERS: [Counter; 2] = [Counter::REAL, Counter::AVAILABLE];

/// The counters and the alarms of the guest's processor. Times are those of the time-stamp counter.
#[derive(Clone, Debug)]
pub struct Time {
    /// When the guest began.
    origin: u64,
    stolen: u64,
    /// Up to here the counters have been seen, or the cycles stolen: none of them can be stolen any more.
    seen: u64,
    /// One for each of [`COUNTERS`].
    alarms: [Option<Alarm>; 2],
}

impl Time {
    /// Counters that begin now.
    pub const fn new(now: u64) -> Self {
        Self { origin: now, stolen: 0, seen: now, alarms: [None; 2] }
    }

    /// The present count; 0 for a counter that does not exist.
    fn count(&self, counter: Counter, now: u64) -> u64 {
        let real = now.saturating_sub(self.origin);
        match counter {
            Counter::REAL => real,
            Counter::AVAILABLE => real.saturating_sub(self.stolen),
            Counter::STOLEN => self.stolen,
            _ => 0,
        }
    }

    /// Reads a counter; 0 if it does not exist.
    pub fn read(&mut self, counter: Counter, now: u64) -> u64 {
        self.seen = self.seen.max(now);
        self.count(counter, now)
    }

    /// Takes cycles that have just passed from the available ones, as far as nobody has seen them; returns how
    /// many that were.
    pub fn steal(&mut self, cycles: u64, now: u64) -> u64 {
        let taken = cycles.min(now.saturating_sub(self.seen));
        self.stolen += taken;
        self.seen += taken;
        taken
    }

    /// Sets the alarm that `flags` name; there is none on another counter.
    pub fn set_alarm(&mut self, flags: AlarmFlags, expiry: u64, period: u64) {
        let Some(index) = COUNTERS.iter().position(|counter| *counter == flags.counter()) else { return };
        let wiring =
            if flags.contains(AlarmFlags::WIRED_LVTT) { Wiring::LocalApicTimer } else { Wiring::Irq0 };
        let period = NonZero::new(period).filter(|_| flags.contains(AlarmFlags::PERIODIC));
        self.alarms[index] = Some(Alarm { expiry, period, wiring });
    }

    /// Cancels the alarm that `flags` name; whether it was still to go off.
    pub fn cancel_alarm(&mut self, flags: AlarmFlags) -> bool {
        let index = COUNTERS.iter().position(|counter| *counter == flags.counter());
        index.is_some_and(|index| self.alarms[index].take().is_some())
    }

    /// The interrupts of the alarms that go off by now.
    pub fn poll(&mut self, now: u64) -> impl Iterator<Item = Wiring> + use<> {
        let mut rung = [None; 2];
        for (index, counter) in COUNTERS.into_iter().enumerate() {
            let count = self.count(counter, now);
            if let Some(alarm) = self.alarms[index].filter(|alarm| alarm.expiry <= count) {
                self.seen = self.seen.max(now);
                self.alarms[index] = alarm.next(count);
                rung[index] = Some(alarm.wiring);
            }
        }
        rung.into_iter().flatten()
    }

    /// When the next alarm goes off, if nothing more is stolen.
    pub fn deadline(&self) -> Option<u64> {
        let offsets = [self.origin, self.origin.saturating_add(self.stolen)];
        let times = self.alarms.iter().zip(offsets);
        times.filter_map(|(alarm, offset)| alarm.as_ref()?.expiry.checked_add(offset)).min()
    }
}

#[cfg(test)]
mod tests;
