//! The code of the hypervisor's ROM: `examples/hypervisor/src/machine/rom_code.rs`, an instruction at a time.
//!
//! The instructions stand beside their models. Those that touch nothing but the guest's registers and stack are
//! left out: no interleaving of them differs from another.

use loom::sync::MutexGuard;
use loom::sync::atomic::Ordering::Relaxed;
use paravirt_vmi_abi::flags::InterruptMask;

use crate::kernel::handle;
use crate::machine::{Frame, Machine, State, place};

const IF: u32 = InterruptMask::IF.bits();

/// An instruction was not carried out: the hypervisor has put the guest elsewhere.
#[derive(Clone, Copy, Debug)]
struct RolledBack;

/// Takes the processor for an instruction at `eip`. Handlers come first; where the guest is not at `eip` any more
/// behind them, nothing is done.
fn at(machine: &Machine, eip: u32) -> Result<MutexGuard<'_, State>, RolledBack> {
    loop {
        match machine.next() {
            Err(interrupt) => handle(machine, interrupt),
            Ok(state) if state.vcpu.frame.eip == eip => return Ok(state),
            Ok(_) => return Err(RolledBack),
        }
    }
}

/// Takes the processor for the guest's next instruction, outside the window: there nothing is rolled back.
pub fn instruction(machine: &Machine) -> MutexGuard<'_, State> {
    loop {
        match machine.next() {
            Err(interrupt) => handle(machine, interrupt),
            Ok(state) => return state,
        }
    }
}

/// `call` into the ROM.
fn enter(machine: &Machine) {
    instruction(machine).vcpu.frame.eip = place::ROM;
}

/// `ret` out of it.
fn leave(machine: &Machine) {
    instruction(machine).vcpu.frame.eip = place::KERNEL;
}

/// EnableInterrupts.
pub fn enable(machine: &Machine) {
    enter(machine);
    unmask(machine);
    leave(machine);
}

/// `rom_enable`, which SetInterruptMask jumps to.
fn unmask(machine: &Machine) {
    store(instruction(machine), machine, true);
}

/// `mov byte ptr ss:[flag_byte], ...`: traps where the hypervisor has made the page read-only.
fn store(mut state: MutexGuard<'_, State>, machine: &Machine, enabled: bool) {
    if machine.is_guarded() {
        machine.trapped_store(&mut state, enabled);
    } else {
        machine.flag().store(if enabled { IF } else { 0 }, Relaxed);
    }
}

/// DisableInterrupts.
pub fn disable(machine: &Machine) {
    enter(machine);
    mask(machine);
    leave(machine);
}

/// `rom_disable`, and the end of `rom_set_mask`.
fn mask(machine: &Machine) {
    store(instruction(machine), machine, false);
}

/// GetInterruptMask.
pub fn get_mask(machine: &Machine) -> u32 {
    enter(machine);
    // mov ah, ss:[flag_byte]
    let state = instruction(machine);
    let mask = machine.flag().load(Relaxed);
    drop(state);
    leave(machine);
    mask
}

/// SetInterruptMask.
pub fn set_mask(machine: &Machine, mask_image: u32) {
    enter(machine);
    // test eax, IF; jnz rom_enable
    if mask_image & IF != 0 {
        unmask(machine);
    } else {
        mask(machine);
    }
    leave(machine);
}

/// Halt: one of the calls that are nothing but a hypercall.
pub fn halt(machine: &Machine) {
    enter(machine);
    let mut state = instruction(machine);
    machine.hypercall(&mut state, |vcpu| {
        vcpu.interrupt_flag = true;
        vcpu.halted = true;
    });
    drop(state);
    leave(machine);
}

/// IRET by `frame`. Behind it the guest is where the frame says.
pub fn iret(machine: &Machine, frame: Frame) {
    enter(machine);
    // test dword ptr [esp + 8], IF; jnz 3f
    if !frame.interrupt_flag {
        mask(machine);
        return go_back(&mut instruction(machine), frame);
    }
    // 3: test dword ptr ss:[flag], IF; jz rom_window
    let mut state = instruction(machine);
    let is_enabled = machine.flag().load(Relaxed) & IF != 0;
    state.vcpu.frame.eip = if is_enabled { place::ROM } else { place::WINDOW.iret_start };
    drop(state);
    if is_enabled {
        return go_back(&mut instruction(machine), frame);
    }
    while window(machine, frame).is_err() {}
}

/// `rom_window`: to where interrupts are enabled, unless one comes up meanwhile.
fn window(machine: &Machine, frame: Frame) -> Result<(), RolledBack> {
    // rom_window: cmp dword ptr ss:[pending], 0; jne 4f
    let mut state = at(machine, place::WINDOW.iret_start)?;
    if machine.is_pending() {
        // 4: int HYPERCALL, with HYPERCALL_IRET
        state.vcpu.frame.eip = place::ROM;
        drop(state);
        let mut state = instruction(machine);
        state.is_masked = false;
        machine.hypercall(&mut state, |vcpu| {
            vcpu.interrupt_flag = frame.interrupt_flag;
            vcpu.frame.eip = frame.eip;
        });
        return Ok(());
    }
    state.vcpu.frame.eip = place::WINDOW.iret_asked;
    drop(state);

    // rom_window_asked: mov byte ptr ss:[flag_byte], ...
    let mut state = at(machine, place::WINDOW.iret_asked)?;
    state.vcpu.frame.eip = place::WINDOW.iret_or;
    store(state, machine, true);

    // rom_window_flag: iretd
    let mut state = at(machine, place::WINDOW.iret_or)?;
    go_back(&mut state, frame);
    Ok(())
}

/// `iretd`.
fn go_back(state: &mut State, frame: Frame) {
    state.vcpu.frame.eip = frame.eip;
    state.is_masked = !frame.interrupt_flag;
}
