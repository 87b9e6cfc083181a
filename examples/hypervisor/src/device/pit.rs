//! The 8254 interval timer, and port 61, where a PC has the gate and the output of channel 2.
//!
//! Nothing runs here: what a channel shows is computed from the time at which it began to count. The moment
//! of an interrupt is one at which the count makes the output of channel 0 rise; that a control word sets the
//! output is none, as in the emulators that kernels are tried on. Source: Intel's data sheet of the 8254.

mod channel;

use channel::Channel;

/// Cycles of the timer a second.
pub const FREQUENCY: u64 = 1_193_182;

/// Port 61.
const SPEAKER: u16 = 0x61;
/// SPEAKER: the gate of channel 2.
const GATE: u8 = 1 << 0;
/// SPEAKER: bits that are kept: the gate, the speaker, and the switches of two checks that a PC has.
const KEPT: u8 = 0xF;
/// SPEAKER: where the refresh of the memory shows, which channel 1 asks for every 18 cycles.
const REFRESH_SHIFT: u32 = 4;
const REFRESH: u64 = 18;
/// SPEAKER: where the output of channel 2 shows.
const OUTPUT_SHIFT: u32 = 5;

/// Bits of the control port.
mod control {
    /// Bits 7 and 6, the channel.
    pub const CHANNEL_SHIFT: u32 = 6;
    /// Instead of a channel: the read-back command.
    pub const READ_BACK: u8 = 3;
    /// Read-back: not the count.
    pub const NO_COUNT: u8 = 1 << 5;
    /// Read-back: not the status.
    pub const NO_STATUS: u8 = 1 << 4;
    /// Bits 5 and 4; 0 latches the count.
    pub const ACCESS: u8 = 3 << 4;
}

/// The timer of a processor whose cycles are the time.
#[derive(Clone, Debug)]
pub struct Pit {
    channels: [Channel; 3],
    /// The processor's cycles when the timer was turned on, and how many it makes in a second.
    origin: u64,
    cycles_per_second: u64,
    /// The timer's cycle up to which channel 0 has been looked at, and whether its output rose by then.
    seen: u64,
    rose: bool,
    speaker: u8,
}

impl Pit {
    /// The timer as firmware leaves it: channel 0 makes 18.2 interrupts a second, beginning now.
    pub fn new(now: u64, cycles_per_second: u64) -> Self {
        let mut channels = [Channel::new(3), Channel::new(2), Channel::new(3)];
        channels[0].load(0, 0);
        channels[1].load(REFRESH as u16, 0);
        channels[2].set_gate(false, 0);
        Self { channels, origin: now, cycles_per_second, seen: 0, rose: false, speaker: 0 }
    }

    /// The timer's cycle at a time.
    fn cycle(&self, now: u64) -> u64 {
        let elapsed = now.saturating_sub(self.origin);
        let (seconds, rest) = (elapsed / self.cycles_per_second, elapsed % self.cycles_per_second);
        seconds * FREQUENCY + rest * FREQUENCY / self.cycles_per_second
    }

    /// The first time at which the timer's cycle is `cycle`.
    fn time(&self, cycle: u64) -> u64 {
        let (seconds, rest) = (cycle / FREQUENCY, cycle % FREQUENCY);
        self.origin + seconds * self.cycles_per_second + (rest * self.cycles_per_second).div_ceil(FREQUENCY)
    }

    /// Whether channel 0 has raised its interrupt since this was asked last.
    pub fn poll(&mut self, now: u64) -> bool {
        self.look(now);
        core::mem::take(&mut self.rose)
    }

    fn look(&mut self, now: u64) {
        let now = self.cycle(now);
        self.rose |= self.channels[0].next_rise(self.seen).is_some_and(|rise| rise <= now);
        self.seen = now;
    }

    /// When channel 0 raises its next interrupt.
    pub fn deadline(&self) -> Option<u64> {
        self.channels[0].next_rise(self.seen).map(|cycle| self.time(cycle))
    }

    /// Reads port 40 to 43 or 61.
    pub fn read(&mut self, port: u16, now: u64) -> u8 {
        let now = self.cycle(now);
        match port {
            SPEAKER => {
                let refresh = ((now / REFRESH) & 1) as u8;
                let output = u8::from(self.channels[2].output(now));
                self.speaker | refresh << REFRESH_SHIFT | output << OUTPUT_SHIFT
            }
            _ => match self.channels.get_mut(usize::from(port & 3)) {
                Some(channel) => channel.read(now),
                // The control port cannot be read.
                None => !0,
            },
        }
    }

    /// Writes port 40 to 43 or 61.
    pub fn write(&mut self, port: u16, value: u8, now: u64) {
        self.look(now);
        let now = self.cycle(now);
        match port {
            SPEAKER => {
                self.speaker = value & KEPT;
                self.channels[2].set_gate(value & GATE != 0, now);
            }
            _ => match self.channels.get_mut(usize::from(port & 3)) {
                Some(channel) => channel.write(value, now),
                None => self.control(value, now),
            },
        }
    }

    fn control(&mut self, value: u8, now: u64) {
        let number = value >> control::CHANNEL_SHIFT;
        if number == control::READ_BACK {
            for (index, channel) in self.channels.iter_mut().enumerate() {
                if value & 2 << index != 0 {
                    if value & control::NO_COUNT == 0 {
                        channel.latch(now);
                    }
                    if value & control::NO_STATUS == 0 {
                        channel.latch_status(now);
                    }
                }
            }
            return;
        }
        let channel = &mut self.channels[usize::from(number)];
        if value & control::ACCESS == 0 {
            channel.latch(now);
        } else {
            channel.control(value);
        }
    }
}

#[cfg(test)]
mod tests;
