//! The two 8259 interrupt controllers of a PC, the second one on line 2 of the first.
//!
//! A request is an edge: it is kept from the moment at which its line rises until the processor takes it,
//! or until the controller is initialised anew. Source: Intel's data sheet of the 8259A.

/// The lines of both controllers: 0 to 7 are those of the first, 8 to 15 those of the second.
pub const LINES: u8 = 16;
/// The line of the first controller on which the second one hangs.
const CASCADE: u8 = 2;
/// The line as which a controller reports a request that went away.
const SPURIOUS: u8 = 7;

/// Bits of what is written to a command port.
mod command {
    /// ICW1, else OCW2 or OCW3.
    pub const INITIALIZE: u8 = 1 << 4;
    /// ICW1: ICW4 follows.
    pub const FOURTH: u8 = 1 << 0;
    /// ICW1: there is no other controller, and no ICW3.
    pub const SINGLE: u8 = 1 << 1;
    /// OCW3, else OCW2.
    pub const THIRD: u8 = 1 << 3;
    /// OCW2: the end of an interrupt.
    pub const END: u8 = 1 << 5;
    /// OCW2: of the line in bits 2 to 0.
    pub const SPECIFIC: u8 = 1 << 6;
    /// OCW2: the line becomes that of lowest priority.
    pub const ROTATE: u8 = 1 << 7;
    /// OCW3: bit 0 chooses the register to read.
    pub const CHOOSE: u8 = 1 << 1;
    /// OCW3: the next read takes an interrupt.
    pub const POLL: u8 = 1 << 2;
    /// OCW3: bit 6 chooses the mode.
    pub const CHOOSE_MASK_MODE: u8 = 1 << 6;
    /// OCW3: special mask mode.
    pub const SPECIAL_MASK: u8 = 1 << 5;
}

/// Bits of ICW4.
mod fourth {
    pub const AUTOMATIC_END: u8 = 1 << 1;
    pub const SPECIAL_NESTING: u8 = 1 << 4;
}

/// What the next write to the data port is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    /// OCW1: the mask.
    #[default]
    Mask,
    /// ICW2: the first vector.
    Vector,
    /// ICW3: the cascade.
    Cascade,
    /// ICW4: modes.
    Modes,
}

/// One controller.
#[derive(Clone, Debug)]
struct Controller {
    /// The levels of the lines.
    lines: u8,
    /// IRR.
    requests: u8,
    /// ISR.
    in_service: u8,
    /// IMR.
    mask: u8,
    /// The first vector.
    vector: u8,
    /// The line of lowest priority.
    lowest: u8,
    expected: Expected,
    single: bool,
    expects_modes: bool,
    reads_in_service: bool,
    polled: bool,
    special_mask: bool,
    special_nesting: bool,
    automatic_end: bool,
    rotates_at_end: bool,
}

impl Controller {
    /// As firmware leaves it, but with every line masked.
    const fn new(vector: u8) -> Self {
        Self {
            lines: 0,
            requests: 0,
            in_service: 0,
            mask: !0,
            vector,
            lowest: SPURIOUS,
            expected: Expected::Mask,
            single: false,
            expects_modes: false,
            reads_in_service: false,
            polled: false,
            special_mask: false,
            special_nesting: false,
            automatic_end: false,
            rotates_at_end: false,
        }
    }

    /// Sets the level of a line; whether that made a request.
    fn set_line(&mut self, line: u8, level: bool) -> bool {
        let bit = 1 << line;
        let rises = level && self.lines & bit == 0;
        self.lines = if level { self.lines | bit } else { self.lines & !bit };
        let new = rises && self.requests & bit == 0;
        if rises {
            self.requests |= bit;
        }
        new
    }

    /// The lines in order of priority, the highest one first.
    fn by_priority(&self) -> impl Iterator<Item = u8> + use<> {
        let lowest = self.lowest;
        (1..=8).map(move |step| (lowest + step) & 7)
    }

    /// The line whose request goes to the processor.
    fn pending(&self) -> Option<u8> {
        let requests = self.requests & !self.mask;
        let in_the_way = if self.special_mask { self.in_service & !self.mask } else { self.in_service };
        for line in self.by_priority() {
            let lets_pass = self.special_nesting && line == CASCADE;
            if in_the_way & 1 << line != 0 && !lets_pass {
                return None;
            }
            if requests & 1 << line != 0 {
                return Some(line);
            }
        }
        None
    }

    /// The processor takes the request of `line`.
    fn take(&mut self, line: u8) {
        self.requests &= !(1 << line);
        if !self.automatic_end {
            self.in_service |= 1 << line;
        } else if self.rotates_at_end {
            self.lowest = line;
        }
    }

    fn read_command(&mut self) -> u8 {
        if core::mem::take(&mut self.polled) {
            return match self.pending() {
                Some(line) => {
                    self.take(line);
                    1 << 7 | line
                }
                None => 0,
            };
        }
        if self.reads_in_service { self.in_service } else { self.requests }
    }

    fn write_command(&mut self, value: u8) {
        if value & command::INITIALIZE != 0 {
            *self = Self {
                lines: self.lines,
                mask: 0,
                expected: Expected::Vector,
                single: value & command::SINGLE != 0,
                expects_modes: value & command::FOURTH != 0,
                ..Self::new(self.vector)
            };
        } else if value & command::THIRD != 0 {
            if value & command::CHOOSE_MASK_MODE != 0 {
                self.special_mask = value & command::SPECIAL_MASK != 0;
            }
            self.polled = value & command::POLL != 0;
            if !self.polled && value & command::CHOOSE != 0 {
                self.reads_in_service = value & 1 != 0;
            }
        } else {
            self.end(value);
        }
    }

    /// OCW2.
    fn end(&mut self, value: u8) {
        let rotates = value & command::ROTATE != 0;
        let line = match (value & command::SPECIFIC != 0, value & command::END != 0) {
            (true, _) => Some(value & 7),
            (false, true) => {
                let served = if self.special_mask { self.in_service & !self.mask } else { self.in_service };
                self.by_priority().find(|line| served & 1 << line != 0)
            }
            (false, false) => {
                self.rotates_at_end = rotates;
                None
            }
        };
        let Some(line) = line else { return };
        if value & command::END != 0 {
            self.in_service &= !(1 << line);
        }
        if rotates {
            self.lowest = line;
        }
    }

    fn write_data(&mut self, value: u8) {
        let after_cascade = if self.expects_modes { Expected::Modes } else { Expected::Mask };
        self.expected = match self.expected {
            Expected::Mask => {
                self.mask = value;
                Expected::Mask
            }
            Expected::Vector => {
                self.vector = value & !7;
                if self.single { after_cascade } else { Expected::Cascade }
            }
            // A PC's wiring is what it is.
            Expected::Cascade => after_cascade,
            Expected::Modes => {
                self.automatic_end = value & fourth::AUTOMATIC_END != 0;
                self.special_nesting = value & fourth::SPECIAL_NESTING != 0;
                Expected::Mask
            }
        };
    }
}

/// Both controllers.
#[derive(Clone, Debug)]
pub struct Pic {
    first: Controller,
    second: Controller,
    raised: u64,
}

impl Default for Pic {
    fn default() -> Self {
        Self::new()
    }
}

impl Pic {
    /// The controllers as firmware leaves them, vectors 08 and 70, with every line masked.
    pub const fn new() -> Self {
        Self { first: Controller::new(0x08), second: Controller::new(0x70), raised: 0 }
    }

    /// Raises `line`, 0 to 15 but not 2, for a moment: a request, if there is none already.
    pub fn pulse(&mut self, line: u8) {
        let (controller, line) =
            if line < 8 { (&mut self.first, line) } else { (&mut self.second, line & 7) };
        let new = controller.set_line(line, true);
        controller.set_line(line, false);
        self.raised += u64::from(new);
        self.cascade();
    }

    /// How many requests there have been.
    pub const fn raised(&self) -> u64 {
        self.raised
    }

    /// Whether a new edge of `line`, 0 to 7, would be noticed: it is not masked, and has no request yet.
    pub const fn awaits(&self, line: u8) -> bool {
        (self.first.requests | self.first.mask) & 1 << line == 0
    }

    /// Whether the processor is to be interrupted.
    pub fn has_interrupt(&self) -> bool {
        self.first.pending().is_some()
    }

    /// The processor takes an interrupt; its vector.
    pub fn acknowledge(&mut self) -> u8 {
        let Some(line) = self.first.pending() else {
            return self.first.vector | SPURIOUS;
        };
        self.first.take(line);
        if line != CASCADE || self.first.single {
            return self.first.vector | line;
        }
        let vector = match self.second.pending() {
            Some(line) => {
                self.second.take(line);
                self.second.vector | line
            }
            None => self.second.vector | SPURIOUS,
        };
        // Its output falls when it is answered; what else it has makes a new edge.
        self.first.set_line(CASCADE, false);
        self.cascade();
        vector
    }

    /// Reads port 20, 21, A0 or A1.
    pub fn read(&mut self, port: u16) -> u8 {
        let controller = self.controller(port);
        let value = if port & 1 == 0 { controller.read_command() } else { controller.mask };
        self.cascade();
        value
    }

    /// Writes port 20, 21, A0 or A1.
    pub fn write(&mut self, port: u16, value: u8) {
        let controller = self.controller(port);
        if port & 1 == 0 {
            controller.write_command(value)
        } else {
            controller.write_data(value)
        }
        self.cascade();
    }

    fn controller(&mut self, port: u16) -> &mut Controller {
        if port & 0x80 == 0 { &mut self.first } else { &mut self.second }
    }

    /// The output of the second controller is a line of the first.
    fn cascade(&mut self) {
        self.first.set_line(CASCADE, self.second.pending().is_some());
    }
}

#[cfg(test)]
mod tests;
