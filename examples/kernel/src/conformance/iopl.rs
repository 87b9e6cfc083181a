//! The I/O privilege level: at each level, what the kernel and a program in ring 3 can do, where the level was
//! set by a call or comes from a frame.
//!
//! | | ring 0 | ring 1, patched | ring 1, native |
//! |---|---|---|---|
//! | level by SetIOPLMask | in force | in force | `popf` leaves it alone: 0 |
//! | level by a frame | in force | not restored | in force in ring 3 |
//! | kernel: `cli`, `sti`, `in`, `out` | done | done, by a trap | done, by a trap |
//! | kernel: `popf` | done | IF is ignored | IF is ignored |
//! | ring 3, level 3: `cli`, `sti` | done | skipped | skipped |
//! | ring 3, level 3: `popf` | done | IF is ignored | IF is ignored |
//! | ring 3, level 3: `in`, `out` | done | done | done |
//! | ring 3, below: `cli`, `sti` | fault | fault | fault |
//! | ring 3, below: `popf` | IF is ignored | IF is ignored | IF is ignored |
//! | ring 3, below: `in`, `out` | by the bitmap | by the bitmap | by the bitmap |
//!
//! Source: facts sheet, sections 8.5, 8.7 and 8.9.
//!
//! # Safety
//!
//! The suite unmasks interrupts. Programs use one port, and what is written to it is put back.
#![allow(unsafe_code)]

use core::fmt;

use paravirt_vmi::abi::flags::IoplMask;
use paravirt_vmi::irq;
use paravirt_vmi::port::set_iopl;
use paravirt_vmi::user::UserFlags;

use super::pending::return_with_flags;
use super::{check, enable};
use crate::activation::{Activation, Privilege};
use crate::fault::GENERAL_PROTECTION;
use crate::port::Port;
use crate::report::{Check, Id, Report};
use crate::serial::line;
use crate::traps::{INTERRUPT_FLAG, flags_in_frame};
use crate::user::instruction::{self, Instruction, PORT, VALUE};
use crate::user::{self, Entry, Outcome};
use crate::{sensitive, task};

/// EFLAGS.IOPL, and where it begins.
const IOPL: u32 = 3 << IOPL_SHIFT;
const IOPL_SHIFT: u32 = 12;
/// What the port holds before `in` and `out`.
const BEFORE: u8 = 0x5A;

// SAFETY: the mask of a controller whose line to the first one is masked.
const MASK: Port = unsafe { Port::new(PORT) };

/// How the level is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Call,
    Frame,
}

/// Whose code it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Kernel,
    User,
}

/// What an instruction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// What it does on hardware with the privilege.
    Done,
    /// Nothing, though it trapped.
    Skipped,
    /// Nothing, and it did not trap.
    Ignored,
    /// #GP.
    Fault,
    /// Something else.
    Wrong,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Ignored => "ignored",
            Self::Fault => "fault",
            Self::Wrong => "wrong",
        })
    }
}

/// An instruction, and whether the bitmap opens the port that it uses.
#[derive(Clone, Copy)]
struct Trial {
    name: &'static str,
    instruction: Instruction,
    is_open: bool,
}

const TRIALS: [Trial; 7] = [
    Trial { name: "cli", instruction: Instruction::Cli, is_open: false },
    Trial { name: "sti", instruction: Instruction::Sti, is_open: false },
    Trial { name: "popf", instruction: Instruction::Popf, is_open: false },
    Trial { name: "in-open", instruction: Instruction::In, is_open: true },
    Trial { name: "in-closed", instruction: Instruction::In, is_open: false },
    Trial { name: "out-open", instruction: Instruction::Out, is_open: true },
    Trial { name: "out-closed", instruction: Instruction::Out, is_open: false },
];

/// A level, how it is set, and for whom.
#[derive(Clone, Copy)]
struct Row {
    privilege: Privilege,
    level: u8,
    by: By,
    code: Code,
}

pub fn run(report: &mut Report, activation: &Activation, sysexit: bool) {
    for by in [By::Call, By::Frame] {
        for code in [Code::Kernel, Code::User] {
            // SYSEXIT leaves the level alone; IRET sets it, where it can.
            if by == By::Call && code == Code::User && !sysexit {
                line!("iopl.N.call.user are left out: CPUID has no SEP on this processor");
                continue;
            }
            for level in 0..=3 {
                let row = Row { privilege: activation.privilege(), level, by, code };
                check(report, row.id(), |check| row.check(check));
            }
        }
    }
}

/// Sets the level by SetIOPLMask.
fn set_level(level: u8) {
    if let Some(mask) = IoplMask::from_level(level) {
        // SAFETY: the programs use one port.
        unsafe { set_iopl(mask) };
    }
}

impl Row {
    fn id(&self) -> Id {
        Id::Iopl { level: self.level, by: self.by(), code: self.code() }
    }

    fn by(&self) -> &'static str {
        if self.by == By::Call { "call" } else { "frame" }
    }

    fn code(&self) -> &'static str {
        if self.code == Code::Kernel { "kernel" } else { "user" }
    }

    /// A level that the frame's must replace, or must not.
    fn other_level(&self) -> u8 {
        3 - self.level
    }

    /// The level in force when the instruction runs.
    fn level_in_force(&self) -> u8 {
        match (self.privilege, self.by) {
            (Privilege::Ring0, _) | (Privilege::Paravirtual, By::Call) => self.level,
            (Privilege::Paravirtual, By::Frame) => self.other_level(),
            (Privilege::Trapped, By::Frame) if self.code == Code::User => self.level,
            (Privilege::Trapped, _) => 0,
        }
    }

    fn check(&self, check: &mut Check) {
        for trial in &TRIALS {
            if self.by == By::Frame {
                set_level(self.other_level());
            }
            task::change_ports(|ports| match trial.is_open {
                true => ports.open(PORT..=PORT),
                false => ports.close(PORT..=PORT),
            });
            let found = match self.code {
                Code::Kernel => self.in_kernel(check, trial.instruction),
                Code::User => self.in_user(trial.instruction),
            };
            task::change_ports(|ports| ports.close(PORT..=PORT));
            set_level(0);
            let expected = self.expected(trial);
            let (level, by, code, name) = (self.level, self.by(), self.code(), trial.name);
            line!(
                "@cell iopl={level} by={by} code={code} instruction={name} expected={expected} found={found}"
            );
            check.equal(name, found, expected);
        }
    }

    fn expected(&self, trial: &Trial) -> Effect {
        let is_ring_0 = self.privilege == Privilege::Ring0;
        let has_level = self.level_in_force() == 3;
        match (self.code, trial.instruction) {
            (Code::Kernel, Instruction::Popf) if !is_ring_0 => Effect::Ignored,
            (Code::Kernel, _) => Effect::Done,
            (Code::User, Instruction::Popf) if has_level && is_ring_0 => Effect::Done,
            (Code::User, Instruction::Popf) => Effect::Ignored,
            (Code::User, Instruction::Cli | Instruction::Sti) => match (has_level, is_ring_0) {
                (true, true) => Effect::Done,
                (true, false) => Effect::Skipped,
                (false, _) => Effect::Fault,
            },
            (Code::User, Instruction::In | Instruction::Out) if has_level || trial.is_open => Effect::Done,
            (Code::User, Instruction::In | Instruction::Out) => Effect::Fault,
        }
    }

    /// What the instruction does in the kernel.
    fn in_kernel(&self, check: &mut Check, instruction: Instruction) -> Effect {
        // IF the other way round
        let enabled = matches!(instruction, Instruction::Cli | Instruction::Popf);
        match self.by {
            By::Call => set_level(self.level),
            By::Frame => {
                let flag = if enabled { INTERRUPT_FLAG } else { 0 };
                return_with_flags(flag | u32::from(self.level) << IOPL_SHIFT);
            }
        }
        if enabled {
            enable();
        }
        let before = flags_in_frame();
        check.equal("level", before & IOPL, u32::from(self.level_in_force()) << IOPL_SHIFT);
        MASK.write(BEFORE);
        let mut al = 0;
        match instruction {
            Instruction::Cli => sensitive::cli(),
            // SAFETY: unmasking is allowed in this suite.
            Instruction::Sti => unsafe { sensitive::sti() },
            Instruction::Popf => sensitive::popf_if_clear(),
            Instruction::In => al = MASK.read(),
            Instruction::Out => MASK.write(VALUE),
        }
        let behind = flags_in_frame();
        irq::disable();
        effect(instruction, before, behind, al)
    }

    /// What the instruction does in ring 3.
    fn in_user(&self, instruction: Instruction) -> Effect {
        MASK.write(BEFORE);
        let program = instruction.program();
        let outcome = match self.by {
            By::Call => {
                set_level(self.level);
                user::run(Entry::Sysexit, program)
            }
            By::Frame => {
                let flags = UserFlags::INITIAL.bits() | u32::from(self.level) << IOPL_SHIFT;
                user::run_with_flags(program, flags)
            }
        };
        match outcome {
            Outcome { fault: None, .. } => {
                let (before, behind, al) = instruction::answers(&outcome);
                effect(instruction, before, behind, al)
            }
            Outcome { fault: Some(fault), .. } => {
                MASK.write(0xFF);
                let is_general = (fault.vector, fault.error_code) == (GENERAL_PROTECTION, 0);
                if is_general { Effect::Fault } else { Effect::Wrong }
            }
        }
    }
}

/// What an instruction that did not fault has done, by EFLAGS before and behind it and AL behind it. Puts the
/// mask back.
fn effect(instruction: Instruction, before: u32, behind: u32, al: u8) -> Effect {
    let mask = MASK.read();
    MASK.write(0xFF);
    let has_changed = (before ^ behind) & INTERRUPT_FLAG != 0;
    match instruction {
        Instruction::Cli | Instruction::Sti | Instruction::Popf if has_changed => Effect::Done,
        Instruction::Cli | Instruction::Sti => Effect::Skipped,
        Instruction::Popf => Effect::Ignored,
        Instruction::In if al == BEFORE => Effect::Done,
        Instruction::Out if mask == VALUE => Effect::Done,
        Instruction::Out if mask == BEFORE => Effect::Ignored,
        Instruction::In | Instruction::Out => Effect::Wrong,
    }
}
