//! What there is to know of the program that runs, or ran last.

use core::array;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use paravirt_vmi::user::{Instruction, IoPermissionBitmap};

use crate::fault::Fault;
use crate::traps::Frame;
use crate::{task, vga};

/// The number of answers that a program can give.
pub const ANSWERS: usize = 8;

/// What became of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it reported, by index; 0 where it reported nothing.
    pub answers: [u32; ANSWERS],
    /// The exception that ended it.
    pub fault: Option<Fault>,
    /// How many `cli` and `sti` of it were skipped.
    pub skipped: [u32; 2],
}

static REPORTED: [AtomicU32; ANSWERS] = [const { AtomicU32::new(0) }; ANSWERS];
/// Vector, error code, EIP and address of the exception that ended the program, if one did.
static FAULT: [AtomicU32; 4] = [const { AtomicU32::new(NO_FAULT) }; 4];
/// No vector.
const NO_FAULT: u32 = !0;
static SKIPPED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
/// Whether the program was granted ports.
static HAS_PORTS: AtomicBool = AtomicBool::new(false);

/// How often the kernel was entered from ring 3, and how often with IF = 0 there.
static ENTRIES: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// Runs `enter`, which enters a program and comes back when that has ended; what became of it.
pub fn during(enter: impl FnOnce()) -> Outcome {
    for word in REPORTED.iter().chain(&SKIPPED) {
        word.store(0, Relaxed);
    }
    FAULT[0].store(NO_FAULT, Relaxed);
    enter();
    withdraw_ports();
    vga::give_back();
    let load = |word: &AtomicU32| word.load(Relaxed);
    let [vector, error_code, eip, address] = FAULT.each_ref().map(load);
    Outcome {
        answers: REPORTED.each_ref().map(load),
        fault: (vector != NO_FAULT).then_some(Fault { vector, error_code, eip, address }),
        skipped: SKIPPED.each_ref().map(load),
    }
}

/// Takes an answer of the program's; an index that does not exist is its own fault.
pub fn report(index: u32, answer: u32) {
    if let Some(word) = REPORTED.get(index as usize) {
        word.store(answer, Relaxed);
    }
}

/// Notes the exception that ends the program.
pub fn ended_by(frame: &Frame, address: u32) {
    for (word, value) in FAULT.iter().zip([frame.vector, frame.error_code, frame.eip, address]) {
        word.store(value, Relaxed);
    }
}

/// Whether the program was granted ports.
pub fn has_ports() -> bool {
    HAS_PORTS.load(Relaxed)
}

/// Grants every port.
pub fn grant_ports() {
    task::change_ports(|ports| *ports = IoPermissionBitmap::OPEN);
    HAS_PORTS.store(true, Relaxed);
}

/// Takes every port away.
pub fn withdraw_ports() {
    task::change_ports(|ports| *ports = IoPermissionBitmap::CLOSED);
    HAS_PORTS.store(false, Relaxed);
}

/// Counts an instruction that was skipped.
pub fn count_skipped(instruction: Instruction) {
    let index = match instruction {
        Instruction::Cli => 0,
        Instruction::Sti => 1,
    };
    SKIPPED[index].fetch_add(1, Relaxed);
}

/// Notes that the kernel was entered from ring 3.
pub fn on_entry(frame: &Frame) {
    ENTRIES[0].fetch_add(1, Relaxed);
    ENTRIES[1].fetch_add(u32::from(!frame.interrupts_enabled()), Relaxed);
}

/// How often the kernel was entered from ring 3 since boot, and how often of these with IF = 0 there.
pub fn entries() -> [u32; 2] {
    array::from_fn(|index| ENTRIES[index].load(Relaxed))
}
