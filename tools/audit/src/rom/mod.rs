//! Asking a ROM image where its calls are, without running it.
//!
//! A ROM of generation 3.0 answers by code: GetRelocationInfo takes a number in EAX and returns in EDX:EAX. It reads
//! the image and the stack, and changes nothing, so a few dozen kinds of instruction are enough to follow it. Whatever
//! else it does is an error that names the instruction.

mod cpu;
mod error;
mod flags;
mod memory;

use paravirt_vmi::abi::RelocationInfo;
use paravirt_vmi::patch::Relocation;

use cpu::Cpu;
pub use error::{AskCause, AskError};

/// How many instructions one answer may take.
pub const STEPS: u32 = 10_000;

/// What GetRelocationInfo, at linear address `entry` of a ROM, answers for `number`. The ROM's bytes are `image`, and
/// lie at linear address `base`.
///
/// # Errors
///
/// If the code does something that cannot be followed, or comes to no end.
pub fn ask(image: &[u8], base: u32, entry: u32, number: u32) -> Result<Relocation, AskError> {
    let mut cpu = Cpu::new(image, base, entry, number);
    for _ in 0..STEPS {
        if let Some((eax, edx)) = cpu.returned() {
            let info = RelocationInfo::from_registers(eax, edx);
            return Ok(Relocation { kind: info.kind, target: info.eip.get() });
        }
        cpu.step()?;
    }
    Err(cpu.error(AskCause::NoEnd))
}
