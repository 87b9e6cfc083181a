//! The way into the kernel by interrupt, exception or `int`, and back through the IRET site.
//!
//! The stubs are written so that they work in whatever ring the kernel runs: they take the data
//! segment from SS, which always holds the kernel's, instead of naming a selector.
//!
//! # Safety
//!
//! The stubs save and restore every register but CS, SS and ESP, which the processor and the IRET site
//! save and restore, and FS and GS, which the kernel does not use.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};

use paravirt_vmi::descriptor::came_from_user;
use paravirt_vmi::user::GeneralProtection;

use crate::fault::{self, GENERAL_PROTECTION};
use crate::{pic, ticks, user};

/// The number of gates: exceptions, then the two interrupt controllers, then system calls, the probes of
/// EFLAGS and of the registers, and a spare one.
pub const VECTORS: usize = 0x84;
/// The first vector that is not an exception.
const EXCEPTIONS: u32 = 0x20;
/// The vector of IRQ 0; the other lines follow.
pub const FIRST_IRQ: u8 = 0x20;
/// The vector of the system call, open to ring 3.
pub const SYSTEM_CALL: u8 = 0x80;
/// The vector that answers with EFLAGS; see [`flags_in_frame`].
const FLAGS_PROBE: u8 = 0x81;
/// The vector by which ring 3 shows its registers, open to ring 3.
pub const REGISTERS_PROBE: u8 = 0x82;
/// A vector that is handled by nothing: EAX becomes 0. Checks lead it elsewhere.
pub const SPARE: u8 = 0x83;
/// The size of an entry of `trap_entries`.
pub const ENTRY_SIZE: usize = 16;

/// EFLAGS.IF.
pub const INTERRUPT_FLAG: u32 = 1 << 9;

/// What the stub and the processor left on the stack. ESP and SS follow only if the processor came
/// from ring 3.
#[derive(Debug)]
#[repr(C)]
pub struct Frame {
    /// ES.
    pub es: u32,
    /// DS.
    pub ds: u32,
    /// EDI.
    pub edi: u32,
    /// ESI.
    pub esi: u32,
    /// EBP.
    pub ebp: u32,
    /// ESP as PUSHAD saw it; POPAD ignores it.
    esp: u32,
    /// Second argument of a system call.
    pub ebx: u32,
    /// EDX.
    pub edx: u32,
    /// Third argument of a system call.
    pub ecx: u32,
    /// First argument of a system call, and its result.
    pub eax: u32,
    /// Which interrupt or exception it is.
    pub vector: u32,
    /// An exception's error code, else 0.
    pub error_code: u32,
    /// Where it came.
    pub eip: u32,
    cs: u32,
    /// EFLAGS where it came.
    pub eflags: u32,
}

impl Frame {
    /// Whether ring 3 was interrupted.
    pub fn interrupted_user(&self) -> bool {
        came_from_user(self.cs, self.eflags)
    }

    /// The general protection fault, if it is one.
    pub fn general_protection(&self) -> Option<GeneralProtection> {
        let Self { error_code, eip, cs, eflags, .. } = *self;
        (self.vector == GENERAL_PROTECTION).then_some(GeneralProtection { error_code, eip, cs, eflags })
    }

    /// Whether interrupts were enabled where the frame leads back to.
    pub fn interrupts_enabled(&self) -> bool {
        self.eflags & INTERRUPT_FLAG != 0
    }
}

unsafe extern "C" {
    /// The first stub; the others follow, [`ENTRY_SIZE`] bytes apart.
    pub safe static trap_entries: u8;
}

global_asm!(
    r#"
    .text
    .balign 16
    .globl trap_entries
trap_entries:
    .set vector, 0
    .rept {vectors}
    .balign {entry_size}
    # the exceptions for which the processor itself pushes an error code
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    .else
    push 0
    .endif
    push vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    pushad
    mov eax, ds
    push eax
    mov eax, es
    push eax
    cld
    mov eax, ss
    mov ds, eax
    mov es, eax
    # the frame's address as the argument, on a stack aligned to 16
    mov ebx, esp
    and esp, -16
    sub esp, 12
    push ebx
    call trap_dispatch
    mov esp, ebx
    pop eax
    mov es, eax
    pop eax
    mov ds, eax
    popad
    # vector and error code
    add esp, 8
"#,
    paravirt_vmi::iret_site!(),
    vectors = const VECTORS,
    entry_size = const ENTRY_SIZE,
);

/// Handles the interrupt that the stub has saved.
#[unsafe(no_mangle)]
extern "C" fn trap_dispatch(frame: &mut Frame) {
    if frame.interrupted_user() {
        user::on_entry(frame);
    }
    match frame.vector as u8 {
        vector @ FIRST_IRQ..0x30 => interrupt(vector - FIRST_IRQ, frame),
        SYSTEM_CALL => user::system_call(frame),
        FLAGS_PROBE => frame.eax = frame.eflags,
        REGISTERS_PROBE => user::show_registers(frame),
        SPARE => frame.eax = 0,
        _ if frame.vector < EXCEPTIONS && frame.interrupted_user() => {
            user::exception(frame, faulting_address());
        }
        _ if frame.vector < EXCEPTIONS && fault::is_expected() => fault::resume(frame, faulting_address()),
        vector => panic!("exception {vector} with CR2 {:08x}: {frame:08x?}", faulting_address()),
    }
}

fn interrupt(line: u8, frame: &Frame) {
    if pic::is_spurious(line) {
        return;
    }
    assert!(line == ticks::LINE, "interrupt on line {line}, which is masked");
    ticks::on_tick(frame);
}

/// CR2, the address of the last page fault.
fn faulting_address() -> u32 {
    let address;
    // SAFETY: reading CR2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// EFLAGS as an interrupt sees it: a second opinion on what `irq::is_enabled` says, by another way.
pub fn flags_in_frame() -> u32 {
    let flags;
    // SAFETY: the handler changes EAX alone.
    unsafe { asm!("int {}", const FLAGS_PROBE, out("eax") flags) };
    flags
}

/// What the handler of [`SPARE`] leaves in EAX.
pub fn call_spare() -> u32 {
    let answer;
    // SAFETY: the handlers that the vector is led to change EAX alone.
    unsafe { asm!("int {}", const SPARE, inout("eax") 0xDEAD_BEEF_u32 => answer) };
    answer
}
