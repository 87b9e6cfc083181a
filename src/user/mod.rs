//! User programs and the interrupt flag: what a kernel does by itself so that a program behaves the same on
//! bare metal and under a hypervisor.
//!
//! Under VMI interrupts are always enabled while user code runs, and user code that was granted ports has no
//! influence on the interrupt flag all the same. Bare metal is not like that: with an I/O privilege level of
//! 3 a program masks interrupts by `cli`, and a frame with IF = 0 carries that into user mode. A kernel that
//! keeps to three rules has one behaviour everywhere:
//!
//! | rule | by |
//! |---|---|
//! | ports are granted through the I/O permission bitmap, and the I/O privilege level stays 0 | [`IoPermissionBitmap`] |
//! | `cli` and `sti` of a program that was granted ports are skipped in the #GP handler; of any other program they are the fault that they raise | [`GeneralProtection::fix_up`] |
//! | a frame that leads to user mode cannot carry IF = 0, nor IOPL, NT or VM | [`UserFrame`] |
//!
//! A program that calls `iopl(3)` and then brackets its work by `cli` and `sti` runs to its end, and
//! interrupts arrive meanwhile. What `popf` says about IF is ignored by the processor itself, and `pushf`
//! shows IF = 1.
//!
//! A kernel that grants ports by [`port::set_iopl`](crate::port::set_iopl) instead gets the same from a
//! hypervisor, and on bare metal a program that can mask interrupts.
//!
//! Nothing here makes a call or touches the processor. Source: facts sheet, sections 8.7, 8.9 and 8.11.

mod bitmap;
mod fault;
mod frame;

pub use bitmap::IoPermissionBitmap;
pub use fault::{
    FixUp, GeneralProtection, Instruction, MAX_INSTRUCTION_LENGTH, Skip, skip_interrupt_flag_instruction,
};
pub use frame::{UserFlags, UserFrame};
