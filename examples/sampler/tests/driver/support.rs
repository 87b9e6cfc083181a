//! A timer for the mock, and a main loop that sees every sample once.

use std::cell::RefCell;
use std::rc::Rc;

use paravirt_vmi::mock::{Cpu, Device};
use vmi_sampler::{Period, Sampler};

/// The timer's interrupt.
pub const TIMER: u8 = 0x20;

/// So many counts pass with each access to the timer. With [`PERIOD`] both bytes of each count are the same, so that
/// two bytes of different counts are noticed.
const STEP: u16 = 0x0101;

/// The longest period.
pub const PERIOD: Period = Period::new(0xFFFF).unwrap();

/// Whether the timer can ever have stood at `count`.
pub fn is_whole(count: u16) -> bool {
    let [low, high] = count.to_le_bytes();
    low == high && count != 0
}

/// Channel 0 of the timer, with both bytes and in mode 2 only.
#[derive(Debug, Default)]
pub struct Timer {
    /// The count that it starts from, once it has been written.
    period: Option<u16>,
    /// The low byte of a count whose high byte has not been written yet.
    written: Option<u8>,
    /// Counts since the period began.
    elapsed: u16,
    latched: Option<u16>,
    reads_high: bool,
}

impl Timer {
    /// The period that the timer was given.
    pub fn period(&self) -> Option<u16> {
        self.period
    }

    fn count(&self) -> u16 {
        self.period.expect("a timer that was started") - self.elapsed
    }
}

impl Device for Timer {
    fn read(&mut self, port: u16, width: u8) -> u32 {
        assert_eq!((port, width), (0x40, 8), "the count is read in bytes");
        let [low, high] = self.latched.unwrap_or_else(|| self.count()).to_le_bytes();
        self.elapsed = (self.elapsed + STEP) % 0xFFFF;
        self.reads_high = !self.reads_high;
        if self.reads_high {
            return low.into();
        }
        self.latched = None;
        high.into()
    }

    fn write(&mut self, port: u16, width: u8, value: u32) {
        let value = value as u8;
        match (port, width, value) {
            // A count that is latched stays so until it has been read.
            (0x43, 8, 0x00) => self.latched = self.latched.or(Some(self.count())),
            (0x43, 8, 0x34) => *self = Self::default(),
            (0x40, 8, _) => match self.written.take() {
                None => self.written = Some(value),
                Some(low) => self.period = Some(u16::from_le_bytes([low, value])),
            },
            _ => panic!("{value:#04x} was written to port {port:#04x}, {width} bits wide"),
        }
    }
}

/// The driver with room for `N` samples, and a main loop.
pub struct Setup<const N: usize> {
    pub sampler: Rc<Sampler<N>>,
    pub timer: Rc<RefCell<Timer>>,
    /// The number of the next tick.
    next: u32,
    seen: u32,
}

impl<const N: usize> Setup<N> {
    /// A timer that ticks, and a driver that handles its interrupt.
    pub fn new(cpu: Cpu) -> Self {
        let timer = Rc::new(RefCell::new(Timer::default()));
        cpu.attach(0x40..=0x43, timer.clone());
        // SAFETY: the driver and its handler are on this thread's processor.
        let sampler = Rc::new(unsafe { Sampler::new() });
        let of_handler = sampler.clone();
        // SAFETY: in a handler interrupts are masked.
        cpu.handle(TIMER, move || unsafe { of_handler.on_tick() });
        sampler.start(PERIOD);
        // The shadow of `sti` ends here.
        cpu.point();
        Self { sampler, timer, next: 0, seen: 0 }
    }

    /// Takes all samples that there are; each is the next one, unless samples were lost.
    pub fn drain(&mut self) {
        while let Some(sample) = self.sampler.take() {
            assert!(is_whole(sample.count), "the handler has read {:#06x}", sample.count);
            assert!(sample.tick >= self.next, "tick {} comes again", sample.tick);
            self.next = sample.tick + 1;
            self.seen += 1;
        }
    }

    /// Takes what is left, with interrupts masked: every tick was seen, or counted as lost.
    pub fn finish(mut self) -> (u32, u32) {
        paravirt_vmi::irq::without_interrupts(|| {
            self.drain();
            let (ticks, lost) = (self.sampler.ticks(), self.sampler.lost());
            assert_eq!(
                self.seen + lost,
                ticks,
                "of {ticks} ticks {} were seen, and {lost} counted as lost",
                self.seen
            );
            (self.seen, lost)
        })
    }
}
