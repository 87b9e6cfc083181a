//! One channel of the timer.

/// Which bytes of the count are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Low = 1,
    High = 2,
    /// The low byte, then the high one.
    Both = 3,
}

/// A channel. Times are in cycles of the timer.
#[derive(Clone, Debug)]
pub struct Channel {
    /// 0 to 5.
    mode: u8,
    /// Whether it counts in decimal.
    decimal: bool,
    access: Access,
    /// The count that was written last, 1 to 65536.
    written: u32,
    /// The count that it counts down from.
    count: u32,
    /// When it began to count down from `count`, or will; `None` until there is a reason to.
    start: Option<u64>,
    /// Modes 2 and 3: the length of the period that ends at `start`; 0 if there is none.
    previous: u32,
    gate: bool,
    /// With the gate closed: how far it had counted then.
    held: u64,
    /// The low byte of a count whose high byte has not been written yet.
    low: Option<u8>,
    reads_high: bool,
    latched: Option<u16>,
    status: Option<u8>,
}

impl Channel {
    /// A channel in `mode` without a count, with its gate open.
    pub const fn new(mode: u8) -> Self {
        Self {
            mode,
            decimal: false,
            access: Access::Both,
            written: 0x1_0000,
            count: 0x1_0000,
            start: None,
            previous: 0,
            gate: true,
            held: 0,
            low: None,
            reads_high: false,
            latched: None,
            status: None,
        }
    }

    /// Takes a control word that is no latch command.
    pub fn control(&mut self, value: u8) {
        let mode = value >> 1 & 7;
        let access = match value >> 4 & 3 {
            1 => Access::Low,
            2 => Access::High,
            _ => Access::Both,
        };
        *self = Self {
            // 6 and 7 are other names of 2 and 3.
            mode: if mode > 5 { mode & 3 } else { mode },
            decimal: value & 1 != 0,
            access,
            gate: self.gate,
            ..Self::new(0)
        };
    }

    /// Whether the channel repeats: modes 2 and 3.
    const fn is_periodic(&self) -> bool {
        matches!(self.mode, 2 | 3)
    }

    /// Whether the gate starts the channel, and not the count: modes 1 and 5.
    const fn is_triggered(&self) -> bool {
        matches!(self.mode, 1 | 5)
    }

    /// Gives the channel a count; 0 is the longest.
    pub fn load(&mut self, value: u16, now: u64) {
        self.written = match (self.decimal, value) {
            (false, 0) => 0x1_0000,
            (true, 0) => 10_000,
            (false, value) => value.into(),
            (true, value) => from_decimal(value),
        };
        if self.is_triggered() {
            return;
        }
        match self.start {
            // A period is finished first.
            Some(start) if self.is_periodic() && self.gate => {
                if now >= start {
                    self.previous = self.count;
                    self.start =
                        Some(start + ((now - start) / u64::from(self.count) + 1) * u64::from(self.count));
                }
            }
            _ => {
                (self.start, self.previous, self.held) = (Some(now), 0, 0);
            }
        }
        self.count = self.written;
    }

    /// Opens or closes the gate.
    pub fn set_gate(&mut self, open: bool, now: u64) {
        if open == self.gate {
            return;
        }
        match (open, self.start) {
            (true, _) if self.is_triggered() => {
                (self.start, self.count) = (Some(now), self.written);
            }
            (true, Some(_)) if self.is_periodic() => {
                (self.start, self.previous, self.count) = (Some(now), 0, self.written);
            }
            (true, Some(_)) => self.start = Some(now.saturating_sub(self.held)),
            (false, Some(_)) => self.held = self.elapsed(now),
            (_, None) => {}
        }
        self.gate = open;
    }

    /// How far it has counted: in modes 2 and 3 in this period, in the others since its start.
    fn elapsed(&self, now: u64) -> u64 {
        let Some(start) = self.start else { return 0 };
        if !self.gate && !self.is_triggered() {
            self.held
        } else if now < start {
            u64::from(self.previous).saturating_sub(start - now)
        } else if self.is_periodic() {
            (now - start) % u64::from(self.count)
        } else {
            now - start
        }
    }

    /// Modes 2 and 3: the length of this period.
    fn period(&self, now: u64) -> u64 {
        match self.start {
            Some(start) if now < start => self.previous.into(),
            _ => self.count.into(),
        }
    }

    /// The level of the output.
    pub fn output(&self, now: u64) -> bool {
        if self.start.is_none() {
            return self.mode != 0;
        }
        let (elapsed, count) = (self.elapsed(now), u64::from(self.count));
        match self.mode {
            0 | 1 => elapsed >= count,
            2 => !self.gate || elapsed + 1 != self.period(now),
            3 => !self.gate || elapsed < self.period(now).div_ceil(2),
            _ => elapsed != count,
        }
    }

    /// The first time after `after` at which counting makes the output rise.
    pub fn next_rise(&self, after: u64) -> Option<u64> {
        let start = self.start?;
        let count = u64::from(self.count);
        if self.is_periodic() {
            return match after.checked_sub(start) {
                _ if !self.gate => None,
                Some(since) => Some(start + (since / count + 1) * count),
                None if self.previous != 0 => Some(start),
                None => Some(start + count),
            };
        }
        if !self.gate && !self.is_triggered() {
            return None;
        }
        let rise = start + if matches!(self.mode, 0 | 1) { count } else { count + 1 };
        (rise > after).then_some(rise)
    }

    /// The count as it reads.
    fn value(&self, now: u64) -> u16 {
        let (elapsed, modulus) = (self.elapsed(now), if self.decimal { 10_000 } else { 0x1_0000 });
        let value = match self.mode {
            _ if self.start.is_none() => self.written.into(),
            2 => self.period(now) - elapsed,
            3 => {
                // It counts in steps of two, twice in a period.
                let period = self.period(now);
                let high = period.div_ceil(2);
                let step = if elapsed < high { elapsed } else { elapsed - high };
                (period & !1).saturating_sub(2 * step)
            }
            _ => (modulus + u64::from(self.count) - elapsed % modulus) % modulus,
        };
        let value = (value % modulus) as u16;
        if self.decimal { to_decimal(value) } else { value }
    }

    /// Keeps the count until it has been read.
    pub fn latch(&mut self, now: u64) {
        self.latched = self.latched.or(Some(self.value(now)));
    }

    /// Keeps the status until it has been read.
    pub fn latch_status(&mut self, now: u64) {
        let output = u8::from(self.output(now)) << 7;
        let no_count = u8::from(self.start.is_none()) << 6;
        let status = output | no_count | (self.access as u8) << 4 | self.mode << 1 | u8::from(self.decimal);
        self.status = self.status.or(Some(status));
    }

    /// Reads a byte of what is latched, or else of the count.
    pub fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let [low, high] = self.latched.unwrap_or_else(|| self.value(now)).to_le_bytes();
        let (value, last) = match self.access {
            Access::Low => (low, true),
            Access::High => (high, true),
            Access::Both => {
                self.reads_high = !self.reads_high;
                if self.reads_high { (low, false) } else { (high, true) }
            }
        };
        if last {
            self.latched = None;
        }
        value
    }

    /// Writes a byte of the count.
    pub fn write(&mut self, value: u8, now: u64) {
        let count = match (self.access, self.low.take()) {
            (Access::Low, _) => [value, 0],
            (Access::High, _) => [0, value],
            (Access::Both, Some(low)) => [low, value],
            (Access::Both, None) => {
                self.low = Some(value);
                if self.mode == 0 {
                    self.start = None;
                }
                return;
            }
        };
        self.load(u16::from_le_bytes(count), now);
    }
}

/// The value of four decimal digits. A digit above 9 counts as it would in hexadecimal.
fn from_decimal(digits: u16) -> u32 {
    (0..4).rev().fold(0, |value, place| 10 * value + u32::from(digits >> (4 * place) & 0xF))
}

/// Four decimal digits.
fn to_decimal(value: u16) -> u16 {
    (0..4).fold(0, |digits, place| digits | (value / 10_u16.pow(place) % 10) << (4 * place))
}
