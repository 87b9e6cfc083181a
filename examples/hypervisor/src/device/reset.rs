//! The ports by which a PC is reset, or turns its address line 20 off: keyboard controller, system control
//! port A, and the reset control register.
//!
//! Source: IBM's PC/AT technical reference; Intel's data sheet of the 82371SB (PIIX3).

/// What a write asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Nothing that matters here.
    Nothing,
    /// Reset of the machine.
    Reset,
    /// Address line 20 off. It stays on.
    A20Off,
}

/// The keyboard controller's data port.
pub const KEYBOARD_DATA: u16 = 0x60;
/// The keyboard controller's command port.
pub const KEYBOARD_COMMAND: u16 = 0x64;
/// System control port A.
pub const CONTROL_A: u16 = 0x92;
/// The reset control register.
pub const RESET_CONTROL: u16 = 0xCF9;

/// Bits of system control port A.
const CONTROL_RESET: u8 = 1 << 0;
const CONTROL_A20: u8 = 1 << 1;

/// RESET_CONTROL: a hard reset, and the bit whose rise resets.
const HARD: u8 = 1 << 1;
const RESET: u8 = 1 << 2;

/// Bits of the keyboard controller's output port.
const OUTPUT_NOT_RESET: u8 = 1 << 0;
const OUTPUT_A20: u8 = 1 << 1;

/// KEYBOARD_COMMAND: the next byte of data goes to the output port.
const WRITE_OUTPUT_PORT: u8 = 0xD1;
/// KEYBOARD_COMMAND, F0 and above: pulses the lines whose bits are clear.
const PULSE: u8 = 0xF0;
/// The controller's status: it has been tested, and there is no byte in either direction.
const STATUS: u8 = 1 << 2;

/// The ports' state.
#[derive(Clone, Debug, Default)]
pub struct ResetPorts {
    writes_output_port: bool,
    control: u8,
}

impl ResetPorts {
    /// Reads one of the ports; `None` for another port.
    pub const fn read(&self, port: u16) -> Option<u8> {
        match port {
            KEYBOARD_DATA => Some(0),
            KEYBOARD_COMMAND => Some(STATUS),
            CONTROL_A => Some(CONTROL_A20),
            RESET_CONTROL => Some(self.control),
            _ => None,
        }
    }

    /// Writes one of the ports; `None` for another port.
    pub fn write(&mut self, port: u16, value: u8) -> Option<Request> {
        Some(match port {
            KEYBOARD_COMMAND => {
                self.writes_output_port = value == WRITE_OUTPUT_PORT;
                let pulses_reset = value >= PULSE && value & OUTPUT_NOT_RESET == 0;
                if pulses_reset { Request::Reset } else { Request::Nothing }
            }
            KEYBOARD_DATA if core::mem::take(&mut self.writes_output_port) => {
                lines(value & OUTPUT_NOT_RESET == 0, value & OUTPUT_A20 != 0)
            }
            // A command to a keyboard that is not there.
            KEYBOARD_DATA => Request::Nothing,
            CONTROL_A => lines(value & CONTROL_RESET != 0, value & CONTROL_A20 != 0),
            RESET_CONTROL => {
                let rises = value & RESET != 0 && self.control & RESET == 0;
                self.control = value & (HARD | RESET);
                if rises { Request::Reset } else { Request::Nothing }
            }
            _ => return None,
        })
    }
}

const fn lines(reset: bool, a20: bool) -> Request {
    match (reset, a20) {
        (true, _) => Request::Reset,
        (false, false) => Request::A20Off,
        (false, true) => Request::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of the writes asks for.
    fn requests<const N: usize>(writes: [(u16, u8); N]) -> [Option<Request>; N] {
        let mut ports = ResetPorts::default();
        writes.map(|(port, value)| ports.write(port, value))
    }

    #[test]
    fn the_keyboard_controller_resets_by_a_pulse_or_its_output_port() {
        assert_eq!(requests([(0x64, 0xFE)]), [Some(Request::Reset)]);
        assert_eq!(requests([(0x64, 0xFF)]), [Some(Request::Nothing)]);
        assert_eq!(requests([(0x64, 0xD1), (0x60, 2)])[1], Some(Request::Reset));
        assert_eq!(requests([(0x60, 2)]), [Some(Request::Nothing)], "that is for the keyboard");
    }

    #[test]
    fn address_line_20_cannot_be_turned_off() {
        assert_eq!(requests([(0x64, 0xD1), (0x60, 0xDD)])[1], Some(Request::A20Off));
        assert_eq!(requests([(0x64, 0xD1), (0x60, 0xDF)])[1], Some(Request::Nothing));
        assert_eq!(requests([(0x92, 0), (0x92, 2)]), [Some(Request::A20Off), Some(Request::Nothing)]);
        assert_eq!(ResetPorts::default().read(0x92), Some(2));
    }

    #[test]
    fn system_control_port_a_resets() {
        assert_eq!(requests([(0x92, 3)]), [Some(Request::Reset)]);
    }

    #[test]
    fn the_reset_control_register_resets_when_its_bit_rises() {
        assert_eq!(requests([(0xCF9, 2), (0xCF9, 6)]), [Some(Request::Nothing), Some(Request::Reset)]);
        assert_eq!(requests([(0xCF9, 4)]), [Some(Request::Reset)]);
        let mut ports = ResetPorts::default();
        ports.write(0xCF9, 0xFB);
        assert_eq!(ports.read(0xCF9), Some(2));
    }

    #[test]
    fn the_keyboard_controller_is_always_ready() {
        assert_eq!(ResetPorts::default().read(0x64), Some(4));
    }

    #[test]
    fn other_ports_are_not_its_business() {
        let mut ports = ResetPorts::default();
        assert_eq!((ports.read(0x61), ports.write(0x61, 0)), (None, None));
    }
}
