//! Skipping `cli` and `sti` of a program that was granted ports.

use crate::descriptor::came_from_user;

/// The most bytes that an instruction can have; a longer one is #GP, whatever it is.
pub const MAX_INSTRUCTION_LENGTH: usize = 15;

/// EFLAGS.RF: no instruction breakpoint at the instruction that comes next.
const RESUME: u32 = 1 << 16;
/// EFLAGS.VM: virtual-8086 mode.
const VIRTUAL_8086: u32 = 1 << 17;

/// An instruction that changes the interrupt flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// Would mask interrupts.
    Cli,
    /// Would unmask interrupts.
    Sti,
}

/// An instruction that is to have no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Skip {
    /// Its length in bytes, prefixes included: 1 to [`MAX_INSTRUCTION_LENGTH`].
    pub length: u8,
    /// Which one it is.
    pub instruction: Instruction,
}

/// Recognises `cli` or `sti` at the start of `bytes`, which are those of 32-bit code at EIP: as many as can be
/// read, of which no more than [`MAX_INSTRUCTION_LENGTH`] count.
///
/// Before the opcode may stand whatever is a prefix without a meaning for it: segment overrides (26, 2E, 36,
/// 3E, 64, 65), operand size (66), address size (67), REPNE and REP (F2, F3), in any order and number. LOCK
/// (F0) makes it another exception, #UD, which is the program's own. `None` if the bytes are anything else, or
/// end before the opcode.
///
/// ```
/// use paravirt_vmi::user::{Instruction, Skip, skip_interrupt_flag_instruction};
///
/// let skip = skip_interrupt_flag_instruction(&[0x3e, 0xfa, 0x90]); // cli; nop
/// assert_eq!(skip, Some(Skip { length: 2, instruction: Instruction::Cli }));
/// assert_eq!(skip_interrupt_flag_instruction(&[0xf4]), None); // hlt
/// ```
pub const fn skip_interrupt_flag_instruction(bytes: &[u8]) -> Option<Skip> {
    let mut at = 0;
    while at < bytes.len() && at < MAX_INSTRUCTION_LENGTH {
        let instruction = match bytes[at] {
            0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf2 | 0xf3 => {
                at += 1;
                continue;
            }
            0xfa => Instruction::Cli,
            0xfb => Instruction::Sti,
            _ => return None,
        };
        return Some(Skip { length: at as u8 + 1, instruction });
    }
    None
}

/// A general protection fault: what the processor left in the frame of exception 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GeneralProtection {
    /// The error code.
    pub error_code: u32,
    /// EIP of the instruction that raised it.
    pub eip: u32,
    /// CS, in bits 15 to 0.
    pub cs: u32,
    /// EFLAGS.
    pub eflags: u32,
}

/// How a program goes on behind an instruction that was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FixUp {
    /// EIP for the frame: that of the next instruction.
    pub eip: u32,
    /// EFLAGS for the frame. RF, which a fault sets for the instruction that raised it, is clear.
    pub eflags: u32,
    /// What was skipped.
    pub skip: Skip,
}

impl GeneralProtection {
    /// Whether `cli` or `sti` of user code can have raised it: the error code is 0, and it came from ring 3,
    /// not from virtual-8086 mode, whose monitor has rules of its own.
    ///
    /// Natively and under a hypervisor, whatever the kernel's ring. Where it does not hold the bytes at EIP
    /// need not be read.
    pub const fn is_candidate(&self) -> bool {
        self.error_code == 0 && self.eflags & VIRTUAL_8086 == 0 && came_from_user(self.cs, self.eflags)
    }

    /// What a #GP handler does about the fault: if a program to which `ports_granted` raised it by `cli` or
    /// `sti`, the place at which it goes on. `None`: the fault is the program's own, as it would be on hardware.
    ///
    /// `bytes` are those at EIP, as for [`skip_interrupt_flag_instruction`]; CS names a 32-bit segment. They
    /// belong to the program, which may change them at any time: they are read once, here. A handler reads
    /// them with the program's rights, and ends short of [`MAX_INSTRUCTION_LENGTH`] where the program may not
    /// read on.
    ///
    /// ```
    /// use paravirt_vmi::user::GeneralProtection;
    ///
    /// let fault = GeneralProtection { error_code: 0, eip: 0x4000, cs: 0x1b, eflags: 0x10202 };
    /// let cli = [0xfa];
    /// assert_eq!(fault.fix_up(true, &cli).unwrap().eip, 0x4001);
    /// assert_eq!(fault.fix_up(false, &cli), None); // the program is ended, or told by a signal
    /// ```
    ///
    /// A program that is single-stepped (EFLAGS.TF) gets its debug exception behind the instruction that
    /// follows. Source: facts sheet, sections 8.9 and 8.11.
    pub const fn fix_up(&self, ports_granted: bool, bytes: &[u8]) -> Option<FixUp> {
        if !ports_granted || !self.is_candidate() {
            return None;
        }
        match skip_interrupt_flag_instruction(bytes) {
            Some(skip) => Some(FixUp {
                eip: self.eip.wrapping_add(skip.length as u32),
                eflags: self.eflags & !RESUME,
                skip,
            }),
            None => None,
        }
    }
}
