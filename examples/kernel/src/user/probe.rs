//! Programs in ring 3 that do one thing: show the registers with which they start, or use a port.
//!
//! # Safety
//!
//! As for the module above.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use paravirt_vmi::user::UserFlags;

use super::call::EXIT;
use super::{Entry, KERNEL_STACK, assert_masked, leave_user, run};
use crate::fault::Fault;
use crate::gdt::{USER_CODE, USER_DATA};
use crate::traps::{Frame, REGISTERS_PROBE, SYSTEM_CALL};

/// CF, PF, AF, ZF, SF and OF.
pub const ARITHMETIC_FLAGS: u32 = 0x8D5;

/// What a program in ring 3 found in its registers, and what the kernel had loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// EAX, EBX, ESI, EDI and EBP; then ECX and EDX, with which SYSEXIT carries ESP and EIP.
    pub registers: [u32; 7],
    /// The arithmetic flags.
    pub flags: u32,
    /// DS and ES.
    pub segments: [u32; 2],
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registers, flags, segments } = self;
        write!(f, "{registers:08x?} flags {flags:03x} segments {segments:04x?}")
    }
}

/// What [`show_registers`] was told.
static SHOWN: [AtomicU32; 10] = [const { AtomicU32::new(0) }; 10];

unsafe extern "C" {
    /// Enters `user_show` through the IRET site with the registers that [`EXPECTED`] tells.
    fn show_by_iret();
    /// The same through the SYSEXIT site.
    fn show_by_sysexit();
    static user_show: u8;
    static user_stack_end: u8;
    static user_port: u8;
}

/// A value that no register holds by chance, different for each `index`.
const fn poison(index: u32) -> u32 {
    0xC0DE_5000 + 0x0101_0011 * index
}

global_asm!(
    r#"
    .text
    .macro POISON_REGISTERS
    mov eax, {poison} + 0 * {step}
    mov ebx, {poison} + 1 * {step}
    mov esi, {poison} + 2 * {step}
    mov edi, {poison} + 3 * {step}
    mov ebp, {poison} + 4 * {step}
    .endm

    .globl show_by_iret
show_by_iret:
"#,
    prepare_user!(),
    r#"
    push eax
    mov eax, offset user_stack_end
    push eax
    push {user_flags}
    push {user_code}
    mov eax, offset user_show
    push eax
    POISON_REGISTERS
    mov ecx, {poison} + 5 * {step}
    mov edx, {poison} + 6 * {step}
"#,
    paravirt_vmi::iret_site!(),
    r#"
    .globl show_by_sysexit
show_by_sysexit:
"#,
    prepare_user!(),
    r#"
    POISON_REGISTERS
    mov edx, offset user_show
    mov ecx, offset user_stack_end
"#,
    paravirt_vmi::sysexit_site!(),
    r#"
    .section .user.text, "ax", @progbits
    .globl user_show
user_show:
    int {registers_probe}

    .globl user_port
user_port:
    in al, 0x80
    out 0x80, al
    mov eax, {exit}
    int {system_call}
    .text
"#,
    poison = const poison(0),
    step = const poison(1) - poison(0),
    kernel_stack = sym KERNEL_STACK,
    user_data = const USER_DATA,
    user_code = const USER_CODE,
    user_flags = const UserFlags::new(ARITHMETIC_FLAGS).bits(),
    registers_probe = const REGISTERS_PROBE,
    system_call = const SYSTEM_CALL,
    exit = const EXIT,
);

/// Enters ring 3 with a different value in each register; what arrived there, and what should have.
///
/// # Panics
///
/// If interrupts are enabled.
pub fn registers(entry: Entry) -> (Shown, Shown) {
    assert_masked();
    let mut expected = Shown {
        registers: core::array::from_fn(|index| poison(index as u32)),
        flags: ARITHMETIC_FLAGS,
        segments: [USER_DATA.into(); 2],
    };
    match entry {
        // SAFETY: the program comes back by its first instruction.
        Entry::Iret => unsafe { show_by_iret() },
        Entry::Sysexit => {
            // SAFETY: as above.
            unsafe { show_by_sysexit() };
            expected.registers[5] = &raw const user_stack_end as u32;
            expected.registers[6] = &raw const user_show as u32;
        }
    }
    let [registers @ .., flags, ds, es] = SHOWN.each_ref().map(|word| word.load(Relaxed));
    let mut shown = Shown { registers, flags, segments: [ds, es] };
    if matches!(entry, Entry::Sysexit) {
        // SYSEXIT has no flags to load, and those before it are the compiler's.
        shown.flags = expected.flags;
    }
    (shown, expected)
}

/// Takes the registers that the program in ring 3 shows, and ends it.
pub fn show_registers(frame: &Frame) -> ! {
    assert!(frame.interrupted_user(), "the kernel shows its registers: {frame:08x?}");
    let Frame { eax, ebx, ecx, edx, esi, edi, ebp, eflags, ds, es, .. } = *frame;
    let shown = [eax, ebx, esi, edi, ebp, ecx, edx, eflags & ARITHMETIC_FLAGS, ds & 0xFFFF, es & 0xFFFF];
    for (word, value) in SHOWN.iter().zip(shown) {
        word.store(value, Relaxed);
    }
    // SAFETY: ring 3 was interrupted, so an entry was left and its stack is as it was.
    unsafe { leave_user() }
}

/// Reads and writes port 80 in ring 3; the exception that this raised, if it did.
pub fn use_port(entry: Entry) -> Option<Fault> {
    run(entry, &raw const user_port).fault
}
