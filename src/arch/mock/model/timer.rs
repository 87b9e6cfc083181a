//! What goes off as time passes: the alarms of the hypervisor's clock, and the timer of the local APIC.

use crate::arch::mock::Place;
use crate::arch::mock::state::State;
use crate::time::{AlarmCounter, Wiring};

/// Something that goes off.
#[derive(Clone, Copy)]
enum Timer {
    Alarm(AlarmCounter),
    LocalApic,
}

/// All of them.
const TIMERS: [Timer; 3] =
    [Timer::Alarm(AlarmCounter::Real), Timer::Alarm(AlarmCounter::Available), Timer::LocalApic];

/// When something goes off again that has gone off at `count`, after its `expiry`: those that were missed count as
/// one. `None`: never.
pub(super) fn next_expiry(expiry: u64, period: u64, count: u64) -> Option<u64> {
    let missed = (count - expiry) / period;
    missed.checked_add(1)?.checked_mul(period)?.checked_add(expiry)
}

impl State {
    /// When a timer goes off, by the real counter.
    fn due(&self, timer: Timer) -> Option<u64> {
        match timer {
            Timer::Alarm(counter) => self.model.clock.alarm_due(counter),
            Timer::LocalApic => self.model.apic.timer_due(),
        }
    }

    /// The interrupt that a timer raises.
    fn wiring(&self, timer: Timer) -> Option<Wiring> {
        match timer {
            Timer::Alarm(counter) => self.model.clock.wiring(counter),
            Timer::LocalApic => Some(Wiring::LocalApicTimer),
        }
    }

    /// The vector that becomes pending anew when a timer goes off.
    fn new_vector(&self, timer: Timer) -> Option<u8> {
        let apic = &self.model.apic;
        let vector = match self.wiring(timer)? {
            Wiring::Irq0 => Some(self.model.clock.irq0_vector),
            Wiring::LocalApicTimer => apic.timer_vector().filter(|vector| apic.lets_through(*vector)),
        };
        vector.filter(|vector| !self.pending.contains(vector))
    }

    /// A timer goes off.
    fn end_timer(&mut self, timer: Timer, place: Place) {
        let wiring = self.wiring(timer);
        match timer {
            Timer::Alarm(counter) => self.model.clock.end_alarm(counter),
            Timer::LocalApic => self.model.apic.end_timer(self.model.clock.real()),
        }
        match wiring {
            Some(Wiring::Irq0) => self.raise(self.model.clock.irq0_vector, place),
            Some(Wiring::LocalApicTimer) => {
                if let Some(vector) = self.model.apic.timer_vector() {
                    self.accept_interrupt(vector, place);
                }
            }
            None => {}
        }
    }

    /// Lets all timers go off that are due, in their order.
    pub(super) fn end_timers(&mut self, place: Place) {
        let now = self.model.clock.real();
        let due = |state: &Self, timer| state.due(timer).filter(|due| *due <= now);
        while let Some((_, timer)) = TIMERS
            .into_iter()
            .filter_map(|timer| Some((due(self, timer)?, timer)))
            .min_by_key(|(due, _)| *due)
        {
            self.end_timer(timer, place);
        }
    }

    /// Lets cycles pass.
    pub(super) fn pass(&mut self, cycles: u64, place: Place) {
        self.model.clock.pass(cycles);
        self.end_timers(place);
    }

    /// The next time at which a timer makes another interrupt pending.
    fn next_interrupt(&self) -> Option<u64> {
        let timers = TIMERS.into_iter().filter(|timer| self.new_vector(*timer).is_some());
        timers.filter_map(|timer| self.due(timer)).min()
    }

    /// Lets cycles pass up to `end`, or until another interrupt is pending; whether there are more.
    pub(super) fn pass_until(&mut self, end: u64, place: Place) -> bool {
        let next = self.next_interrupt().map_or(end, |next| next.min(end));
        self.pass(next.saturating_sub(self.model.clock.real()), place);
        self.model.clock.real() < end
    }

    /// When a timer wakes the processor, which is halted with nothing pending that it could take.
    fn wake_up(&self) -> Option<u64> {
        let wakes = |timer: &Timer| self.new_vector(*timer).is_some_and(|vector| self.may_begin(vector));
        TIMERS.into_iter().filter(wakes).filter_map(|timer| self.due(timer)).min()
    }

    /// Whether a timer will wake the processor, which is halted.
    pub(in crate::arch::mock) fn timer_will_interrupt(&self) -> bool {
        self.wake_up().is_some()
    }

    /// The processor is halted: time passes until a timer wakes it, if one will.
    pub(in crate::arch::mock) fn wait_for_timer(&mut self, place: Place) {
        if let Some(due) = self.wake_up() {
            self.pass(due.saturating_sub(self.model.clock.real()), place);
        }
    }
}
