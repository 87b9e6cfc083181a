//! Ports, many values at a time.
//!
//! The 8-bit port is an address register of the first DMA controller: it takes and gives two bytes in turn,
//! so that the order of a run shows. At the wider ports a run shows by the last value written, and by a
//! value read again and again.
//!
//! # Safety
//!
//! All DMA channels are masked. For the wider ports, see `port`.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::port;

use super::check;
use super::port::{ADDRESS, COMMAND, COMMANDS, DATA, PCI_ADDRESS, PCI_DATA, VENDOR, with_command};
use crate::port::Port;
use crate::report::{Check, Report};

/// The address of channel 0.
const DMA_ADDRESS: u16 = 0x00;
// SAFETY: the channel is masked.
const ADDRESS_BYTE: Port = unsafe { Port::new(DMA_ADDRESS) };
// SAFETY: any value makes the low byte the next one.
const DMA_CLEAR: Port = unsafe { Port::new(0x0C) };
// SAFETY: sets and clears the masks of channels.
const DMA_MASK: Port = unsafe { Port::new(0x0A) };
/// Masks channel 0.
const MASK_CHANNEL_0: u8 = 4;

pub fn run(report: &mut Report) {
    check(report, Call::INSL, |check| {
        ADDRESS.write(VENDOR);
        // SAFETY: see the module.
        fills(check, VENDOR, |values| unsafe { port::insl(PCI_ADDRESS, values) });
    });
    check(report, Call::INSB, |check| {
        DMA_MASK.write(MASK_CHANNEL_0);
        DMA_CLEAR.write(0);
        ADDRESS_BYTE.write(0x12);
        ADDRESS_BYTE.write(0x34);
        let mut values = [0xEE; 8];
        // SAFETY: see the module.
        unsafe { port::insb(DMA_ADDRESS, &mut values[1..7]) };
        check.equal("bytes", values, [0xEE, 0x12, 0x34, 0x12, 0x34, 0x12, 0x34, 0xEE]);
        // SAFETY: see the module.
        unsafe { port::insb(DMA_ADDRESS, &mut values[..0]) };
        check.equal("nothing", values[0], 0xEE);
    });
    check(report, Call::INSW, |check| {
        ADDRESS.write(VENDOR);
        // SAFETY: see the module.
        fills(check, DATA.read(), |values| unsafe { port::insw(PCI_DATA, values) });
    });
    check(report, Call::OUTSL, |check| {
        for length in [1, 2] {
            // SAFETY: see the module.
            unsafe { port::outsl(PCI_ADDRESS, &[VENDOR, COMMAND][..length]) };
            check.equal("last value", ADDRESS.read(), [VENDOR, COMMAND][length - 1]);
        }
    });
    check(report, Call::OUTSB, |check| {
        DMA_MASK.write(MASK_CHANNEL_0);
        for bytes in [&[0x78, 0x56][..], &[1, 2, 3, 4, 0xCD, 0xAB]] {
            DMA_CLEAR.write(0);
            // SAFETY: see the module.
            unsafe { port::outsb(DMA_ADDRESS, bytes) };
            DMA_CLEAR.write(0);
            let found = [ADDRESS_BYTE.read(), ADDRESS_BYTE.read()];
            check.equal("the last two bytes", found.as_slice(), &bytes[bytes.len() - 2..]);
        }
    });
    check(report, Call::OUTSW, |check| {
        with_command(|| {
            for length in 1..=COMMANDS.len() {
                // SAFETY: see the module.
                unsafe { port::outsw(PCI_DATA, &COMMANDS[..length]) };
                check.equal("last value", DATA.read() & COMMANDS[2], COMMANDS[length - 1]);
            }
        });
    });
}

/// Expects a run into the middle of an array to fill that, and no more, with `value`.
fn fills<T>(check: &mut Check, value: T, read: impl FnOnce(&mut [T]))
where
    T: Copy + PartialEq + core::fmt::Debug + core::ops::Not<Output = T>,
{
    let untouched = !value;
    let mut values = [untouched; 5];
    read(&mut values[1..4]);
    check.equal("values", values, [untouched, value, value, value, untouched]);
}
