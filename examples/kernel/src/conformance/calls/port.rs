//! Ports, one value at a time: what the call reads or writes, the instruction finds.
//!
//! The 32-bit port is the PCI configuration address, the 16-bit one is the command register of the IDE
//! function behind it, and the 8-bit one is an interrupt controller's mask.
//!
//! # Safety
//!
//! Nothing drives the IDE function, and interrupts are masked while a mask has another value.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::abi::flags::IoplMask;
use paravirt_vmi::port;

use super::check;
use crate::fault::GENERAL_PROTECTION;
use crate::port::{Port, Port16, Port32};
use crate::raw;
use crate::report::{Check, Report};
use crate::serial::line;
use crate::traps::flags_in_frame;
use crate::user::{self, Entry};

/// Selects the register that [`PCI_DATA`] is.
pub const PCI_ADDRESS: u16 = 0xCF8;
/// A register of a PCI function.
pub const PCI_DATA: u16 = 0xCFC;
/// The mask of the second interrupt controller, all of whose lines are masked.
pub const SLAVE_MASK: u16 = 0xA1;

// SAFETY: selecting a register has no effect by itself.
pub const ADDRESS: Port32 = unsafe { Port32::new(PCI_ADDRESS) };
// SAFETY: only the registers named below are selected.
pub const DATA: Port16 = unsafe { Port16::new(PCI_DATA) };
// SAFETY: interrupts are masked while it is used.
const MASK: Port = unsafe { Port::new(SLAVE_MASK) };

/// The PCI configuration address of a register of bus 0.
const fn register(device: u32, function: u32, offset: u32) -> u32 {
    1 << 31 | device << 11 | function << 8 | offset
}

/// The vendor of the host bridge, read-only.
pub const VENDOR: u32 = register(0, 0, 0);
/// The command register of the IDE function of a PIIX3.
pub const COMMAND: u32 = register(1, 1, 4);
/// Command bits that can be set: port access, and no interrupt pin (in the upper byte).
pub const COMMANDS: [u16; 3] = [0x0001, 0x0400, 0x0401];

pub fn run(report: &mut Report, sysexit: bool) {
    check(report, Call::INL, |check| {
        for address in [VENDOR, COMMAND] {
            ADDRESS.write(address);
            // SAFETY: see the module.
            check.equal("address", unsafe { port::inl(PCI_ADDRESS) }, address);
        }
    });
    check(report, Call::INW, |check| {
        for address in [VENDOR, COMMAND] {
            ADDRESS.write(address);
            // SAFETY: see the module.
            check.equal("register", unsafe { port::inw(PCI_DATA) }, DATA.read());
        }
        ADDRESS.write(VENDOR);
        check.equal("there is a vendor", matches!(DATA.read(), 0 | 0xFFFF), false);
    });
    check(report, Call::INB, |check| {
        for mask in [0xA5, 0x5A, 0xFF] {
            MASK.write(mask);
            // SAFETY: see the module.
            check.equal("mask", unsafe { port::inb(SLAVE_MASK) }, mask);
        }
    });
    check(report, Call::OUTL, |check| {
        for address in [VENDOR, COMMAND] {
            // SAFETY: see the module.
            unsafe { port::outl(PCI_ADDRESS, address) };
            check.equal("address", ADDRESS.read(), address);
        }
    });
    check(report, Call::OUTW, |check| {
        with_command(|| {
            for command in COMMANDS {
                // SAFETY: see the module.
                unsafe { port::outw(PCI_DATA, command) };
                check.equal("command", DATA.read() & COMMANDS[2], command);
            }
        });
    });
    check(report, Call::OUTB, |check| {
        for mask in [0xA5, 0x5A, 0xFF] {
            // SAFETY: see the module.
            unsafe { port::outb(SLAVE_MASK, mask) };
            check.equal("mask", MASK.read(), mask);
        }
    });
    MASK.write(0xFF);
    check(report, Call::IO_DELAY, |check| {
        let start = raw::rdtsc();
        port::io_delay();
        check.equal("time passes", raw::rdtsc() > start, true);
    });
    check(report, Call::SET_IOPL_MASK, |check| iopl(check, sysexit));
}

/// Runs `f` with the command register selected, and puts its value back.
pub fn with_command(f: impl FnOnce()) {
    ADDRESS.write(COMMAND);
    let before = DATA.read();
    f();
    ADDRESS.write(COMMAND);
    DATA.write(before);
}

/// The privilege level shows in EFLAGS, and a program in ring 3 may use ports or not. It gets there by
/// SYSEXIT, which leaves the level alone.
fn iopl(check: &mut Check, sysexit: bool) {
    const IOPL: u32 = 3 << 12;
    for level in [3, 0] {
        let Some(mask) = IoplMask::from_level(level) else { continue };
        // SAFETY: the program in ring 3 uses port 80 alone.
        unsafe { port::set_iopl(mask) };
        check.equal("EFLAGS", flags_in_frame() & IOPL, u32::from(level) << 12);
        if sysexit {
            let vector = user::use_port(Entry::Sysexit).map(|fault| fault.vector);
            check.equal("exception in ring 3", vector, (level == 0).then_some(GENERAL_PROTECTION));
        } else {
            line!("ring 3 and its ports are left out: CPUID has no SEP on this processor");
        }
        // The program came back through a gate, which leaves the level alone too.
        check.equal("EFLAGS", flags_in_frame() & IOPL, u32::from(level) << 12);
    }
}
