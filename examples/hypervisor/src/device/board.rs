//! [`Board`]: the devices and the clock of the guest's machine, and the interrupts that they raise.

use super::apic::Apic;
use super::cmos::Cmos;
use super::dma::Dma;
use super::pci::Pci;
use super::pic::Pic;
use super::pit::Pit;
use super::reset::ResetPorts;
use crate::guest::Guest;
use crate::host::Host;
use crate::stop::Stop;
use crate::time::{Time, Wiring};

/// The line of the interval timer.
const TIMER_LINE: u8 = 0;

/// Everything in the guest's machine but processor and memory.
#[derive(Clone, Debug)]
pub struct Board {
    /// The interrupt controllers.
    pub pic: Pic,
    /// The interval timer.
    pub pit: Pit,
    /// The local APIC.
    pub apic: Apic,
    /// The PCI configuration space.
    pub pci: Pci,
    /// The DMA controller.
    pub dma: Dma,
    /// The CMOS memory.
    pub cmos: Cmos,
    /// The ports that reset the machine.
    pub reset: ResetPorts,
    /// The clock of the interface.
    pub time: Time,
    /// The guest has ended itself by a port or by a call, and does not go on.
    pub stop: Option<Stop>,
}

impl Board {
    /// The board of a machine that is turned on now; `now` and `frequency` are those of the time-stamp counter.
    pub fn new(now: u64, frequency: u64) -> Self {
        Self {
            pic: Pic::new(),
            pit: Pit::new(now, frequency),
            apic: Apic::new(),
            pci: Pci::new(),
            dma: Dma::new(),
            cmos: Cmos::new(),
            reset: ResetPorts::default(),
            time: Time::new(now),
            stop: None,
        }
    }

    /// Raises the interrupts that are due by now.
    pub fn poll(&mut self, now: u64) {
        if self.pit.poll(now) {
            self.pic.pulse(TIMER_LINE);
        }
        for wiring in self.time.poll(now) {
            match wiring {
                Wiring::Irq0 => self.pic.pulse(TIMER_LINE),
                Wiring::LocalApicTimer => self.apic.raise_timer(),
            }
        }
    }

    /// Whether an interrupt waits for the processor.
    pub fn has_interrupt(&self) -> bool {
        self.pic.has_interrupt() || self.apic.pending().is_some()
    }

    /// The processor takes an interrupt: those of the controllers come before those of the APIC.
    pub fn acknowledge(&mut self) -> u8 {
        if self.pic.has_interrupt() { self.pic.acknowledge() } else { self.apic.acknowledge() }
    }

    /// When the next interrupt is due. A tick that would change nothing, because its line is masked or has a
    /// request already, is none.
    pub fn deadline(&self) -> Option<u64> {
        let tick = self.pit.deadline().filter(|_| self.pic.awaits(TIMER_LINE));
        [tick, self.time.deadline()].into_iter().flatten().min()
    }
}

impl<H: Host> Guest<H> {
    /// Brings the devices up to the present: interrupts that are due wait from now on.
    pub fn poll_devices(&mut self) {
        self.board.poll(self.host.cycles());
        self.show_apic();
    }

    /// Whether an interrupt waits, which the guest may have masked.
    pub fn has_interrupt(&self) -> bool {
        self.board.has_interrupt()
    }

    /// The guest's processor takes the interrupt that waits; its vector.
    pub fn acknowledge_interrupt(&mut self) -> u8 {
        let vector = self.board.acknowledge();
        self.counters.delivered();
        self.show_apic();
        vector
    }

    /// The time-stamp counter at the next moment at which a device has an interrupt; `None` if there is none
    /// to come.
    pub fn deadline(&self) -> Option<u64> {
        self.board.deadline()
    }

    /// Cycles have just passed in which the guest could have run, and did not get the machine. While it halts
    /// none are stolen from it.
    pub fn stolen(&mut self, cycles: u64) {
        if !self.vcpu.halted {
            self.board.time.steal(cycles, self.host.cycles());
        }
    }

    /// Writes a register of the local APIC; the offset is that in its page.
    pub fn write_apic_register(&mut self, offset: u16, value: u32) {
        if !self.board.apic.write(offset, value) {
            self.counters.refused("apic");
        }
        self.show_apic();
    }

    /// Brings the page that the guest reads as its local APIC up to date.
    fn show_apic(&mut self) {
        for (offset, value) in self.board.apic.take_changes() {
            self.host.set_apic_register(offset, value);
        }
    }

    /// Passes each count that is not 0 to `line`, as `NAME COUNT`.
    pub fn counter_lines(&self, line: impl FnMut(core::fmt::Arguments<'_>)) {
        self.counters.lines(self.board.pic.raised() + self.board.apic.raised(), line);
    }
}

#[cfg(test)]
mod tests;
