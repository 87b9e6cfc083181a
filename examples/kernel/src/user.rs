//! Programs in ring 3, and how the kernel runs them.
//!
//! The kernel enters a program with interrupts masked, through the IRET site or the SYSEXIT site; in ring 3
//! they are enabled. The last system call of the program, or an exception, brings the kernel back to where it
//! left, masked again.
//!
//! The programs are part of the kernel's image, a page of their own. What the kernel does about the interrupt
//! flag while they run is what the guest crate's module `user` says:
//!
//! - [`run`] builds their frame, which cannot carry IF = 0;
//! - [`call`] grants ports by the I/O permission bitmap;
//! - [`exception`] skips `cli` and `sti` of a program that was granted ports, and ends any other that faults.
//!
//! # Safety
//!
//! The assembly saves and restores the registers that the C ABI keeps. A program runs on a stack of its own
//! and can reach no memory of the kernel.
#![allow(unsafe_code)]

#[macro_use]
mod program;

mod call;
pub mod clock;
pub mod dot_clock;
mod exception;
pub mod instruction;
pub mod mail;
pub mod nested;
mod probe;
mod state;
pub mod ticking;
pub mod video;

use core::arch::global_asm;
use core::sync::atomic::AtomicU32;

use paravirt_vmi::descriptor::Selector;
use paravirt_vmi::user::{UserFlags, UserFrame};

pub use call::{entered_at as kernel_entered_at, system_call};
pub use exception::exception;
pub use probe::{registers, show_registers, use_port};
pub use state::{Outcome, entries, on_entry};

use crate::gdt::{USER_CODE, USER_DATA};
use crate::traps::{INTERRUPT_FLAG, flags_in_frame};

/// ESP of the kernel while a program runs.
static KERNEL_STACK: AtomicU32 = AtomicU32::new(0);

/// The way into ring 3.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// Through the IRET site.
    Iret,
    /// Through the SYSEXIT site.
    Sysexit,
}

unsafe extern "C" {
    /// Enters ring 3 through the IRET site, with a copy of the frame: EIP, CS, EFLAGS, ESP, SS.
    fn enter_by_iret(frame: &[u32; 5]);
    /// Enters ring 3 through the SYSEXIT site.
    fn enter_by_sysexit(eip: u32, esp: u32);
    /// Returns from the entry that was called last.
    fn leave_user() -> !;
    static user_text_start: u8;
    static user_text_end: u8;
    static user_stack_end: u8;
}

global_asm!(
    r#"
    .text
    .globl enter_by_iret
enter_by_iret:
    mov ecx, [esp + 4]
"#,
    prepare_user!(),
    r#"
    # onto the stack: what a ROM pushes goes below the frame
    push ss:[ecx + 16]
    push ss:[ecx + 12]
    push ss:[ecx + 8]
    push ss:[ecx + 4]
    push ss:[ecx]
"#,
    paravirt_vmi::iret_site!(),
    r#"
    .globl enter_by_sysexit
enter_by_sysexit:
    mov edx, [esp + 4]
    mov ecx, [esp + 8]
"#,
    prepare_user!(),
    paravirt_vmi::sysexit_site!(),
    r#"
    .globl leave_user
leave_user:
    mov esp, [{kernel_stack}]
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret

    .section .user.bss, "aw", @nobits
    .skip 4096
    .text
"#,
    kernel_stack = sym KERNEL_STACK,
    user_data = const USER_DATA,
);

/// Runs a program until its system call exits, or until it raises an exception that ends it. It has no port.
///
/// [`Entry::Sysexit`] needs a processor that has the instruction.
///
/// # Panics
///
/// If interrupts are enabled.
pub fn run(entry: Entry, program: *const u8) -> Outcome {
    match entry {
        Entry::Iret => run_with_flags(program, UserFlags::INITIAL.bits()),
        Entry::Sysexit => state::during(|| {
            assert_masked();
            // SAFETY: the descriptor tables and the page tables are set up, and the program comes back by a
            // system call or by an exception.
            unsafe { enter_by_sysexit(program as u32, stack()) };
        }),
    }
}

/// Runs a program through the IRET site, with EFLAGS as they are given.
///
/// # Panics
///
/// If interrupts are enabled.
pub fn run_with_flags(program: *const u8, eflags: u32) -> Outcome {
    let [code, data] = [Selector(USER_CODE), Selector(USER_DATA)];
    let frame = UserFrame::new(code, program as u32, data, stack(), UserFlags::INITIAL);
    let frame = [frame.eip(), frame.cs().0.into(), eflags, frame.esp(), frame.ss().0.into()];
    state::during(|| {
        assert_masked();
        // SAFETY: as in `run`.
        unsafe { enter_by_iret(&frame) };
    })
}

/// The end of the user's stack.
fn stack() -> u32 {
    &raw const user_stack_end as u32
}

/// The way to ring 3 is one with interrupts masked. Asked by a frame, since `pushf` does not tell everywhere.
fn assert_masked() {
    assert!(flags_in_frame() & INTERRUPT_FLAG == 0, "interrupts must be masked on the way to ring 3");
}

/// The code of the programs from `address` on, as far as an instruction can reach; nothing if there is none.
fn code_at(address: u32) -> &'static [u8] {
    let (start, end) = (&raw const user_text_start, &raw const user_text_end);
    // SAFETY: the linker script defines the bounds, and nothing writes what lies between.
    let code = unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) };
    let offset = address.wrapping_sub(start as u32) as usize;
    code.get(offset..).unwrap_or_default()
}
