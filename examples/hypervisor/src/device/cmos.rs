//! The CMOS memory with its clock, of which the guest sees the machine's own.
//!
//! The clock's registers are the real ones and cannot be written: a guest that sets the clock would set the
//! machine's. The other bytes are memory of the guest. Source: the data sheet of the MC146818A.

/// The port that selects a register.
pub const INDEX: u16 = 0x70;
/// The port that is the register selected.
pub const DATA: u16 = 0x71;

/// What a register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// The real machine's: time, date, and the registers that say how to read them.
    Clock(u8),
    /// Interrupts of the clock, of which the guest has none: it reads as this, and cannot be written.
    Fixed(u8),
    /// Memory, at this index.
    Memory(u8),
}

/// Register D: the time is valid.
const VALID: u8 = 1 << 7;
/// The century, where PCs have it.
const CENTURY: u8 = 0x32;

/// The index and the memory.
#[derive(Clone, Debug)]
pub struct Cmos {
    index: u8,
    memory: [u8; 128],
}

impl Default for Cmos {
    fn default() -> Self {
        Self::new()
    }
}

impl Cmos {
    /// Memory that is all zero.
    pub const fn new() -> Self {
        Self { index: 0, memory: [0; 128] }
    }

    /// Selects a register. Bit 7, which masks the real machine's NMI, is of no effect.
    pub const fn select(&mut self, value: u8) {
        self.index = value & 0x7F;
    }

    /// What the selected register is.
    pub const fn selected(&self) -> Register {
        match self.index {
            // Seconds, minutes, hours, day of the week, day, month, year, and registers A and B; the odd ones up
            // to 5 are those of an alarm.
            0 | 2 | 4 | 6..=0xB | CENTURY => Register::Clock(self.index),
            0xC => Register::Fixed(0),
            0xD => Register::Fixed(VALID),
            index => Register::Memory(index),
        }
    }

    /// A byte of the memory.
    pub const fn read(&self, index: u8) -> u8 {
        self.memory[(index & 0x7F) as usize]
    }

    /// Sets a byte of the memory.
    pub const fn write(&mut self, index: u8, value: u8) {
        self.memory[(index & 0x7F) as usize] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_and_date_are_the_machines() {
        let mut cmos = Cmos::new();
        let of_the_machine = (0..=u8::MAX).filter(|index| {
            cmos.select(*index);
            matches!(cmos.selected(), Register::Clock(real) if real == index & 0x7F)
        });
        let expected = [0, 2, 4, 6, 7, 8, 9, 0xA, 0xB, 0x32];
        assert!(of_the_machine.eq(expected.into_iter().chain(expected.map(|index| index | 0x80))));
    }

    #[test]
    fn the_rest_is_memory_of_the_guest() {
        let mut cmos = Cmos::new();
        cmos.select(0x8E);
        assert_eq!(cmos.selected(), Register::Memory(0x0E));
        cmos.write(0x0E, 0x5A);
        assert_eq!((cmos.read(0x0E), cmos.read(0x0F)), (0x5A, 0));
        cmos.select(0xD);
        assert_eq!(cmos.selected(), Register::Fixed(0x80));
    }
}
