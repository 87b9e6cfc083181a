//! A program in ring 3, and its system calls.
//!
//! The kernel enters it with interrupts masked, through the IRET site or the SYSEXIT site; in ring 3
//! they are enabled. Its last system call brings the kernel back to where it left, masked again.
//!
//! The program is part of the kernel's image: a fault in it is a fault of the kernel's, and panics.
//!
//! | EAX | system call | other registers                          |
//! |-----|-------------|------------------------------------------|
//! | 0   | ticks       | EAX returns the number of ticks          |
//! | 1   | report      | EBX = index of the answer, ECX = answer  |
//! | 2   | exit        | does not return                          |
//!
//! Other programs, in `probe`, do one thing each. An exception in ring 3 ends the program.
//!
//! # Safety
//!
//! The assembly saves and restores the registers that the C ABI keeps. The program runs on a stack of
//! its own and can reach no memory of the kernel.
#![allow(unsafe_code)]

mod probe;

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

pub use probe::{registers, show_registers, use_port};

use paravirt_vmi::irq;

use crate::fault::Fault;
use crate::gdt::{USER_CODE, USER_DATA};
use crate::ticks;
use crate::traps::{Frame, INTERRUPT_FLAG, SYSTEM_CALL};

const TICKS: u32 = 0;
const REPORT: u32 = 1;
const EXIT: u32 = 2;

const FLAGS_AT_START: usize = 0;
const TICKS_IN_LOOP: usize = 1;
const FLAGS_AT_END: usize = 2;

/// How many ticks the program waits for.
pub const TICKS_WANTED: u32 = 20;
/// How often the program looks before it gives up.
const PATIENCE: u32 = 20_000;
/// Bit 1 of EFLAGS is always set.
const USER_FLAGS: u32 = INTERRUPT_FLAG | 1 << 1;

/// What the program reported.
static ANSWERS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
/// ESP of the kernel while the program runs.
static KERNEL_STACK: AtomicU32 = AtomicU32::new(0);
/// Where the frame of the last system call lay.
static FRAME: AtomicU32 = AtomicU32::new(0);
/// Vector, error code, EIP and address of the exception that ended the program, if one did.
static FAULT: [AtomicU32; 4] = [const { AtomicU32::new(NO_FAULT) }; 4];
/// No vector.
const NO_FAULT: u32 = !0;

/// The way into ring 3.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// Through the IRET site.
    Iret,
    /// Through the SYSEXIT site.
    Sysexit,
}

/// What the program saw.
#[derive(Debug)]
pub struct Answers {
    /// EFLAGS before its loop.
    pub flags_at_start: u32,
    /// Ticks that it saw pass during its loop.
    pub ticks_in_loop: u32,
    /// EFLAGS after its loop.
    pub flags_at_end: u32,
}

unsafe extern "C" {
    /// Runs the program at the address through the IRET site.
    fn enter_by_iret(program: *const u8);
    /// Runs the program at the address through the SYSEXIT site.
    fn enter_by_sysexit(program: *const u8);
    /// Returns from the entry that was called last.
    fn leave_user() -> !;
    /// The program that [`run`] runs.
    static user_program: u8;
}

global_asm!(
    r#"
    .text
    # Keeps the registers of the C ABI and the stack for leave_user, and loads the user's data segment.
    .macro PREPARE_USER
    push ebp
    push ebx
    push esi
    push edi
    mov [{kernel_stack}], esp
    mov eax, {user_data}
    mov ds, eax
    mov es, eax
    .endm

    .globl enter_by_iret
enter_by_iret:
    mov ecx, [esp + 4]
    PREPARE_USER
    push {user_data}
    mov eax, offset user_stack_end
    push eax
    push {user_flags}
    push {user_code}
    push ecx
"#,
    paravirt_vmi::iret_site!(),
    r#"
    .globl enter_by_sysexit
enter_by_sysexit:
    mov edx, [esp + 4]
    PREPARE_USER
    mov ecx, offset user_stack_end
"#,
    paravirt_vmi::sysexit_site!(),
    r#"
    # Returns from the entry that was called last.
    .globl leave_user
leave_user:
    mov esp, [{kernel_stack}]
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret

    .section .user.text, "ax", @progbits
user_program:
    pushfd
    pop ecx
    mov ebx, {flags_at_start}
    mov eax, {report}
    int {system_call}

    # loop without a system call for a while, then look at the ticks
    mov eax, {ticks}
    int {system_call}
    mov esi, eax
    mov edi, {patience}
2:  mov ecx, 1000
3:  dec ecx
    jnz 3b
    mov eax, {ticks}
    int {system_call}
    sub eax, esi
    cmp eax, {ticks_wanted}
    jae 4f
    dec edi
    jnz 2b

4:  mov ecx, eax
    mov ebx, {ticks_in_loop}
    mov eax, {report}
    int {system_call}
    pushfd
    pop ecx
    mov ebx, {flags_at_end}
    mov eax, {report}
    int {system_call}
    mov eax, {exit}
    int {system_call}

    .section .user.bss, "aw", @nobits
    .skip 4096
    .text
"#,
    kernel_stack = sym KERNEL_STACK,
    user_data = const USER_DATA,
    user_code = const USER_CODE,
    user_flags = const USER_FLAGS,
    system_call = const SYSTEM_CALL,
    ticks = const TICKS,
    report = const REPORT,
    exit = const EXIT,
    flags_at_start = const FLAGS_AT_START,
    ticks_in_loop = const TICKS_IN_LOOP,
    flags_at_end = const FLAGS_AT_END,
    ticks_wanted = const TICKS_WANTED,
    patience = const PATIENCE,
);

/// Runs the program to its end; interrupts are masked before and after.
///
/// [`Entry::Sysexit`] needs a processor that has the instruction.
///
/// # Panics
///
/// If interrupts are enabled.
pub fn run(entry: Entry) -> Answers {
    for answer in &ANSWERS {
        answer.store(0, Relaxed);
    }
    if let Some(fault) = enter(entry, &raw const user_program) {
        panic!("the program in ring 3 raised {fault:?}");
    }
    Answers {
        flags_at_start: ANSWERS[FLAGS_AT_START].load(Relaxed),
        ticks_in_loop: ANSWERS[TICKS_IN_LOOP].load(Relaxed),
        flags_at_end: ANSWERS[FLAGS_AT_END].load(Relaxed),
    }
}

/// Runs a program until its system call exits, or until it raises an exception, which is returned.
///
/// # Panics
///
/// If interrupts are enabled.
fn enter(entry: Entry, program: *const u8) -> Option<Fault> {
    assert!(!irq::is_enabled(), "interrupts must be masked on the way to ring 3");
    FAULT[0].store(NO_FAULT, Relaxed);
    match entry {
        // SAFETY: the descriptor tables and the page tables are set up, and the program comes back
        // by its last system call or by an exception.
        Entry::Iret => unsafe { enter_by_iret(program) },
        // SAFETY: as above.
        Entry::Sysexit => unsafe { enter_by_sysexit(program) },
    }
    let [vector, error_code, eip, address] = FAULT.each_ref().map(|word| word.load(Relaxed));
    (vector != NO_FAULT).then_some(Fault { vector, error_code, eip, address })
}

/// Where on the stack the kernel was entered by the last system call.
pub fn kernel_entered_at() -> u32 {
    FRAME.load(Relaxed)
}

/// Ends the program that raised the exception of `frame`. `address` is CR2.
pub fn fault(frame: &Frame, address: u32) -> ! {
    for (word, value) in FAULT.iter().zip([frame.vector, frame.error_code, frame.eip, address]) {
        word.store(value, Relaxed);
    }
    // SAFETY: ring 3 was interrupted, so an entry was left and its stack is as it was.
    unsafe { leave_user() }
}

/// Handles a system call. What the program passes is not trusted.
pub fn system_call(frame: &mut Frame) {
    assert!(frame.interrupted_user(), "system call from the kernel: {frame:08x?}");
    FRAME.store(&raw const *frame as u32, Relaxed);
    match frame.eax {
        TICKS => frame.eax = ticks::count(),
        REPORT => {
            if let Some(answer) = ANSWERS.get(frame.ebx as usize) {
                answer.store(frame.ecx, Relaxed);
            }
        }
        // SAFETY: the call came from ring 3, so an entry was left and its stack is as it was.
        EXIT => unsafe { leave_user() },
        unknown => panic!("unknown system call {unknown}: {frame:08x?}"),
    }
}
