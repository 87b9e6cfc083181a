//! The registers of the first 8237 DMA controller. There is nothing to transfer: it keeps what it is told.
//!
//! Source: Intel's data sheet of the 8237A.

/// The port of each register behind those of the channels.
mod port {
    pub const REQUEST: u16 = 9;
    pub const MASK: u16 = 0xA;
    pub const CLEAR_BYTE_POINTER: u16 = 0xC;
    pub const MASTER_CLEAR: u16 = 0xD;
    pub const CLEAR_MASK: u16 = 0xE;
    pub const ALL_MASKS: u16 = 0xF;
    pub const STATUS: u16 = 8;
}

/// The controller.
#[derive(Clone, Debug)]
pub struct Dma {
    /// Address and count of each channel.
    words: [u16; 8],
    /// The byte pointer flip-flop: the next byte of a word is the high one.
    high: bool,
    masks: u8,
    requests: u8,
}

impl Default for Dma {
    fn default() -> Self {
        Self::new()
    }
}

impl Dma {
    /// The controller behind its reset: every channel is masked.
    pub const fn new() -> Self {
        Self { words: [0; 8], high: false, masks: 0xF, requests: 0 }
    }

    /// Reads port 0 to F.
    pub fn read(&mut self, port: u16) -> u8 {
        match self.words.get(usize::from(port)) {
            Some(word) => {
                let byte = word.to_le_bytes()[usize::from(self.high)];
                self.high = !self.high;
                byte
            }
            None if port == port::STATUS => self.requests << 4,
            None if port == port::ALL_MASKS => 0xF0 | self.masks,
            None => !0,
        }
    }

    /// Writes port 0 to F.
    pub fn write(&mut self, port: u16, value: u8) {
        if let Some(word) = self.words.get_mut(usize::from(port)) {
            let mut bytes = word.to_le_bytes();
            bytes[usize::from(self.high)] = value;
            *word = u16::from_le_bytes(bytes);
            self.high = !self.high;
            return;
        }
        let set = |bits: &mut u8| {
            let bit = 1 << (value & 3);
            *bits = if value & 4 != 0 { *bits | bit } else { *bits & !bit };
        };
        match port {
            port::REQUEST => set(&mut self.requests),
            port::MASK => set(&mut self.masks),
            port::CLEAR_BYTE_POINTER => self.high = false,
            port::MASTER_CLEAR => *self = Self { words: self.words, ..Self::new() },
            port::CLEAR_MASK => self.masks = 0,
            port::ALL_MASKS => self.masks = value & 0xF,
            // Command and mode say how to transfer what nobody transfers.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_and_read_byte_by_byte() {
        let mut dma = Dma::new();
        dma.write(0xC, 0);
        for (port, bytes) in [(0, [0x12, 0x34]), (1, [0x56, 0x78]), (7, [0x9A, 0xBC])] {
            bytes.into_iter().for_each(|byte| dma.write(port, byte));
        }
        for (port, bytes) in [(0, [0x12, 0x34]), (1, [0x56, 0x78]), (7, [0x9A, 0xBC])] {
            assert_eq!([dma.read(port), dma.read(port)], bytes);
        }
        assert_eq!([dma.read(0), dma.read(0), dma.read(0)], [0x12, 0x34, 0x12]);
    }

    #[test]
    fn the_byte_pointer_is_cleared_by_command() {
        let mut dma = Dma::new();
        dma.write(0, 1);
        dma.write(0xC, 0);
        dma.write(0, 2);
        dma.write(0, 3);
        assert_eq!([dma.read(0), dma.read(0)], [2, 3]);
        dma.write(0, 4);
        dma.write(0xD, 0);
        assert_eq!(dma.read(0), 4, "a master clear keeps the words");
    }

    #[test]
    fn masks_and_requests_are_set_one_by_one() {
        let mut dma = Dma::new();
        assert_eq!(dma.read(0xF), 0xFF);
        dma.write(0xE, 0);
        dma.write(0xA, 6);
        assert_eq!(dma.read(0xF), 0xF4);
        dma.write(0xA, 2);
        assert_eq!(dma.read(0xF), 0xF0);
        dma.write(0xF, 5);
        assert_eq!(dma.read(0xF), 0xF5);
        dma.write(9, 7);
        assert_eq!(dma.read(8), 0x80);
        dma.write(0xD, 0);
        assert_eq!((dma.read(8), dma.read(0xF)), (0, 0xFF));
    }
}
