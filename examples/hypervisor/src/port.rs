//! Ports: who may use which, and what is behind them.
//!
//! The screen, the serial line, the firmware's progress and the debugger's console are the machine's own: the
//! guest uses the real ones, without a trap while the virtual I/O privilege level is 3. Behind all others is a
//! device of the [`Board`](crate::device::Board), or nothing, which reads as ones. The kernel may use every port;
//! a program those that the privilege level or the bitmap in the guest's task state segment opens. Source: Intel
//! manual, volume 1, chapter on input and output.

use crate::decode::{Instruction, Operation, Port, Segment};
use crate::device::cmos::{self, Register};
use crate::device::pci;
use crate::device::reset::Request;
use crate::fault::Fault;
use crate::frame::eflags;
use crate::guest::Guest;
use crate::host::Host;
use crate::paging::{Access, Intent, Privilege};
use crate::stop::Stop;

/// The port that ends the guest with the code that is written to it.
const EXIT: u16 = 0xF4;
/// A double word: how often the guest has been left before this time.
const EXITS: u16 = 0x5650;

/// Offset of the I/O permission bitmap's offset in a task state segment.
const BITMAP_OFFSET: u32 = 0x66;
/// Elements of a string that are moved at once; then interrupts are looked after.
const STRING_PART: u32 = 4096;

/// Numbers of general registers.
const EAX: u8 = 0;
const ECX: u8 = 1;
const ESI: u8 = 6;
const EDI: u8 = 7;

/// Whether a port is the real machine's.
pub const fn is_machines_own(port: u16) -> bool {
    matches!(port, 0x80 | 0xE9 | 0x3B0..=0x3DF | 0x3F8..=0x3FF)
}

/// A string that goes to a port or comes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringPort {
    /// The port.
    pub port: u16,
    /// Bytes of an element: 1, 2 or 4.
    pub width: u8,
    /// Whether (E)CX counts the elements; else there is one.
    pub repeats: bool,
    /// The segment that the string lies in.
    pub segment: Segment,
    /// Bytes of an address and of the count: 2 or 4.
    pub address_size: u8,
}

impl<H: Host> Guest<H> {
    /// Sets the virtual I/O privilege level.
    pub fn set_io_privilege(&mut self, level: u8) {
        self.vcpu.iopl = level & 3;
        self.host.open_ports(self.vcpu.iopl == 3);
    }

    /// Whether the guest may use a port where it is: in the kernel's ring always, in ring 3 if it was granted.
    ///
    /// # Errors
    ///
    /// #GP(0) if not; the page fault that the bitmap raises.
    fn permit_port(&self, port: u16, width: u8) -> Result<(), Fault> {
        if !self.vcpu.frame.is_user() || self.vcpu.iopl == 3 {
            return Ok(());
        }
        let closed = Fault::general_protection(0);
        let task = self.vcpu.task.table;
        if task.limit < BITMAP_OFFSET + 1 {
            return Err(closed);
        }
        let bitmap = self.read_u16(task.base.wrapping_add(BITMAP_OFFSET), Privilege::Supervisor)?;
        // Two bytes are read, whatever the bit: both are inside the segment.
        let offset = u32::from(bitmap) + u32::from(port / 8);
        if offset + 1 > task.limit {
            return Err(closed);
        }
        let bits = self.read_u16(task.base.wrapping_add(offset), Privilege::Supervisor)?;
        let used = ((1 << width) - 1) << (port % 8);
        if bits & used == 0 { Ok(()) } else { Err(closed) }
    }

    /// Carries out IN, OUT, INS or OUTS; whether that is all of it, and EIP goes on.
    ///
    /// # Errors
    ///
    /// The ring may not use the port; a string lies where it cannot be.
    pub fn port_instruction(&mut self, instruction: &Instruction) -> Result<bool, Fault> {
        let dx = self.vcpu.frame.edx as u16;
        let number = |port| match port {
            Port::Immediate(port) => u16::from(port),
            Port::Dx => dx,
        };
        let prefixes = &instruction.prefixes;
        let string = |width, segment| StringPort {
            port: dx,
            width,
            repeats: prefixes.repeat.is_some(),
            segment,
            address_size: prefixes.address_size,
        };
        match instruction.operation {
            Operation::In { width, port } => {
                self.permit_port(number(port), width)?;
                let value = self.port_in(number(port), width);
                self.vcpu.frame.set_part(EAX, width, value);
                Ok(true)
            }
            Operation::Out { width, port } => {
                self.permit_port(number(port), width)?;
                self.port_out(number(port), width, self.vcpu.frame.part(EAX, width));
                Ok(true)
            }
            Operation::Ins { width } => self.port_in_string(string(width, Segment::Es)),
            Operation::Outs { width } => {
                self.port_out_string(string(width, prefixes.segment.unwrap_or(Segment::Ds)))
            }
            _ => Ok(true),
        }
    }

    /// INS: whether that was all of it.
    ///
    /// # Errors
    ///
    /// As for [`Self::port_instruction`]; the registers say how far it went.
    pub fn port_in_string(&mut self, string: StringPort) -> Result<bool, Fault> {
        self.port_string(string, EDI, |guest, offset| {
            let address =
                guest.segment_address(string.segment, offset, string.width.into(), Intent::Write)?;
            // What cannot be stored is not read.
            let access = Access { intent: Intent::Write, privilege: guest.privilege() };
            guest.translate(address, access)?;
            guest.translate(address.wrapping_add(u32::from(string.width) - 1), access)?;
            let value = guest.port_in(string.port, string.width);
            let privilege = guest.privilege();
            guest.write_linear(address, &value.to_le_bytes()[..string.width.into()], privilege)
        })
    }

    /// OUTS: whether that was all of it.
    ///
    /// # Errors
    ///
    /// As for [`Self::port_instruction`]; the registers say how far it went.
    pub fn port_out_string(&mut self, string: StringPort) -> Result<bool, Fault> {
        self.port_string(string, ESI, |guest, offset| {
            let address = guest.segment_address(string.segment, offset, string.width.into(), Intent::Read)?;
            let mut value = [0; 4];
            guest.read_linear(address, &mut value[..string.width.into()], guest.privilege())?;
            guest.port_out(string.port, string.width, u32::from_le_bytes(value));
            Ok(())
        })
    }

    /// Moves the elements of a string, of which `index` is the register that leads to the next one.
    fn port_string(
        &mut self,
        string: StringPort,
        index: u8,
        mut element: impl FnMut(&mut Self, u32) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        self.permit_port(string.port, string.width)?;
        let size = string.address_size;
        let step = match self.vcpu.frame.eflags & eflags::DIRECTION {
            0 => u32::from(string.width),
            _ => u32::from(string.width).wrapping_neg(),
        };
        for _ in 0..STRING_PART {
            let count = self.vcpu.frame.part(ECX, size);
            if string.repeats && count == 0 {
                return Ok(true);
            }
            let offset = self.vcpu.frame.part(index, size);
            element(self, offset)?;
            self.vcpu.frame.set_part(index, size, offset.wrapping_add(step));
            if !string.repeats {
                return Ok(true);
            }
            self.vcpu.frame.set_part(ECX, size, count - 1);
            if self.board.stop.is_some() {
                break;
            }
        }
        Ok(self.vcpu.frame.part(ECX, size) == 0)
    }

    /// Reads a port, whoever asks.
    pub fn port_in(&mut self, port: u16, width: u8) -> u32 {
        let last = port.saturating_add(u16::from(width) - 1);
        match (port, width) {
            (EXITS, 4) => (self.counters.exits() as u32).wrapping_sub(1),
            (pci::ADDRESS, 4) => self.board.pci.address(),
            _ if is_machines_own(port) && is_machines_own(last) => self.host.port_in(port, width),
            _ => (0..u16::from(width)).fold(0, |value, byte| {
                let part = port.checked_add(byte).map_or(!0, |port| self.byte_in(port));
                value | u32::from(part) << (8 * byte)
            }),
        }
    }

    /// Writes a port, whoever asks.
    pub fn port_out(&mut self, port: u16, width: u8, value: u32) {
        let last = port.saturating_add(u16::from(width) - 1);
        match (port, width) {
            (pci::ADDRESS, 4) => self.board.pci.set_address(value),
            (EXIT, _) => self.board.stop = Some(Stop::Exit(value as u8)),
            _ if is_machines_own(port) && is_machines_own(last) => self.host.port_out(port, width, value),
            _ => {
                for (byte, part) in (0..u16::from(width)).zip(value.to_le_bytes()) {
                    if let Some(port) = port.checked_add(byte) {
                        self.byte_out(port, part);
                    }
                }
            }
        }
    }

    fn byte_in(&mut self, port: u16) -> u8 {
        // What the devices show is of the present.
        self.poll_devices();
        let now = self.host.cycles();
        let board = &mut self.board;
        match port {
            0..=0xF => board.dma.read(port),
            0x20 | 0x21 | 0xA0 | 0xA1 => board.pic.read(port),
            0x40..=0x43 | 0x61 => board.pit.read(port, now),
            cmos::DATA => match board.cmos.selected() {
                Register::Clock(index) => {
                    self.host.port_out(cmos::INDEX, 1, index.into());
                    self.host.port_in(cmos::DATA, 1) as u8
                }
                Register::Fixed(value) => value,
                Register::Memory(index) => board.cmos.read(index),
            },
            pci::DATA..=0xCFF => board.pci.read(port - pci::DATA),
            _ if is_machines_own(port) => self.host.port_in(port, 1) as u8,
            _ => board.reset.read(port).unwrap_or(!0),
        }
    }

    fn byte_out(&mut self, port: u16, value: u8) {
        self.poll_devices();
        let now = self.host.cycles();
        let board = &mut self.board;
        match port {
            0..=0xF => board.dma.write(port, value),
            0x20 | 0x21 | 0xA0 | 0xA1 => board.pic.write(port, value),
            0x40..=0x43 | 0x61 => board.pit.write(port, value, now),
            cmos::INDEX => board.cmos.select(value),
            cmos::DATA => match board.cmos.selected() {
                Register::Memory(index) => board.cmos.write(index, value),
                Register::Clock(_) | Register::Fixed(_) => self.counters.refused("clock"),
            },
            pci::DATA..=0xCFF => board.pci.write(port - pci::DATA, value),
            EXIT => self.board.stop = Some(Stop::Exit(value)),
            _ if is_machines_own(port) => self.host.port_out(port, 1, value.into()),
            _ => match board.reset.write(port, value) {
                Some(Request::Reset) => self.board.stop = Some(Stop::Reset),
                Some(Request::A20Off) => self.counters.refused("a20"),
                Some(Request::Nothing) => {}
                None => self.counters.refused("port"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
