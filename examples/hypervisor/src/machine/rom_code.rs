//! The ROM's code: what a patched guest runs in place of its sensitive instructions.
//!
//! It runs in the guest's ring 1, at whatever linear address the guest has the ROM, and makes no use of its own
//! place; what it shares with the hypervisor lies at a fixed linear address, in reach of the guest's stack
//! segment. The interrupt flag is a word there, and masking and unmasking are one store each. While something waits
//! that is masked, the hypervisor makes the word read-only: so the store that unmasks traps then, and only then. Source: facts sheet, sections 5.2, 5.4, 5.7 and 8.2 to 8.6.
//!
//! # Safety
//!
//! The assembly is data to the hypervisor, which never runs it. Its symbols bound it and name places in it.
//! (`tests/process` includes this file too, and runs a copy of the assembly in a 32-bit process.)
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;
use core::slice;

use paravirt_vmi_abi::flags::InterruptMask;
use paravirt_vmi_abi::{Call, RelocationInfo, RelocationKind};
use vmi_hypervisor::layout::{HYPERCALL, HYPERCALL_INIT, HYPERCALL_IRET, SHARED, shared};
use vmi_hypervisor::rom::{CALL_LENGTH, CODE_OFFSET, Code, Windows};

/// The byte of the flag's word that has the flag: the code stores to that one alone. All others are 0.
const FLAG_BYTE: u32 = InterruptMask::IF.bits().trailing_zeros() / 8;

// The first three of the interrupt flag's calls are one instruction with an absolute operand, so that a guest can have
// them at its sites. Calls 29 to 32 change flags only (31 EAX too), and calls 29 to 34 use no segments but CS and SS. `lea` removes
// the number from the stack and keeps the flags, which IN and OUT have to keep.
global_asm!(
    r#"
    .pushsection .rom, "ax", @progbits
    .balign 16, 0xCC
    .globl rom_code
rom_code:

    .globl rom_init
rom_init:
    push {init}
    int {hypercall}
    lea esp, [esp + 4]
    ret

    # Where an interrupt waits, the store traps, and the interrupt is delivered behind it.
    .balign 16, 0xCC
    .globl rom_enable
rom_enable:
    mov byte ptr ss:[{flag_byte}], {enabled}
    ret

    .balign 16, 0xCC
    .globl rom_disable
rom_disable:
    mov byte ptr ss:[{flag_byte}], 0
    ret

    .balign 16, 0xCC
    .globl rom_get_mask
rom_get_mask:
    # As wide as the stores: a processor hands a store on to a load behind it that is not wider, and lets a wider one
    # wait until the store is in the cache. Guests look at bit 9 alone.
    mov ah, ss:[{flag_byte}]
    ret

    # guests pass whole EFLAGS images
    .balign 16, 0xCC
    .globl rom_set_mask
rom_set_mask:
    test eax, {interrupt_flag}
    jnz rom_enable
    mov byte ptr ss:[{flag_byte}], 0
    ret

    # Reached by a call, the return address lies under the frame and has to go.
    .balign 16, 0xCC
    .globl rom_iret
rom_iret:
    lea esp, [esp + 4]
    # EIP, CS, EFLAGS
    .globl rom_iret_by_jump
rom_iret_by_jump:
    # of the rings that there are, 1 and 3, only 3 has the bit
    test byte ptr [esp + 4], 2
    jnz 3f
    test dword ptr [esp + 8], {interrupt_flag}
    jnz 3f
    mov byte ptr ss:[{flag_byte}], 0
    iretd
    # Back to where interrupts are enabled: because the frame says so, or because that is ring 3.
3:  test dword ptr ss:[{flag}], {interrupt_flag}
    jz rom_window
    iretd
    # Whatever becomes pending from the question on finds the flag clear, and would wait for a long time. So the
    # hypervisor, whenever it interrupts the ROM here, takes the flag back and lets it begin anew.
    .globl rom_window
rom_window:
    cmp dword ptr ss:[{pending}], 0
    jne 4f
    .globl rom_window_asked
rom_window_asked:
    mov byte ptr ss:[{flag_byte}], {enabled}
    .globl rom_window_flag
rom_window_flag:
    iretd
    .globl rom_window_end
rom_window_end:
4:  push {iret}
    int {hypercall}

    # EDX is EIP and ECX is ESP. The return address is on a stack that is left for good.
    .balign 16, 0xCC
    .globl rom_sysexit
rom_sysexit:
    push dword ptr ss:[{user_stack}]
    push ecx
    pushfd
    push dword ptr ss:[{user_code}]
    push edx
    or dword ptr [esp + 8], {interrupt_flag}
    jmp rom_iret_by_jump

    # All other calls, by number. The code of those above is there too, and nothing leads to it.
    .balign {call_length}, 0xCC
    .globl rom_calls
rom_calls:
    .set number, 0
    .rept {calls}
    .balign {call_length}, 0xCC
    push number
    int {hypercall}
    lea esp, [esp + 4]
    ret
    .set number, number + 1
    .endr
    .balign {call_length}, 0xCC

    # filled in by the hypervisor
    .globl rom_relocations
rom_relocations:
    .zero {relocations}
    .popsection
    "#,
    init = const HYPERCALL_INIT,
    iret = const HYPERCALL_IRET,
    hypercall = const HYPERCALL,
    flag = const SHARED + shared::FLAG,
    flag_byte = const SHARED + shared::FLAG + FLAG_BYTE,
    enabled = const InterruptMask::IF.bits() >> (8 * FLAG_BYTE),
    pending = const SHARED + shared::PENDING,
    user_code = const SHARED + shared::USER_CODE,
    user_stack = const SHARED + shared::USER_STACK,
    interrupt_flag = const InterruptMask::IF.bits(),
    call_length = const CALL_LENGTH,
    calls = const Call::COUNT,
    relocations = const Call::COUNT * size_of::<RelocationInfo>(),
);

// GetRelocationInfo. EAX = number; EAX = linear address of the target at the address through which the ROM was
// called, DL = kind, the rest of EDX 0. The table holds offsets in the image, of which this code is a part. A
// number outside the table is a call that is not provided. (Only AT&T syntax has the difference of two symbols in
// an address.)
global_asm!(
    r#"
    .pushsection .rom, "ax", @progbits
    .balign 16, 0xCC
    .globl rom_get_relocation
rom_get_relocation:
    cmpl ${calls}, %eax
    jae 3f
    call 2f
2:  popl %ecx
    leal rom_relocations - 2b(%ecx, %eax, 8), %eax
    movzbl {kind}(%eax), %edx
    movl {eip}(%eax), %eax
    testl %eax, %eax
    jz 4f
    leal rom_code - 2b - {code_offset}(%ecx, %eax), %eax
4:  ret
3:  movl ${none}, %edx
    xorl %eax, %eax
    ret

    # the end of all of it
    .globl rom_code_length
    .set rom_code_length, . - rom_code
    .popsection
    "#,
    calls = const Call::COUNT,
    kind = const offset_of!(RelocationInfo, kind),
    eip = const offset_of!(RelocationInfo, eip),
    code_offset = const CODE_OFFSET,
    none = const RelocationKind::NONE.0,
    options(att_syntax),
);

unsafe extern "C" {
    static rom_code: u8;
    static rom_code_length: u8;
    static rom_init: u8;
    static rom_get_relocation: u8;
    static rom_enable: u8;
    static rom_disable: u8;
    static rom_get_mask: u8;
    static rom_set_mask: u8;
    static rom_iret: u8;
    static rom_iret_by_jump: u8;
    static rom_window: u8;
    static rom_window_asked: u8;
    static rom_window_flag: u8;
    static rom_window_end: u8;
    static rom_sysexit: u8;
    static rom_calls: u8;
    static rom_relocations: u8;
}

/// The code, and where things are in it.
pub fn code() -> Code<'static> {
    let start = &raw const rom_code;
    let offset = |symbol: *const u8| symbol.addr() - start.addr();
    // The symbol's address is a number.
    let length = (&raw const rom_code_length).addr();
    Code {
        // SAFETY: the assembly above, which nobody writes to.
        bytes: unsafe { slice::from_raw_parts(start, length) },
        init: offset(&raw const rom_init),
        get_relocation: offset(&raw const rom_get_relocation),
        relocations: offset(&raw const rom_relocations),
        calls: offset(&raw const rom_calls),
        enable: offset(&raw const rom_enable),
        disable: offset(&raw const rom_disable),
        get_mask: offset(&raw const rom_get_mask),
        set_mask: offset(&raw const rom_set_mask),
        iret: offset(&raw const rom_iret),
        iret_by_jump: offset(&raw const rom_iret_by_jump),
        sysexit: offset(&raw const rom_sysexit),
        windows: Windows {
            iret_start: offset(&raw const rom_window) as u32,
            iret_asked: offset(&raw const rom_window_asked) as u32,
            iret_or: offset(&raw const rom_window_flag) as u32,
            iret_end: offset(&raw const rom_window_end) as u32,
        },
    }
}
