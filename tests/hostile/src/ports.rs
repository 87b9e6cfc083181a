//! Attempts to program the machine's own devices.

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::machine::{in8, out8, out32, read, traps, write};
use crate::world::{self, HYPERVISOR, WINDOW, page};

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: &[Must::NoEffect],
    bare: Bare::Succeeds,
    needs: Needs::Nothing,
    patched: false,
    run: || Verdict::NoEffect(""),
};

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "pic",
        what: "interrupt controllers with other vectors, all lines open",
        run: || {
            by_trap(&[
                (0x20, 0x11),
                (0x21, 0x08),
                (0x21, 0x04),
                (0x21, 0x01),
                (0xA0, 0x11),
                (0xA1, 0x70),
                (0xA1, 0x02),
                (0xA1, 0x01),
                (0x21, 0x00),
                (0xA1, 0x00),
            ])
        },
        ..ATTEMPT
    },
    Attempt {
        name: "pit",
        what: "the timer turned off, and then as fast as it can be",
        run: || by_trap(&[(0x43, 0x30), (0x43, 0x34), (0x40, 2), (0x40, 0), (0x43, 0xB6), (0x61, 3)]),
        ..ATTEMPT
    },
    Attempt {
        name: "cmos",
        what: "NMI and the clock's own interrupt",
        run: || by_trap(&[(0x70, 0x8B), (0x71, 0x42), (0x70, 0x0B)]),
        ..ATTEMPT
    },
    Attempt {
        name: "dma",
        what: "a DMA channel, which writes memory by physical address",
        run: || by_trap(&[(0x0C, 0), (0x04, 0), (0x04, 0), (0x81, 0x04), (0x0B, 0x46), (0x0A, 0x02)]),
        ..ATTEMPT
    },
    Attempt {
        name: "pci-configuration",
        what: "the memory windows of the host bridge",
        run: || {
            let trapped = traps(|| out32(0xCF8, 0x8000_0058)) & traps(|| out32(0xCFC, 0x3333_3333));
            Verdict::by(!trapped, "it reached the machine", "it trapped, and the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "a20",
        what: "address line 20 cut by port 92",
        run: || {
            let (low, high) = (0x500, 0x10_0500);
            write(low, 1);
            write(high, 2);
            out8(0x92, 0);
            write(low, 3);
            let is_cut = read(high) == 3;
            out8(0x92, 2);
            Verdict::by(is_cut, "addresses wrap at 1 MiB", "addresses do not wrap")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "a20-keyboard",
        what: "address line 20 cut by the keyboard controller",
        run: || {
            let (low, high) = (0x500, 0x10_0500);
            write(low, 1);
            write(high, 2);
            let command = |command, value| {
                for (port, byte) in [(0x64, command), (0x60, value)] {
                    while in8(0x64) & 2 != 0 && in8(0x64) != 0xFF {}
                    out8(port, byte);
                }
            };
            command(0xD1, 0xDD);
            write(low, 3);
            let is_cut = read(high) == 3;
            command(0xD1, 0xDF);
            Verdict::by(is_cut, "addresses wrap at 1 MiB", "addresses do not wrap")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "reset-control",
        what: "a reset by port CF9",
        run: || {
            out8(0xCF9, 0x02);
            out8(0xCF9, 0x06);
            Verdict::NoEffect("nothing happened")
        },
        ..RESET
    },
    Attempt {
        name: "reset-keyboard",
        what: "a reset by the keyboard controller",
        run: || {
            out8(0x64, 0xFE);
            Verdict::NoEffect("nothing happened")
        },
        ..RESET
    },
    Attempt {
        name: "reset-fast",
        what: "a reset by port 92",
        run: || {
            out8(0x92, 0x03);
            Verdict::NoEffect("nothing happened")
        },
        ..RESET
    },
    Attempt {
        name: "management-interrupt",
        what: "a system management interrupt by port B2",
        run: || by_trap(&[(0xB3, 0), (0xB2, 0)]),
        ..ATTEMPT
    },
    Attempt {
        name: "firmware-dma",
        what: "QEMU's firmware interface, which writes memory by physical address",
        must: &[Must::NoEffect, Must::Fault(14), Must::Stopped],
        bare: Bare::Succeeds,
        run: || {
            // The signature of item 0, to the hypervisor's frame; all in big-endian order.
            let request = world::scratch(0);
            let words = [0x0000_000A, 4, 0, HYPERVISOR];
            for (index, word) in (0..).zip(words) {
                write(request + index * 4, u32::swap_bytes(word));
            }
            let trapped = traps(|| out32(0x514, 0)) & traps(|| out32(0x518, request.swap_bytes()));
            if trapped {
                return Verdict::NoEffect("it trapped, and the program goes on");
            }
            world::map_window(HYPERVISOR, page::KERNEL);
            let is_there = read(WINDOW) == u32::from_le_bytes(*b"QEMU");
            Verdict::by(is_there, "the memory was written", "there is no such interface")
        },
        ..ATTEMPT
    },
];

const RESET: Attempt = Attempt { must: &[Must::Stopped, Must::NoEffect], bare: Bare::Resets, ..ATTEMPT };

/// Whether any of several writes reaches the machine without the hypervisor.
fn by_trap(writes: &[(u16, u8)]) -> Verdict {
    let reached = writes.iter().any(|(port, value)| !traps(|| out8(*port, *value)));
    Verdict::by(reached, "it reached the machine", "all trapped, and the program goes on")
}
