//! The machine's time in cycles, and the clock of a hypervisor that counts them.

use core::num::NonZero;
use core::time::Duration;

use paravirt_vmi_abi::Call;
use paravirt_vmi_abi::flags::{AlarmFlags, Counter};

use super::timer::next_expiry;
use super::{Invocation, NOTHING, Outcome, eax, edx_eax};
use crate::arch::mock::delivery::deliver_pending;
use crate::arch::mock::state::{self, State};
use crate::arch::mock::{Cpu, Place};
use crate::time::{AlarmCounter, Wiring};

/// An alarm that is set.
#[derive(Clone, Copy)]
pub(super) struct Alarm {
    /// The count of its counter at which it goes off.
    expiry: u64,
    period: Option<NonZero<u64>>,
    wiring: Wiring,
}

impl Alarm {
    /// The alarm as it is when it has gone off at `count`.
    fn next(self, count: u64) -> Option<Self> {
        let expiry = next_expiry(self.expiry, self.period?.get(), count)?;
        Some(Self { expiry, ..self })
    }
}

/// The time of day: what it was at a count of the real counter.
#[derive(Clone, Copy)]
struct WallClock {
    real: u64,
    time: Duration,
}

/// Time.
pub(super) struct Clock {
    /// The cycles that have passed, and those of them in which this processor did not get the machine.
    real: u64,
    stolen: u64,
    cycles_per_operation: u64,
    /// What the time-stamp counter is ahead of `real`.
    time_stamp_offset: u64,
    /// Of the hypervisor's clock; 0: there is none.
    frequency: u64,
    /// The vector of IRQ 0.
    pub(super) irq0_vector: u8,
    alarms: [Option<Alarm>; 2],
    wall_clock: Option<WallClock>,
    has_jumped: bool,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            real: 0,
            stolen: 0,
            cycles_per_operation: 1,
            time_stamp_offset: 0,
            frequency: 0,
            irq0_vector: 0x20,
            alarms: [None; 2],
            wall_clock: None,
            has_jumped: false,
        }
    }
}

/// The alarm that the flags of a call name, if its counter has one.
fn alarm_counter(flags: u32) -> Option<AlarmCounter> {
    let counter = AlarmFlags::from_bits_retain(flags).counter();
    [AlarmCounter::Real, AlarmCounter::Available].into_iter().find(|alarm| alarm.counter() == counter)
}

impl Clock {
    /// The real counter: all cycles that have passed.
    pub(super) fn real(&self) -> u64 {
        self.real
    }

    /// The time-stamp counter.
    pub(super) fn time_stamp(&self) -> u64 {
        self.real.wrapping_add(self.time_stamp_offset)
    }

    pub(super) fn set_time_stamp(&mut self, value: u64) {
        self.time_stamp_offset = value.wrapping_sub(self.real);
    }

    /// Lets cycles pass.
    pub(super) fn pass(&mut self, cycles: u64) {
        self.real = self.real.saturating_add(cycles);
    }

    fn alarm(&mut self, counter: AlarmCounter) -> &mut Option<Alarm> {
        &mut self.alarms[counter as usize]
    }

    fn count(&self, counter: Counter) -> u64 {
        match counter {
            Counter::REAL => self.real,
            Counter::AVAILABLE => self.real - self.stolen,
            Counter::STOLEN => self.stolen,
            _ => 0,
        }
    }

    /// When an alarm goes off, by the real counter, if nothing is stolen until then.
    pub(super) fn alarm_due(&self, counter: AlarmCounter) -> Option<u64> {
        let stolen = if counter == AlarmCounter::Available { self.stolen } else { 0 };
        self.alarms[counter as usize].and_then(|alarm| alarm.expiry.checked_add(stolen))
    }

    /// The interrupt of an alarm that is set.
    pub(super) fn wiring(&self, counter: AlarmCounter) -> Option<Wiring> {
        self.alarms[counter as usize].map(|alarm| alarm.wiring)
    }

    /// An alarm goes off.
    pub(super) fn end_alarm(&mut self, counter: AlarmCounter) {
        let count = self.count(counter.counter());
        let alarm = self.alarm(counter);
        *alarm = alarm.and_then(|alarm| alarm.next(count));
    }

    fn set_alarm(&mut self, invocation: &Invocation<'_>) {
        let flags = invocation.word(0);
        let [expiry, period] =
            [1, 3].map(|low| u64::from(invocation.word(low + 1)) << 32 | u64::from(invocation.word(low)));
        let flag = |flag| AlarmFlags::from_bits_retain(flags).contains(flag);
        let wiring = if flag(AlarmFlags::WIRED_LVTT) { Wiring::LocalApicTimer } else { Wiring::Irq0 };
        let period = NonZero::new(period).filter(|_| flag(AlarmFlags::PERIODIC));
        if let Some(counter) = alarm_counter(flags) {
            *self.alarm(counter) = Some(Alarm { expiry, period, wiring });
        }
    }

    /// Nanoseconds since 1970; 0 if they are not known.
    fn wall_clock(&self) -> u64 {
        let Some(WallClock { real, time }) = self.wall_clock else { return 0 };
        let passed = u128::from(self.real - real) * 1_000_000_000;
        let passed = passed.checked_div(self.frequency.into()).unwrap_or(0);
        (time.as_nanos() + passed) as u64
    }
}

/// Carries a call of [`time`](crate::time) out.
pub(super) fn perform(state: &mut State, invocation: &Invocation<'_>) -> Outcome {
    let clock = &mut state.model.clock;
    Ok(match invocation.call {
        Call::GET_CYCLE_FREQUENCY => edx_eax(clock.frequency),
        Call::GET_CYCLE_COUNTER => edx_eax(clock.count(Counter(invocation.word(0)))),
        Call::GET_WALLCLOCK_TIME => edx_eax(clock.wall_clock()),
        Call::WALLCLOCK_UPDATED => eax(core::mem::take(&mut clock.has_jumped).into()),
        Call::CANCEL_ALARM => {
            let alarm = alarm_counter(invocation.word(0)).and_then(|counter| clock.alarm(counter).take());
            eax(alarm.is_some().into())
        }
        Call::SET_ALARM => {
            clock.set_alarm(invocation);
            state.end_timers(invocation.place);
            NOTHING
        }
        _ => NOTHING,
    })
}

impl State {
    /// An operation takes its time.
    pub(in crate::arch::mock) fn pass_operation(&mut self, place: Place) {
        self.pass(self.model.clock.cycles_per_operation, place);
    }
}

/// Delivers what time has made pending, unless a device lets it pass in the middle of an operation.
fn deliver(place: Place) {
    if !state::with(|state| state.frame().in_operation) {
        deliver_pending(place);
    }
}

/// # Time
///
/// The machine's time is counted in cycles. Each operation takes one, unless
/// [`set_cycles_per_operation`](Self::set_cycles_per_operation) says otherwise; a processor that is halted, and waits
/// for nothing but an alarm or a timer, comes to it at once. There is no other time: a test runs as fast as it can.
///
/// The time-stamp counter is the count of cycles. The hypervisor's [`Clock`](crate::time::Clock) is there once it has
/// a frequency:
///
/// ```
/// use paravirt_vmi::time::{Alarm, AlarmCounter, Clock, Wiring};
/// use paravirt_vmi::{abi::flags::Counter, irq, mock};
///
/// mock::run(|cpu| {
///     cpu.set_clock_frequency(1_000_000_000);
///     cpu.handle(0x20, || ()); // IRQ 0
///     let clock = Clock::find().unwrap();
///     let expiry = 5_000_000;
///     clock.set_alarm(Alarm { counter: AlarmCounter::Real, expiry, period: None, wiring: Wiring::Irq0 });
///     irq::disable();
///     // SAFETY: nobody above relies on masked interrupts.
///     unsafe { irq::enable_and_halt() }; // until the alarm
///     assert_eq!(clock.counter(Counter::REAL), 5_000_001);
/// });
/// ```
impl Cpu {
    /// Makes each operation take so many cycles. 0: time passes only while the processor is halted, and by
    /// [`advance`](Self::advance).
    pub fn set_cycles_per_operation(self, cycles: u64) {
        state::with(|state| state.model.clock.cycles_per_operation = cycles);
    }

    /// How many cycles have passed since the processor was reset. No call.
    pub fn cycles(self) -> u64 {
        state::with(|state| state.model.clock.real)
    }

    /// Lets cycles pass while the code that asks computes something. Alarms and timers go off one after the other,
    /// and are delivered if interrupts are unmasked; the cycles that handlers take are among those that pass.
    #[track_caller]
    pub fn advance(self, cycles: u64) {
        let place = Place::caller();
        let end = state::with(|state| state.model.clock.real.saturating_add(cycles));
        while state::with(|state| state.pass_until(end, place)) {
            deliver(place);
        }
        deliver(place);
    }

    /// Lets cycles pass in which the processor does not get the machine: the stolen counter counts them, and alarms
    /// and timers go off afterwards.
    #[track_caller]
    pub fn steal(self, cycles: u64) {
        let place = Place::caller();
        state::with(|state| {
            let clock = &mut state.model.clock;
            clock.stolen = clock.stolen.saturating_add(cycles);
            state.pass(cycles, place);
        });
        deliver(place);
    }

    /// Gives the hypervisor's [`Clock`](crate::time::Clock) so many cycles per second; 0: there is none, as at first.
    pub fn set_clock_frequency(self, hertz: u64) {
        state::with(|state| {
            let clock = &mut state.model.clock;
            let time = Duration::from_nanos(clock.wall_clock());
            let real = clock.real;
            clock.wall_clock = clock.wall_clock.map(|_| WallClock { real, time });
            clock.frequency = hertz;
        });
    }

    /// The vector of IRQ 0, by which [alarms](crate::time::Wiring::Irq0) interrupt: 0x20 at first.
    pub fn set_irq0_vector(self, vector: u8) {
        state::with(|state| state.model.clock.irq0_vector = vector);
    }

    /// Sets the wall clock: the time since the start of 1970 UTC, in nanoseconds up to the year 2554. It goes on with
    /// the real counter, at the frequency of the clock. At first it is not known; the first time that it is set is no
    /// jump, every other is.
    pub fn set_wall_clock(self, time: Duration) {
        state::with(|state| {
            let clock = &mut state.model.clock;
            clock.has_jumped |= clock.wall_clock.is_some();
            clock.wall_clock = Some(WallClock { real: clock.real, time });
        });
    }
}
