//! Attempts on what the ROM and the hypervisor share with the guest.

use paravirt_vmi::irq;

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::machine;
use crate::trap::{self, TRAP_FLAG};
use crate::world::{self, PATTERN, TOP, WINDOW, page};

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: &[Must::NoEffect],
    bare: Bare::Harmless,
    needs: Needs::Nothing,
    patched: true,
    run: || Verdict::NoEffect(""),
};

/// The word of the shared page that says whether an interrupt waits.
const PENDING: u32 = TOP + 4;
/// The vector of the timer.
const TIMER: u32 = 0x20;
/// How often a word is read before nothing more is expected.
const PATIENCE: u32 = 10_000_000;

/// Where the hypervisor's ROM lies.
const ROM: u32 = 0xC_C000;

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "rom-write",
        what: "garbage over the ROM",
        run: || overwrite_rom(ROM),
        bare: Bare::Succeeds,
        ..ATTEMPT
    },
    Attempt {
        name: "rom-write-alias",
        what: "garbage over the ROM through a mapping of its own",
        run: || {
            world::map_window(ROM, page::ALL);
            overwrite_rom(WINDOW)
        },
        bare: Bare::Succeeds,
        ..ATTEMPT
    },
    Attempt {
        name: "rom-write-user",
        what: "garbage over the ROM from ring 3",
        run: || {
            let before = machine::read(ROM);
            let result = world::user(write_pattern, ROM, 2);
            let is_whole = machine::read(ROM) == before;
            match result {
                Err(fault) => Verdict::Fault(fault),
                Ok(_) => Verdict::by(!is_whole, "the ROM was written", "what was written is not there"),
            }
        },
        must: &[Must::NoEffect, Must::Fault(14)],
        bare: Bare::Succeeds,
        ..ATTEMPT
    },
    Attempt {
        name: "flag-garbage",
        what: "garbage in every word of the shared page, and each interrupt call after it",
        run: || {
            for garbage in [0xFFFF_FFFF, 0, PATTERN, TOP + 0x1000, 0x200, 0xFFFF_FDFF] {
                let _ = trap::catch(|| (0..1024).for_each(|index| machine::write(TOP + index * 4, garbage)));
                irq::disable();
                world::unmask();
                let state = irq::save();
                irq::disable();
                world::restore(state);
                irq::disable();
            }
            Verdict::NoEffect("the calls come back, and the program goes on")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "flag-garbage-waiting",
        what: "garbage in the shared page by several instructions, while an interrupt waits and the page is read-only",
        run: || {
            irq::disable();
            world::start_timer();
            let waits = trap::catch(|| (0..PATIENCE).any(|_| machine::read(PENDING) != 0));
            if !matches!(waits, Ok(true)) {
                return Verdict::NoEffect("there is no shared page");
            }
            let stores = [machine::write, machine::exchange, machine::set_bits];
            for place in [TOP - 3, TOP, TOP + 2, PENDING, TOP + 0xFFC, TOP + 0xFFE] {
                for store in stores {
                    // All bits but the flag's, where the flag is.
                    let result = trap::catch(|| store(place, 0xFFFF_FDFF));
                    if result.is_err_and(|fault| fault.vector == TIMER) {
                        return Verdict::Succeeded("an interrupt came while it was masked");
                    }
                }
            }
            irq::disable();
            match trap::catch(|| {
                world::unmask();
                (0..PATIENCE).any(|_| machine::read(PENDING) == 1 << 31)
            }) {
                Err(fault) if fault.vector == TIMER => {
                    Verdict::NoEffect("the interrupt comes when it is unmasked, and not before")
                }
                _ => Verdict::Succeeded("the interrupt is lost"),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "flag-page-executed",
        what: "code in the shared page",
        must: &[Must::NoEffect, Must::Fault(13), Must::Fault(14)],
        run: || {
            let written = trap::catch(|| machine::write(TOP + 0x800, 0xC3C3_C3C3));
            let called = trap::catch(|| machine::call(TOP + 0x800));
            let ring = machine::cs() & 3;
            match written.and(called) {
                Err(fault) => Verdict::Fault(fault),
                Ok(()) => Verdict::by(ring == 0, "it ran in ring 0", "it ran in the guest's own ring"),
            }
        },
        ..ATTEMPT
    },
    Attempt {
        name: "rom-single-step",
        what: "single steps through the ROM's interrupt calls",
        run: || {
            irq::disable();
            let steps = trap::count_steps(1000, || {
                machine::popfd(machine::pushfd() | TRAP_FLAG);
                let state = irq::save();
                world::unmask();
                irq::disable();
                world::restore(state);
                machine::popfd(machine::pushfd() & !TRAP_FLAG);
            });
            let is_masked = !irq::is_enabled();
            Verdict::by(
                steps == 0 || !is_masked,
                "the flag is wrong",
                "each step was seen, and the flag is right",
            )
        },
        ..ATTEMPT
    },
    Attempt {
        name: "rom-from-user",
        what: "the ROM's code called from ring 3",
        must: &[Must::Fault(13), Must::Fault(14)],
        run: || {
            // The entry of vmi_init; and natively nothing but ones, which are no instruction.
            world::user(call_rom, ROM + 0x80, 2)
                .map_or_else(Verdict::Fault, |_| Verdict::NoEffect("it came back"))
        },
        bare: Bare::Chance,
        ..ATTEMPT
    },
    Attempt {
        name: "rom-middle",
        what: "a jump to each of the first bytes of the ROM's interrupt calls and of IRET",
        must: &[Must::NoEffect, Must::Stopped],
        run: || {
            world::start_timer();
            // A stack on which every word leads back here.
            let stack = world::scratch(4);
            for address in world::rom_entries().flat_map(|entry| entry..entry + 0x20) {
                for index in 0..1024 {
                    machine::write(stack + index * 4, machine::lost_target());
                }
                // In single steps, because there may be a loop without an end.
                let _ = trap::catch(|| {
                    trap::count_steps(100, || machine::jump_in_steps(address, stack + 0x800));
                });
                irq::disable();
                machine::out8(0x20, 0x20);
            }
            Verdict::NoEffect("the program goes on")
        },
        ..ATTEMPT
    },
];

/// Writes garbage over a page of the ROM; whether any of it is there.
fn overwrite_rom(address: u32) -> Verdict {
    let changed = (0..1024).map(|index| address + index * 4).any(|place| {
        let before = machine::read(place);
        machine::write(place, !before);
        machine::read(place) != before
    });
    Verdict::by(changed, "the ROM was written", "what was written is not there")
}

extern "C" fn write_pattern(address: u32) -> u32 {
    machine::write(address, PATTERN);
    0
}

extern "C" fn call_rom(address: u32) -> u32 {
    machine::call(address);
    0
}
