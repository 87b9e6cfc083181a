//! The PCI configuration space: a host bridge, and a south bridge with an IDE function behind which there is
//! nothing.
//!
//! Source: the PCI specification, configuration mechanism 1; Intel's data sheets of the 82441FX and the
//! 82371SB (PIIX3).

/// The port of the configuration address, 32 bits wide.
pub const ADDRESS: u16 = 0xCF8;
/// The first of the four ports that are the register selected.
pub const DATA: u16 = 0xCFC;

/// Bits of the address that are kept: enable, bus, device, function, register.
const ADDRESS_BITS: u32 = 0x80FF_FFFC;
const ENABLE: u32 = 1 << 31;

/// Offset of the command register, and which of its bits can be set: access to ports and to memory, bus
/// master, error reports, no interrupt pin.
const COMMAND: u32 = 4;
const COMMAND_BITS: u16 = 0x0507;

/// What does not change of a function's header, and its command register.
#[derive(Clone, Debug)]
struct Function {
    /// Device and function, as bits 15 to 8 of the address have them.
    place: u8,
    vendor_and_device: u32,
    /// Base class, subclass, programming interface and revision.
    class: u32,
    /// Bits 23 to 16 of the double word at C: whether there are other functions.
    header_type: u8,
    command: u16,
}

impl Function {
    const fn new(device: u8, function: u8, vendor_and_device: u32, class: u32, header_type: u8) -> Self {
        Self { place: device << 3 | function, vendor_and_device, class, header_type, command: 0 }
    }

    /// The double word at `offset` of the header. Base addresses read as 0: there are none.
    fn read(&self, offset: u32) -> u32 {
        match offset {
            0 => self.vendor_and_device,
            COMMAND => self.command.into(),
            8 => self.class,
            0xC => u32::from(self.header_type) << 16,
            _ => 0,
        }
    }
}

/// The bus.
#[derive(Clone, Debug)]
pub struct Pci {
    address: u32,
    functions: [Function; 3],
}

impl Default for Pci {
    fn default() -> Self {
        Self::new()
    }
}

impl Pci {
    /// The bus behind its reset.
    pub const fn new() -> Self {
        Self {
            address: 0,
            functions: [
                Function::new(0, 0, 0x1237_8086, 0x0600_0002, 0),
                Function::new(1, 0, 0x7000_8086, 0x0601_0000, 0x80),
                Function::new(1, 1, 0x7010_8086, 0x0101_8000, 0),
            ],
        }
    }

    /// The configuration address.
    pub const fn address(&self) -> u32 {
        self.address
    }

    /// Sets the configuration address.
    pub const fn set_address(&mut self, value: u32) {
        self.address = value & ADDRESS_BITS;
    }

    /// The function that the address selects.
    fn selected(&mut self) -> Option<&mut Function> {
        let (bus, place) = (self.address >> 16 & 0xFF, (self.address >> 8) as u8);
        if self.address & ENABLE == 0 || bus != 0 {
            return None;
        }
        self.functions.iter_mut().find(|function| function.place == place)
    }

    /// Reads byte `byte`, 0 to 3, of the selected register.
    pub fn read(&mut self, byte: u16) -> u8 {
        let offset = self.address & 0xFC;
        self.selected().map_or(!0, |function| function.read(offset).to_le_bytes()[usize::from(byte & 3)])
    }

    /// Writes byte `byte`, 0 to 3, of the selected register.
    pub fn write(&mut self, byte: u16, value: u8) {
        let offset = self.address & 0xFC;
        let Some(function) = self.selected() else { return };
        if offset == COMMAND && byte < 2 {
            let mut bytes = function.command.to_le_bytes();
            bytes[usize::from(byte)] = value;
            function.command = u16::from_le_bytes(bytes) & COMMAND_BITS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(pci: &mut Pci, device: u32, function: u32, offset: u32) {
        pci.set_address(ENABLE | device << 11 | function << 8 | offset);
    }

    fn read(pci: &mut Pci) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|byte| pci.read(byte)))
    }

    #[test]
    fn the_address_reads_as_written() {
        let mut pci = Pci::new();
        for address in [0x8000_0000, 0x8000_0904, 0] {
            pci.set_address(address);
            assert_eq!(pci.address(), address);
        }
        pci.set_address(!0);
        assert_eq!(pci.address(), 0x80FF_FFFC);
    }

    #[test]
    fn the_bus_has_a_host_bridge_and_a_south_bridge_with_ide() {
        let mut pci = Pci::new();
        let mut found = Vec::new();
        for (device, function) in (0..32).flat_map(|device| (0..8).map(move |function| (device, function))) {
            select(&mut pci, device, function, 0);
            if read(&mut pci) != !0 {
                found.push((device, function, read(&mut pci)));
            }
        }
        assert_eq!(found, [(0, 0, 0x1237_8086), (1, 0, 0x7000_8086), (1, 1, 0x7010_8086)]);
        select(&mut pci, 1, 0, 0xC);
        assert_eq!(read(&mut pci), 0x0080_0000, "the south bridge has several functions");
        select(&mut pci, 1, 1, 8);
        assert_eq!(read(&mut pci) >> 16, 0x0101);
    }

    #[test]
    fn another_bus_and_a_closed_mechanism_read_as_ones() {
        let mut pci = Pci::new();
        for address in [0, 0x8001_0000, 0x0000_0904] {
            pci.set_address(address);
            assert_eq!(read(&mut pci), !0);
        }
    }

    #[test]
    fn a_command_register_keeps_the_bits_that_it_has() {
        let mut pci = Pci::new();
        select(&mut pci, 1, 1, 4);
        for command in [0x0001_u16, 0x0400, 0x0401, 0xFFFF] {
            let [low, high] = command.to_le_bytes();
            pci.write(0, low);
            pci.write(1, high);
            assert_eq!(read(&mut pci), u32::from(command & 0x0507));
        }
        pci.write(2, 0xFF);
        assert_eq!(read(&mut pci), 0x0507);
        select(&mut pci, 0, 0, 4);
        assert_eq!(read(&mut pci), 0, "each function has its own");
    }

    #[test]
    fn what_a_function_is_cannot_be_changed() {
        let mut pci = Pci::new();
        for offset in [0, 8, 0xC, 0x10, 0x20] {
            select(&mut pci, 1, 1, offset);
            let before = read(&mut pci);
            (0..4).for_each(|byte| pci.write(byte, 0x55));
            assert_eq!(read(&mut pci), before);
        }
    }
}
