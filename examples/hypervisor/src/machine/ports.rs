//! The ports that are the machine's own, as the real I/O permission bitmap has them, and access to them.
//!
//! # Safety
//!
//! Behind these ports are a screen, a serial line, the firmware's progress and a debugger's console, which touch
//! no memory.
#![allow(unsafe_code)]

use vmi_hypervisor::port::is_machines_own;

use crate::port::{Port, Port16, Port32};

/// Ports below this one are looked at; all others are closed.
const PORTS: u16 = 0x400;

/// A bit for each port: 1 if it is the machine's own.
pub const OWN: [u8; PORTS as usize / 8] = {
    let mut bits = [0; PORTS as usize / 8];
    let mut port = 0;
    while port < PORTS {
        if is_machines_own(port) {
            bits[port as usize / 8] |= 1 << (port % 8);
        }
        port += 1;
    }
    bits
};

/// Whether each of `width` ports from `port` on is the machine's own.
fn are_own(port: u16, width: u8) -> bool {
    (0..width).all(|offset| port.checked_add(offset.into()).is_some_and(is_machines_own))
}

/// Reads a port; ones if it is not the machine's own.
pub fn read(port: u16, width: u8) -> u32 {
    if !are_own(port, width) {
        return !0;
    }
    match width {
        // SAFETY: see the module.
        1 => unsafe { Port::new(port) }.read().into(),
        // SAFETY: see the module.
        2 => unsafe { Port16::new(port) }.read().into(),
        // SAFETY: see the module.
        _ => unsafe { Port32::new(port) }.read(),
    }
}

/// Writes a port; nothing happens if it is not the machine's own.
pub fn write(port: u16, width: u8, value: u32) {
    if !are_own(port, width) {
        return;
    }
    match width {
        // SAFETY: see the module.
        1 => unsafe { Port::new(port) }.write(value as u8),
        // SAFETY: see the module.
        2 => unsafe { Port16::new(port) }.write(value as u16),
        // SAFETY: see the module.
        _ => unsafe { Port32::new(port) }.write(value),
    }
}
