//! The switch between the hypervisor's world and the guest's: the way in, and all the ways out.
//!
//! The code runs where either address space has it (`monitor`). On the way in, the guest's registers are
//! copied to the stack of the monitor's area, CR3 is loaded, and they are popped off it. On the way out the
//! processor and the code below push them there again, in the order of [`Frame`]; CR3 is loaded, they are
//! copied back, and `run_guest` returns to its caller.
//!
//! Whoever interrupts ring 0 is told apart by the CS on the stack: it is either the timer, while the
//! hypervisor waits in `hlt`, or the last part of the way in, whose registers the processor did not take; or
//! else the hypervisor is broken.
//!
//! # Safety
//!
//! Ring 0 is entered by gates that mask interrupts, on a stack that is mapped in both address spaces, and the
//! hypervisor's stack and data are touched only after its own CR3 is loaded.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::sync::atomic::AtomicU32;

use vmi_hypervisor::fault::vector;
use vmi_hypervisor::frame::{Frame, eflags};

use super::monitor::{STACK_END, VECTORS};
use super::{gdt, paging, timer};

/// Bytes of a stub.
pub const STUB_SIZE: usize = 16;

/// The hypervisor's ESP while the guest runs.
static HYPERVISOR_STACK: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    /// Runs the guest with the registers of `frame`, by the page tables at `tables`, until it is left; then
    /// they are in `frame`, and the result is 0. If the processor does not take them, the result is 1 and the
    /// vector in the low half, the error code in the high one, and `frame` is as it was.
    fn run_guest(frame: *mut Frame, tables: u32) -> u64;
}

global_asm!(
    r#"
    .section .monitor, "ax", @progbits
    .set vector, 0
    .rept {vectors}
    .balign {stub_size}
    # the exceptions for which the processor itself pushes an error code
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    .else
    push 0
    .endif
    push vector
    jmp entered
    .set vector, vector + 1
    .endr
    .balign {stub_size}

entered:
    pushad
    mov eax, ds
    push eax
    mov eax, es
    push eax
    mov eax, fs
    push eax
    mov eax, gs
    push eax
    cld
    mov eax, {data}
    mov ds, eax
    mov es, eax
    mov eax, offset {tables}
    mov cr3, eax
    # in virtual-8086 mode CS is no selector
    test dword ptr [esp + {eflags}], {vm}
    jnz 2f
    test dword ptr [esp + {cs}], 3
    jz 4f

    # the guest was left
2:  mov esi, esp
    mov esp, [{stack}]
    mov edi, [esp + 20]
    mov ecx, {words}
    rep movsd
    xor eax, eax
    xor edx, edx
3:  pop edi
    pop esi
    pop ebx
    pop ebp
    ret

    # ring 0 was interrupted
4:  mov eax, [esp + {eip}]
    cmp eax, offset restore
    jb 5f
    cmp eax, offset restored
    jae 5f
    mov eax, [esp + {vector}]
    inc eax
    mov edx, [esp + {error_code}]
    mov esp, [{stack}]
    jmp 3b

5:  mov ebx, esp
    and esp, -16
    sub esp, 12
    push ebx
    call ring_0_interrupted
    mov esp, ebx
    pop eax
    mov gs, eax
    pop eax
    mov fs, eax
    pop eax
    mov es, eax
    pop eax
    mov ds, eax
    popad
    add esp, 8
    iretd

    .globl run_guest
run_guest:
    push ebp
    push ebx
    push esi
    push edi
    mov [{stack}], esp
    mov esi, [esp + 20]
    mov eax, [esp + 24]
    mov edi, {stack_end} - {words} * 4
    mov ecx, {words}
    rep movsd
    mov esp, {stack_end} - {words} * 4
    mov cr3, eax
restore:
    pop eax
    mov gs, eax
    pop eax
    mov fs, eax
    pop eax
    mov es, eax
    pop eax
    mov ds, eax
    popad
    # vector and error code
    add esp, 8
    iretd
restored:
    .text
"#,
    vectors = const VECTORS,
    stub_size = const STUB_SIZE,
    data = const gdt::DATA,
    tables = sym paging::POINTERS,
    stack = sym HYPERVISOR_STACK,
    stack_end = const STACK_END,
    words = const size_of::<Frame>() / 4,
    eflags = const offset_of!(Frame, eflags),
    cs = const offset_of!(Frame, cs),
    eip = const offset_of!(Frame, eip),
    vector = const offset_of!(Frame, vector),
    error_code = const offset_of!(Frame, error_code),
    vm = const eflags::VM,
);

/// The processor does not take the guest's registers.
#[derive(Clone, Copy, Debug)]
pub struct NotTaken {
    /// The exception that it raised instead.
    pub vector: u8,
    /// Its error code.
    pub error_code: u32,
}

/// Runs the guest until it is left; returns CR2. A debug exception has DR6 in place of an error code.
///
/// # Errors
///
/// The processor does not take what is in `frame`, or it names ring 0.
pub fn run(frame: &mut Frame, tables: u32) -> Result<u32, NotTaken> {
    if matches!(frame.cs & 3, 0 | 2) {
        return Err(NotTaken { vector: vector::GENERAL_PROTECTION, error_code: frame.cs & 0xFFFC });
    }
    const FIXED: u32 = eflags::IOPL
        | eflags::VM
        | eflags::INTERRUPT
        | eflags::VIRTUAL_INTERRUPT
        | eflags::VIRTUAL_INTERRUPT_PENDING;
    frame.eflags = frame.eflags & !FIXED | eflags::INTERRUPT | eflags::ALWAYS;
    // SAFETY: the guest is in ring 1 or 3, without I/O privilege; what it can reach is in the tables and in the
    // descriptors, which hold nothing of the hypervisor that it could harm.
    let outcome = unsafe { run_guest(frame, tables) };
    if outcome != 0 {
        let vector = (outcome as u32 - 1) as u8;
        return Err(NotTaken { vector, error_code: (outcome >> 32) as u32 });
    }
    // the stubs push it with its sign
    frame.vector &= 0xFF;
    if frame.vector == u32::from(vector::DEBUG) {
        frame.error_code = take_debug_status();
    }
    Ok(fault_address())
}

/// DR6, which says why a debug exception came up, and which only grows until it is cleared.
fn take_debug_status() -> u32 {
    let status;
    // SAFETY: the register has no other effect than to be read.
    unsafe {
        asm!(
            "mov {status}, dr6",
            "mov dr6, {cleared}",
            status = out(reg) status,
            cleared = in(reg) 0,
            options(nomem, nostack, preserves_flags),
        );
    }
    status
}

/// CR2, the address of the last page fault.
fn fault_address() -> u32 {
    let address;
    // SAFETY: reading CR2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// What the way out leaves on the stack if it comes from ring 0.
#[derive(Debug)]
#[repr(C)]
struct Ring0Frame {
    segments: [u32; 4],
    registers: [u32; 8],
    vector: u32,
    error_code: u32,
    eip: u32,
    cs: u32,
    eflags: u32,
}

/// The timer, while the hypervisor waits; anything else is its end.
#[unsafe(no_mangle)]
extern "C" fn ring_0_interrupted(frame: &Ring0Frame) {
    let vector = frame.vector as u8;
    if !timer::interrupted(vector) {
        panic!("exception {vector} in the hypervisor with CR2 {:08x}: {frame:08x?}", fault_address());
    }
}
