//! The local APIC of the guest's only processor: its registers, and the interrupts that alarms send through
//! its timer vector.
//!
//! Its own timer does not count, and messages to other processors, of which there are none, are dropped. The
//! interrupt controllers' interrupts pass it by. The guest reads the registers in a page of memory, so each
//! change has to be shown there: [`Apic::take_changes`]. Source: Intel manual, volume 3, chapter on the APIC.

/// The number of registers: a double word in every 16 bytes of the page's first 1024.
const REGISTERS: usize = 64;

/// Offsets of registers in the page.
#[allow(missing_docs, reason = "the names are those of the manual")]
pub mod register {
    pub const ID: u16 = 0x20;
    pub const VERSION: u16 = 0x30;
    pub const TASK_PRIORITY: u16 = 0x80;
    pub const PROCESSOR_PRIORITY: u16 = 0xA0;
    pub const END_OF_INTERRUPT: u16 = 0xB0;
    pub const LOGICAL_DESTINATION: u16 = 0xD0;
    pub const DESTINATION_FORMAT: u16 = 0xE0;
    pub const SPURIOUS: u16 = 0xF0;
    /// The first of 8 registers of 32 vectors each.
    pub const IN_SERVICE: u16 = 0x100;
    /// The first of 8 registers of 32 vectors each.
    pub const REQUESTS: u16 = 0x200;
    pub const ERROR: u16 = 0x280;
    pub const INTERRUPT_COMMAND_LOW: u16 = 0x300;
    pub const INTERRUPT_COMMAND_HIGH: u16 = 0x310;
    pub const LVT_TIMER: u16 = 0x320;
    pub const LVT_LINT0: u16 = 0x350;
    pub const LVT_LINT1: u16 = 0x360;
    pub const LVT_ERROR: u16 = 0x370;
    pub const DIVIDE: u16 = 0x3E0;
}

use register::*;

/// SPURIOUS: the APIC is on.
const ENABLED: u32 = 1 << 8;
/// A local vector is masked.
const MASKED: u32 = 1 << 16;
/// The first vector that an APIC can deliver.
const FIRST_VECTOR: u32 = 16;

/// Version 14 with local vectors 0 to 5.
const VERSION_VALUE: u32 = 0x0005_0014;

/// The bits of a register that a guest can set; `None` if it can set none, or the register is special.
const fn writable(offset: u16) -> Option<u32> {
    match offset {
        ID => Some(0xFF00_0000),
        TASK_PRIORITY => Some(0xFF),
        LOGICAL_DESTINATION => Some(0xFF00_0000),
        DESTINATION_FORMAT => Some(0xF000_0000),
        SPURIOUS => Some(0x3FF),
        INTERRUPT_COMMAND_LOW => Some(0xC_CFFF),
        INTERRUPT_COMMAND_HIGH => Some(0xFF00_0000),
        LVT_TIMER => Some(0x3_00FF),
        LVT_LINT0 | LVT_LINT1 => Some(0x1_A7FF),
        0x330 | 0x340 | LVT_ERROR => Some(0x1_07FF),
        DIVIDE => Some(0xB),
        _ => None,
    }
}

/// The registers.
#[derive(Clone, Debug)]
pub struct Apic {
    registers: [u32; REGISTERS],
    /// A bit for each register that has changed since the page was brought up to date.
    changes: u64,
    raised: u64,
}

impl Default for Apic {
    fn default() -> Self {
        Self::new()
    }
}

impl Apic {
    /// The APIC as firmware leaves it: on, with the interrupt controllers on LINT0 and NMI on LINT1.
    pub fn new() -> Self {
        let mut apic = Self { registers: [0; REGISTERS], changes: !0, raised: 0 };
        for (offset, value) in [
            (VERSION, VERSION_VALUE),
            (DESTINATION_FORMAT, !0),
            (SPURIOUS, ENABLED | 0xFF),
            (LVT_TIMER, MASKED),
            (0x330, MASKED),
            (0x340, MASKED),
            (LVT_LINT0, 0x700),
            (LVT_LINT1, 0x400),
            (LVT_ERROR, MASKED),
        ] {
            apic.set(offset, value);
        }
        apic
    }

    /// Reads the register at `offset`, whose lower four bits do not count; 0 from 400 on.
    pub fn read(&self, offset: u16) -> u32 {
        self.registers.get(usize::from(offset >> 4)).copied().unwrap_or(0)
    }

    fn set(&mut self, offset: u16, value: u32) {
        let index = usize::from(offset >> 4);
        if self.registers[index] != value {
            self.registers[index] = value;
            self.changes |= 1 << index;
        }
    }

    /// The registers that have changed since this was asked last, for which the page is to be brought up to
    /// date: offset and value.
    pub fn take_changes(&mut self) -> impl Iterator<Item = (u16, u32)> + '_ {
        let (mut changes, registers) = (core::mem::take(&mut self.changes), &self.registers);
        core::iter::from_fn(move || {
            let index = changes.trailing_zeros() as u16;
            let value = *registers.get(usize::from(index))?;
            changes &= changes - 1;
            Some((index << 4, value))
        })
    }

    /// Writes the register at `offset`, whose lower four bits do not count; whether there is one that does
    /// what it is told. A message is not sent, and that is `false`.
    pub fn write(&mut self, offset: u16, value: u32) -> bool {
        let offset = offset & !0xF;
        match offset {
            END_OF_INTERRUPT => {
                if let Some(vector) = self.highest(IN_SERVICE) {
                    self.set_bit(IN_SERVICE, vector, false);
                }
            }
            ERROR => self.set(ERROR, 0),
            _ => {
                let Some(bits) = writable(offset) else { return false };
                let mut value = self.read(offset) & !bits | value & bits;
                if (LVT_TIMER..=LVT_ERROR).contains(&offset) && !self.is_enabled() {
                    value |= MASKED;
                }
                self.set(offset, value);
            }
        }
        if offset == SPURIOUS && !self.is_enabled() {
            for offset in (LVT_TIMER..=LVT_ERROR).step_by(16) {
                self.set(offset, self.read(offset) | MASKED);
            }
        }
        self.set_priority();
        offset != INTERRUPT_COMMAND_LOW
    }

    fn is_enabled(&self) -> bool {
        self.read(SPURIOUS) & ENABLED != 0
    }

    /// The highest vector in a set of them.
    fn highest(&self, set: u16) -> Option<u32> {
        (0..8).rev().find_map(|word| {
            let bits = self.read(set + (word << 4) as u16);
            Some(word << 5 | bits.checked_ilog2()?)
        })
    }

    fn set_bit(&mut self, set: u16, vector: u32, value: bool) {
        let (offset, bit) = (set + (vector >> 5 << 4) as u16, 1 << (vector & 31));
        let word = self.read(offset);
        self.set(offset, if value { word | bit } else { word & !bit });
    }

    /// The processor's priority is the higher one of the task's and of what is in service.
    fn set_priority(&mut self) {
        let task = self.read(TASK_PRIORITY);
        let served = self.highest(IN_SERVICE).unwrap_or(0) & 0xF0;
        self.set(PROCESSOR_PRIORITY, if task & 0xF0 >= served { task } else { served });
    }

    /// Raises the timer's vector, unless it is masked.
    pub fn raise_timer(&mut self) {
        let timer = self.read(LVT_TIMER);
        let vector = timer & 0xFF;
        if timer & MASKED != 0 || vector < FIRST_VECTOR {
            return;
        }
        let before = self.read(REQUESTS + (vector >> 5 << 4) as u16);
        self.raised += u64::from(before & 1 << (vector & 31) == 0);
        self.set_bit(REQUESTS, vector, true);
    }

    /// How many requests there have been.
    pub const fn raised(&self) -> u64 {
        self.raised
    }

    /// The vector that goes to the processor.
    pub fn pending(&self) -> Option<u8> {
        let vector = self.is_enabled().then(|| self.highest(REQUESTS))??;
        (vector & 0xF0 > self.read(PROCESSOR_PRIORITY) & 0xF0).then_some(vector as u8)
    }

    /// The processor takes an interrupt; its vector.
    pub fn acknowledge(&mut self) -> u8 {
        let Some(vector) = self.pending() else {
            return self.read(SPURIOUS) as u8;
        };
        self.set_bit(REQUESTS, vector.into(), false);
        self.set_bit(IN_SERVICE, vector.into(), true);
        self.set_priority();
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_timer(vector: u32) -> Apic {
        let mut apic = Apic::new();
        apic.write(LVT_TIMER, vector);
        apic
    }

    #[test]
    fn a_register_keeps_the_bits_that_it_has() {
        let mut apic = Apic::new();
        for (offset, bits) in
            [(TASK_PRIORITY, 0xFF), (SPURIOUS, 0x3FF), (LVT_TIMER, 0x3_00FF), (ID, 0xFF << 24)]
        {
            assert!(apic.write(offset, !0));
            assert_eq!(apic.read(offset), bits);
        }
        assert!(!apic.write(VERSION, 0));
        assert_eq!(apic.read(VERSION), VERSION_VALUE);
        assert!(!apic.write(0x380, 1000), "its own timer does not count");
        assert_eq!((apic.read(0x380), apic.read(0x390)), (0, 0));
        assert!(!apic.write(0x7F0, 1));
        assert_eq!(apic.read(0x7F0), 0);
    }

    #[test]
    fn the_page_is_told_of_each_change_once() {
        let mut apic = Apic::new();
        assert_eq!(apic.take_changes().count(), REGISTERS);
        assert_eq!(apic.take_changes().count(), 0);
        apic.write(TASK_PRIORITY, 0x20);
        let changes: Vec<_> = apic.take_changes().collect();
        assert_eq!(changes, [(TASK_PRIORITY, 0x20), (PROCESSOR_PRIORITY, 0x20)]);
        apic.write(TASK_PRIORITY, 0x20);
        assert_eq!(apic.take_changes().count(), 0);
    }

    #[test]
    fn the_timers_vector_is_served_until_its_end() {
        let mut apic = with_timer(0x51);
        assert_eq!(apic.pending(), None);
        apic.raise_timer();
        apic.raise_timer();
        assert_eq!(apic.pending(), Some(0x51));
        assert_eq!(apic.acknowledge(), 0x51);
        assert_eq!((apic.read(IN_SERVICE + 0x20), apic.read(REQUESTS + 0x20)), (1 << 0x11, 0));
        apic.raise_timer();
        assert_eq!(apic.pending(), None, "its own priority holds it back");
        apic.write(END_OF_INTERRUPT, 0);
        assert_eq!(apic.acknowledge(), 0x51);
        apic.write(END_OF_INTERRUPT, 0);
        assert_eq!(apic.pending(), None);
        assert_eq!(apic.raised(), 2);
    }

    #[test]
    fn a_masked_timer_raises_nothing() {
        let mut apic = Apic::new();
        apic.raise_timer();
        apic.write(LVT_TIMER, 0x05);
        apic.raise_timer();
        apic.write(LVT_TIMER, MASKED | 0x51);
        apic.raise_timer();
        assert_eq!((apic.pending(), apic.raised()), (None, 0));
    }

    #[test]
    fn the_task_priority_holds_its_class_and_lower_ones_back() {
        let mut apic = with_timer(0x51);
        apic.raise_timer();
        apic.write(TASK_PRIORITY, 0x50);
        assert_eq!(apic.pending(), None);
        assert_eq!(apic.acknowledge(), 0xFF, "spurious");
        apic.write(TASK_PRIORITY, 0x4F);
        assert_eq!(apic.pending(), Some(0x51));
    }

    #[test]
    fn an_apic_that_is_off_masks_its_local_vectors() {
        let mut apic = with_timer(0x51);
        apic.raise_timer();
        apic.write(SPURIOUS, 0xFF);
        assert_eq!(apic.pending(), None);
        assert_eq!(apic.read(LVT_TIMER), MASKED | 0x51);
        apic.write(LVT_TIMER, 0x51);
        assert_eq!(apic.read(LVT_TIMER), MASKED | 0x51);
    }

    #[test]
    fn a_message_is_never_on_its_way_and_never_arrives() {
        let mut apic = Apic::new();
        assert!(apic.write(INTERRUPT_COMMAND_HIGH, 1 << 24));
        assert!(!apic.write(INTERRUPT_COMMAND_LOW, 0x1_C500 | 1 << 12));
        assert_eq!(apic.read(INTERRUPT_COMMAND_LOW), 0xC500);
        assert_eq!(apic.pending(), None);
    }
}
