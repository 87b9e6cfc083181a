//! Attempts to map the hypervisor's memory, or to reach it where it is mapped.

use crate::attempt::{Attempt, Bare, Must, Needs, Verdict};
use crate::machine;
use crate::trap;
use crate::world::{self, HYPERVISOR, PATTERN, TOP, WINDOW, control, page};

/// A frame that is none of the guest's: no memory, so that it reads as ones, or a page fault, or the end.
const NOT_MEMORY: &[Must] = &[Must::Fault(14), Must::NoEffect, Must::Stopped];
/// Linear addresses that are none of the guest's: beyond the limit, or a page fault.
const NOT_MAPPED: &[Must] = &[Must::Fault(13), Must::Fault(14), Must::Stopped];

const ATTEMPT: Attempt = Attempt {
    name: "",
    what: "",
    must: NOT_MEMORY,
    bare: Bare::Succeeds,
    needs: Needs::Nothing,
    patched: false,
    run: || Verdict::NoEffect(""),
};

pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "pte-frame",
        what: "a page table entry with the hypervisor's frame",
        run: || {
            world::map_window(HYPERVISOR, page::KERNEL);
            write_window()
        },
        ..ATTEMPT
    },
    Attempt {
        name: "pde-large-page",
        what: "a large page over the hypervisor's frames",
        run: || {
            set_window_directory(HYPERVISOR | page::LARGE | page::KERNEL);
            write_window()
        },
        ..ATTEMPT
    },
    Attempt {
        name: "pde-table",
        what: "the hypervisor's frame as a page table, through a mapping of the same frame",
        run: || {
            world::map_window(HYPERVISOR, page::KERNEL);
            // The entry for the window's second page, written into the hypervisor's frame.
            let filled = trap::catch(|| machine::write(WINDOW + 4, world::scratch(0) | page::KERNEL));
            set_window_directory(HYPERVISOR | page::KERNEL);
            let read = trap::catch(|| check(WINDOW + 0x1000, world::scratch(0)));
            filled.and(read).unwrap_or_else(Verdict::Fault)
        },
        ..ATTEMPT
    },
    Attempt {
        name: "self-map",
        what: "an entry with the hypervisor's frame, written through a self-mapped directory",
        run: || {
            let slot = 767;
            machine::write(world::directory() + slot * 4, world::directory() | page::KERNEL);
            machine::set_cr3(world::directory());
            let tables = slot << 22;
            machine::write(tables + (WINDOW >> 10), HYPERVISOR | page::KERNEL);
            machine::invlpg(WINDOW);
            write_window()
        },
        ..ATTEMPT
    },
    Attempt {
        name: "self-map-top",
        what: "a directory that maps itself where the hypervisor is",
        must: NOT_MAPPED,
        run: || {
            machine::write(world::directory() + (TOP >> 20), world::directory() | page::KERNEL);
            machine::set_cr3(world::directory());
            // The directory's own last entry, seen at the last word of the address space.
            let last = 0xFFFF_FFFC;
            let found = machine::read(last);
            let own = machine::read(world::directory() + 0xFFC);
            Verdict::by(found & !0xFFF == own & !0xFFF, "the directory is there", "something else is there")
        },
        ..ATTEMPT
    },
    Attempt {
        name: "pte-changed",
        what: "an entry that is changed to the hypervisor's frame after it was used",
        run: || {
            world::map_window(world::scratch(0), page::KERNEL);
            machine::write(WINDOW, 1);
            world::map_window(HYPERVISOR, page::KERNEL);
            write_window()
        },
        ..ATTEMPT
    },
    Attempt {
        name: "pte-changed-silently",
        what: "the same without INVLPG, again and again, with other pages used in between",
        run: || {
            world::map_window(world::scratch(0), page::KERNEL);
            machine::write(WINDOW, 1);
            machine::write(world::window_table(), HYPERVISOR | page::KERNEL);
            for index in 1..512 {
                machine::write(world::window_table() + index * 4, world::scratch(1) | page::KERNEL);
                machine::write(WINDOW + index * 0x1000, 1);
            }
            machine::set_cr3(world::directory());
            write_window()
        },
        ..ATTEMPT
    },
    Attempt {
        name: "pde-changed",
        what: "a directory entry that is changed to a large page after it was used as a table",
        run: || {
            world::map_window(world::scratch(0), page::KERNEL);
            machine::write(WINDOW, 1);
            set_window_directory(HYPERVISOR | page::LARGE | page::KERNEL);
            write_window()
        },
        ..ATTEMPT
    },
    Attempt {
        name: "pae-frame",
        what: "the hypervisor's frame in tables of PAE",
        run: || {
            enter_pae(HYPERVISOR, 0);
            write_window()
        },
        ..ATTEMPT
    },
    Attempt {
        name: "pae-wrapped",
        what: "a frame above 4 GiB that is the hypervisor's modulo 4 GiB",
        bare: Bare::Harmless,
        run: || {
            enter_pae(HYPERVISOR, 1);
            write_window()
        },
        ..ATTEMPT
    },
    Attempt {
        name: "paging-off",
        what: "physical addresses of the hypervisor with paging turned off",
        run: || {
            machine::set_cr0(machine::cr0() & !control::PAGING);
            check(HYPERVISOR, HYPERVISOR)
        },
        ..ATTEMPT
    },
    Attempt {
        name: "cr3-frame",
        what: "the hypervisor's frame as the page directory",
        run: || {
            // A copy of the directory, where it cannot be; natively it can.
            world::map_window(HYPERVISOR, page::KERNEL);
            let copied = trap::catch(|| machine::copy(world::directory(), WINDOW, 0x1000));
            machine::set_cr3(HYPERVISOR);
            let found = machine::read(WINDOW);
            machine::set_cr3(world::directory());
            let own = machine::read(world::directory());
            let how = if copied.is_ok() && found == own { "it was used" } else { "it was not used" };
            Verdict::by(copied.is_ok() && found == own, how, how)
        },
        must: &[Must::Fault(13), Must::Fault(14), Must::NoEffect, Must::Stopped],
        ..ATTEMPT
    },
    Attempt { name: "top-write-1", what: "a write to the way in and out", run: || write_top(1), ..TOP_WRITE },
    Attempt { name: "top-write-2", what: "a write to the real IDT", run: || write_top(2), ..TOP_WRITE },
    Attempt { name: "top-write-3", what: "a write to the real GDT", run: || write_top(3), ..TOP_WRITE },
    Attempt { name: "top-write-4", what: "a write to the real GDT's end", run: || write_top(4), ..TOP_WRITE },
    Attempt { name: "top-write-5", what: "a write to the real LDT", run: || write_top(5), ..TOP_WRITE },
    Attempt { name: "top-write-6", what: "a write to the real TSS", run: || write_top(6), ..TOP_WRITE },
    Attempt {
        name: "top-write-last",
        what: "a write to the last page",
        run: || write_top(1023),
        ..TOP_WRITE
    },
    Attempt {
        name: "top-read",
        what: "a read of each page above the shared one",
        needs: Needs::Limits,
        run: || {
            world::claim_top();
            let mut last = None;
            for index in 1..1024 {
                match trap::catch(|| machine::read(TOP + index * 0x1000)) {
                    Ok(_) => return Verdict::Succeeded("a page was read"),
                    Err(fault) => last = Some(fault),
                }
            }
            last.map_or(Verdict::NoEffect("no page was read"), Verdict::Fault)
        },
        ..TOP_WRITE
    },
    Attempt {
        name: "top-write-any",
        what: "a write to each page above the shared one",
        needs: Needs::Limits,
        run: || {
            world::claim_top();
            let mut last = None;
            for index in 1..1024 {
                match trap::catch(|| machine::write(TOP + index * 0x1000, PATTERN)) {
                    Ok(_) => return Verdict::Succeeded("a page was written"),
                    Err(fault) => last = Some(fault),
                }
            }
            last.map_or(Verdict::NoEffect("no page was written"), Verdict::Fault)
        },
        ..TOP_WRITE
    },
    Attempt {
        name: "top-execute",
        what: "a jump into the hypervisor's way in and out",
        bare: Bare::Succeeds,
        needs: Needs::Limits,
        run: || {
            // `ret` natively
            machine::write(world::claim_top(), 0xC3C3_C3C3);
            machine::call(TOP + 0x1000);
            Verdict::Succeeded("it came back")
        },
        ..TOP_WRITE
    },
    Attempt {
        name: "top-without-write-protect",
        what: "a write to the real IDT with CR0.WP cleared",
        run: || {
            machine::set_cr0(machine::cr0() & !control::WRITE_PROTECT);
            write_top(2)
        },
        ..TOP_WRITE
    },
];

const TOP_WRITE: Attempt = Attempt { must: NOT_MAPPED, ..ATTEMPT };

fn set_window_directory(entry: u32) {
    machine::write(world::directory() + (WINDOW >> 22) * 4, entry);
    machine::set_cr3(world::directory());
}

/// Whether a write at [`WINDOW`] reaches memory.
fn write_window() -> Verdict {
    check(WINDOW, HYPERVISOR)
}

/// Whether a write at a linear address reaches memory; whose that is, `frame` says.
fn check(address: u32, frame: u32) -> Verdict {
    machine::write(address, !frame);
    machine::write(address, PATTERN);
    let is_there = machine::read(address) == PATTERN;
    Verdict::by(is_there, "the memory was written", "there is no memory: what was written is not there")
}

/// A write to a page of the hypervisor's part of the linear address space.
fn write_top(index: u32) -> Verdict {
    let own = world::claim_top();
    let address = TOP + index * 0x1000 + 0xF00;
    machine::write(address, PATTERN);
    let is_own = machine::read(own + 0xF00) == PATTERN;
    Verdict::Succeeded(if is_own { "the guest's own page lies there" } else { "the page was written" })
}

/// Turns on PAE with the lower memory as it is, and a frame at [`WINDOW`].
fn enter_pae(frame_low: u32, frame_high: u32) {
    let [pointers, lower, upper, table] = [0, 1, 2, 3].map(world::scratch);
    machine::write(pointers, lower | page::PRESENT);
    machine::write(pointers + 8, upper | page::PRESENT);
    for index in 0..16 {
        machine::write(lower + index * 8, (index << 21) | page::LARGE | page::KERNEL);
    }
    machine::write(upper, table | page::KERNEL);
    machine::write(table, frame_low | page::KERNEL);
    machine::write(table + 4, frame_high);
    machine::set_cr0(machine::cr0() & !control::PAGING);
    machine::set_cr4(machine::cr4() | control::PHYSICAL_ADDRESS_EXTENSION);
    machine::set_cr3(pointers);
    machine::set_cr0(machine::cr0() | control::PAGING);
}
