//! What runs on the machine: pieces of a kernel, its handler, and devices.

use loom::sync::Arc;
use loom::thread;

use crate::machine::{Breakage, Interrupt, Machine, Seen};
use crate::rom;

/// The handler of every vector: does something, and returns.
pub fn handle(machine: &Machine, interrupt: Interrupt) {
    drop(rom::instruction(machine));
    rom::iret(machine, interrupt.frame);
}

/// A piece of the kernel's code.
pub type Code = fn(&Machine);

/// A section by DisableInterrupts and EnableInterrupts.
pub fn section(machine: &Machine) {
    mask(machine);
    drop(rom::instruction(machine));
    unmask(machine);
}

/// A section that ends as it found things: GetInterruptMask, DisableInterrupts, SetInterruptMask, with another
/// such section in it.
pub fn nested_sections(machine: &Machine) {
    let outer = rom::get_mask(machine);
    mask(machine);
    let inner = rom::get_mask(machine);
    rom::disable(machine);
    rom::set_mask(machine, inner);
    drop(rom::instruction(machine));
    rom::instruction(machine).is_masked = false;
    rom::set_mask(machine, outer);
}

/// Waits until an interrupt has been handled, if none has been so far: looks, and halts, without one in between.
pub fn wait(machine: &Machine) {
    mask(machine);
    let has_come = rom::instruction(machine).seen.vectors != 0;
    if has_come {
        return unmask(machine);
    }
    if machine.breaks(Breakage::HaltUnmasksBefore) {
        unmask(machine);
    }
    rom::instruction(machine).is_masked = false;
    rom::halt(machine);
}

/// DisableInterrupts. From now on the kernel relies on it.
fn mask(machine: &Machine) {
    let rely = || rom::instruction(machine).is_masked = true;
    if machine.breaks(Breakage::MaskedLate) {
        rely();
        rom::disable(machine);
    } else {
        rom::disable(machine);
        rely();
    }
}

/// EnableInterrupts, which the kernel is ready for.
fn unmask(machine: &Machine) {
    rom::instruction(machine).is_masked = false;
    rom::enable(machine);
}

/// Runs `code` while a device raises so many vectors, one after the other. Behind both nothing may wait.
pub fn run(code: Code, vectors: u32, breakage: Option<Breakage>) -> Seen {
    let machine = Arc::new(Machine::new(breakage));
    let device = {
        let machine = machine.clone();
        thread::spawn(move || {
            (0..vectors).for_each(|vector| machine.raise(vector));
            machine.fall_silent();
        })
    };
    code(&machine);
    device.join().expect("the device has panicked");
    let mut seen = rom::instruction(&machine).seen;
    seen.is_lost |= seen.vectors != (1 << vectors) - 1;
    seen
}
