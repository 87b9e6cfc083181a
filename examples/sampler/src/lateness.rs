//! [`Lateness`]: what a main loop makes of the samples.

/// How late interrupts were handled, in counts of the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    samples: u32,
    least: u16,
    most: u16,
    sum: u64,
}

impl Lateness {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { samples: 0, least: u16::MAX, most: 0, sum: 0 }
    }

    /// Takes one more interrupt in.
    pub fn add(&mut self, counts: u16) {
        self.samples += 1;
        self.least = self.least.min(counts);
        self.most = self.most.max(counts);
        self.sum += u64::from(counts);
    }

    /// How many interrupts there were.
    pub const fn samples(&self) -> u32 {
        self.samples
    }

    /// The least and the greatest lateness; `None` without a sample.
    pub const fn range(&self) -> Option<(u16, u16)> {
        if self.samples == 0 { None } else { Some((self.least, self.most)) }
    }

    /// The mean, rounded down; `None` without a sample.
    pub const fn mean(&self) -> Option<u16> {
        // At most the greatest one, so it fits.
        if self.samples == 0 { None } else { Some((self.sum / self.samples as u64) as u16) }
    }
}

impl Default for Lateness {
    fn default() -> Self {
        Self::new()
    }
}
