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

use crate::{pic, ticks, user};

/// The number of gates: exceptions, then the two interrupt controllers, then system calls and the
/// probe of EFLAGS.
pub const VECTORS: usize = 0x82;
/// The vector of IRQ 0; the other lines follow.
pub const FIRST_IRQ: u8 = 0x20;
/// The vector of the system call, open to ring 3.
pub const SYSTEM_CALL: u8 = 0x80;
/// The vector that answers with EFLAGS; see [`flags_in_frame`].
const FLAGS_PROBE: u8 = 0x81;
/// The size of an entry of `trap_entries`.
pub const ENTRY_SIZE: usize = 16;

/// EFLAGS.IF.
pub const INTERRUPT_FLAG: u32 = 1 << 9;

/// What the stub and the processor left on the stack. ESP and SS follow only if the processor came
/// from ring 3.
#[derive(Debug)]
#[repr(C)]
pub struct Frame {
    es: u32,
    ds: u32,
    edi: u32,
    esi: u32,
    ebp: u32,
    /// ESP as PUSHAD saw it; POPAD ignores it.
    esp: u32,
    /// Second argument of a system call.
    pub ebx: u32,
    edx: u32,
    /// Third argument of a system call.
    pub ecx: u32,
    /// First argument of a system call, and its result.
    pub eax: u32,
    vector: u32,
    error_code: u32,
    eip: u32,
    cs: u32,
    eflags: u32,
}

impl Frame {
    /// Whether ring 3 was interrupted. Never compare with ring 0: the kernel may run in another one.
    pub fn interrupted_user(&self) -> bool {
        self.cs & 3 == 3
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
    match frame.vector as u8 {
        vector @ FIRST_IRQ..0x30 => interrupt(vector - FIRST_IRQ, frame),
        SYSTEM_CALL => user::system_call(frame),
        FLAGS_PROBE => frame.eax = frame.eflags,
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
