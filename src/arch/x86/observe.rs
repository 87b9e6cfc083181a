//! A call of the ROM, made so that nothing which it does to the registers or to the stack does harm, and all of
//! it is seen.
//!
//! # Safety
//!
//! What must survive the call lies in a static, which the code behind the call reaches through SS alone: with CS
//! it is what a call may rely on to be flat, and what no call can change unnoticed. The stack below the saved
//! registers is left free for some words, so that an interrupt behind a call which has removed too much from the
//! stack destroys nothing. The segment registers, the direction flag and the registers that the C ABI keeps become what
//! they were. The static belongs to the one call that is under way, as [`observe`] demands.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;

use paravirt_vmi_abi::Call;
use paravirt_vmi_abi::flags::InterruptMask;
use static_assertions::const_assert;

use crate::boot::Registers;
use crate::patch::Relocation;

/// What a call finds, and what it leaves.
#[repr(C)]
struct Exchange {
    before: Registers,
    after: Registers,
    /// Linear address of the code to call.
    target: u32,
    /// ESP with the saved registers on the stack.
    stack: u32,
}

static mut EXCHANGE: Exchange = Exchange { before: ZERO, after: ZERO, target: 0, stack: 0 };

const ZERO: Registers = Registers {
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
    esi: 0,
    edi: 0,
    ebp: 0,
    esp: 0,
    df: 0,
    ds: 0,
    es: 0,
    fs: 0,
    gs: 0,
};

// The assembly takes the offsets of `before` for its own.
const_assert!(offset_of!(Exchange, before) == 0);

/// How many bytes of the stack are free above the return address of the call.
const FREE: u32 = 64;

unsafe extern "C" {
    /// Makes the call that [`EXCHANGE`] describes.
    #[link_name = "__paravirt_vmi_observe"]
    fn observe_exchange();

    /// The native form of each call of the interrupt flag, as code to be called.
    #[link_name = "__paravirt_vmi_observe_native"]
    safe static NATIVE: [u32; 4];
}

// A segment register is loaded only if it differs: what the processor keeps of a segment may no longer be what
// the descriptor table says.
global_asm!(
    r#"
    .pushsection .text.paravirt_vmi_observe, "ax", @progbits
    .macro paravirt_vmi_see_segment name, place
    mov eax, \name
    movzx eax, ax
    mov ss:[{exchange} + {after} + \place], eax
    mov edx, ss:[{exchange} + \place]
    cmp eax, edx
    je 2f
    mov \name, edx
2:
    .endm

    .type __paravirt_vmi_observe, @function
    .globl __paravirt_vmi_observe
__paravirt_vmi_observe:
    push ebp
    push ebx
    push esi
    push edi
    mov [{exchange} + {stack}], esp
    lea esp, [esp - {free}]
    mov [{exchange} + {esp}], esp
    mov eax, ds
    movzx eax, ax
    mov [{exchange} + {ds}], eax
    mov eax, es
    movzx eax, ax
    mov [{exchange} + {es}], eax
    mov eax, fs
    movzx eax, ax
    mov [{exchange} + {fs}], eax
    mov eax, gs
    movzx eax, ax
    mov [{exchange} + {gs}], eax
    cld
    mov dword ptr [{exchange} + {df}], 0
    mov eax, [{exchange} + {eax}]
    mov ebx, [{exchange} + {ebx}]
    mov ecx, [{exchange} + {ecx}]
    mov edx, [{exchange} + {edx}]
    mov esi, [{exchange} + {esi}]
    mov edi, [{exchange} + {edi}]
    mov ebp, [{exchange} + {ebp}]
    call dword ptr ss:[{exchange} + {target}]

    mov ss:[{exchange} + {after} + {esp}], esp
    mov esp, ss:[{exchange} + {stack}]
    mov ss:[{exchange} + {after} + {eax}], eax
    mov ss:[{exchange} + {after} + {esi}], esi
    # DF is the direction in which a string instruction goes: no `pushfd` is needed
    mov esi, esp
    lods al, byte ptr ss:[esi]
    cld
    sub esi, esp
    shr esi, 31
    mov ss:[{exchange} + {after} + {df}], esi
    mov ss:[{exchange} + {after} + {ebx}], ebx
    mov ss:[{exchange} + {after} + {ecx}], ecx
    mov ss:[{exchange} + {after} + {edx}], edx
    mov ss:[{exchange} + {after} + {edi}], edi
    mov ss:[{exchange} + {after} + {ebp}], ebp
    paravirt_vmi_see_segment ds, {ds}
    paravirt_vmi_see_segment es, {es}
    paravirt_vmi_see_segment fs, {fs}
    paravirt_vmi_see_segment gs, {gs}
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret
    .size __paravirt_vmi_observe, . - __paravirt_vmi_observe
    .purgem paravirt_vmi_see_segment

    .popsection

    # what a site holds whose call the ROM does not provide
    .pushsection .text.paravirt_vmi_native, "ax", @progbits
    .type __paravirt_vmi_observe_instructions, @function
__paravirt_vmi_observe_instructions:
3:  sti
    ret
4:  cli
    ret
5:  pushfd
    pop eax
    ret
6:  cli
    test eax, {interrupt_flag}
    jz 2f
    sti
2:  ret
    .size __paravirt_vmi_observe_instructions, . - __paravirt_vmi_observe_instructions
    .popsection

    .pushsection .rodata.paravirt_vmi_observe, "a", @progbits
    .balign 4
    .globl __paravirt_vmi_observe_native
__paravirt_vmi_observe_native:
    .long 3b, 4b, 5b, 6b
    .popsection
    "#,
    exchange = sym EXCHANGE,
    after = const offset_of!(Exchange, after),
    target = const offset_of!(Exchange, target),
    stack = const offset_of!(Exchange, stack),
    eax = const offset_of!(Registers, eax),
    ebx = const offset_of!(Registers, ebx),
    ecx = const offset_of!(Registers, ecx),
    edx = const offset_of!(Registers, edx),
    esi = const offset_of!(Registers, esi),
    edi = const offset_of!(Registers, edi),
    ebp = const offset_of!(Registers, ebp),
    esp = const offset_of!(Registers, esp),
    df = const offset_of!(Registers, df),
    ds = const offset_of!(Registers, ds),
    es = const offset_of!(Registers, es),
    fs = const offset_of!(Registers, fs),
    gs = const offset_of!(Registers, gs),
    free = const FREE,
    interrupt_flag = const InterruptMask::IF.bits(),
);

/// Makes `call`, one of 29 to 32, as a site does that holds `relocation`; the registers behind it. ESP, DF and
/// the segment registers in `before` become what they are in front of it.
///
/// # Safety
///
/// `relocation` is what the ROM, whose vmi_init has succeeded, wants for `call`. Interrupts may be unmasked. Until
/// this returns, nothing else calls it.
pub(crate) unsafe fn observe(call: Call, relocation: Relocation, before: &mut Registers) -> Registers {
    let native = call.number().wrapping_sub(Call::ENABLE_INTERRUPTS.number()) as usize;
    let target = relocation.branch_target().unwrap_or_else(|| NATIVE[native]);
    let exchange = &raw mut EXCHANGE;
    // SAFETY: nothing else refers to the exchange, as the caller vouches.
    unsafe { exchange.write_volatile(Exchange { before: *before, after: ZERO, target, stack: 0 }) };
    // SAFETY: passed on to the caller.
    unsafe { observe_exchange() };
    // SAFETY: as above; the assembly has written it, whole.
    let exchange = unsafe { exchange.read_volatile() };
    *before = exchange.before;
    exchange.after
}
