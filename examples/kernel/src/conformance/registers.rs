//! A call with any registers: loaded before its site, and seen right behind it.
//!
//! Every call has a site of its own here, so natively its native form is made, and patched whatever the ROM
//! wants. Calls that may rely on CS and SS alone are made with DS and ES that lead elsewhere: a ROM that uses
//! these segments faults. (Null selectors would not do: an emulator need not look at them.)
//!
//! # Safety
//!
//! The assembly saves and restores the registers that the C ABI keeps, flat DS and ES, null FS and GS, and
//! a clear direction flag, whatever the call did to them. One call is made at a time: interrupts are masked
//! or their handlers make none.
#![allow(unsafe_code)]

use core::arch::global_asm;

use paravirt_vmi::abi::{Call, Segments};

use crate::gdt::{self, FIRST_SPARE, KERNEL_CODE, KERNEL_DATA};

/// What a call finds, and what it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
    /// ESI.
    pub esi: u32,
    /// EDI.
    pub edi: u32,
    /// EBP.
    pub ebp: u32,
    /// The words at `[esp+4]` and `[esp+8]` of the callee.
    pub stack: [u32; 2],
    /// OF in bit 0, and SF, ZF, AF, PF, CF where `lahf` puts them, in bits 8 to 15.
    pub flags: u32,
    /// Set by the call: ESP, as a difference.
    pub esp: u32,
    /// Set by the call: DS, ES, FS and GS.
    pub segments: [u32; 4],
    /// Set by the call: how far a string instruction goes.
    pub step: u32,
}

impl Registers {
    /// Zeros.
    pub const ZERO: Self = Self {
        eax: 0,
        ebx: 0,
        ecx: 0,
        edx: 0,
        esi: 0,
        edi: 0,
        ebp: 0,
        stack: [0; 2],
        flags: 0,
        esp: 0,
        segments: [0; 4],
        step: 0,
    };
}

/// All arithmetic flags, and bit 1, which is always set, in [`Registers::flags`].
pub const ALL_FLAGS: u32 = 0xD701;
/// No arithmetic flag.
pub const NO_FLAGS: u32 = 0x0200;

/// What the call of [`call_with`] finds and leaves, and where its site is.
#[repr(C)]
struct Exchange {
    before: Registers,
    after: Registers,
    site: u32,
    /// DS, ES, FS, GS before the call.
    segments: [u32; 4],
    /// ESP of [`call_with`].
    stack: u32,
    /// ESP before the call.
    esp: u32,
    /// Whether an interrupt frame lies on top of the stack.
    has_frame: u32,
}
static mut EXCHANGE: Exchange = Exchange {
    before: Registers::ZERO,
    after: Registers::ZERO,
    site: 0,
    segments: [0; 4],
    stack: 0,
    esp: 0,
    has_frame: 0,
};

unsafe extern "C" {
    /// Makes the call that [`EXCHANGE`] describes.
    fn call_with();
    /// Where the site of each call lies.
    safe static call_sites: [u32; Call::COUNT];
}

/// Emits a site for each call, and the table of their addresses.
macro_rules! sites {
    ($({ $number:literal $call:ident $($row:tt)* })*) => {
        global_asm!(
            ".text",
            $(
                concat!(".Lcall_", stringify!($number), ":"),
                paravirt_vmi::__site!($call),
                "jmp call_returned",
            )*
            ".pushsection .rodata.call_sites, \"a\", @progbits",
            ".balign 4",
            ".globl call_sites",
            "call_sites:",
            $(concat!(".long .Lcall_", stringify!($number)),)*
            ".popsection",
        );
    };
}
paravirt_vmi::abi::for_each_call!(sites);

global_asm!(
    r#"
    .text
    .set BEFORE, {exchange}
    .set AFTER, {exchange} + {after}
    .globl call_with
call_with:
    push ebp
    push ebx
    push esi
    push edi
    mov [{exchange} + {stack}], esp
    push [BEFORE + {words} + 4]
    push [BEFORE + {words}]
    # an interrupt frame in their place, whose EFLAGS are the flags to find behind the call
    cmp dword ptr [{exchange} + {has_frame}], 0
    je 2f
    mov eax, [BEFORE + {words}]
    mov [esp + 4], eax
    mov eax, cs
    mov [esp], eax
    mov eax, offset call_returned
    push eax
2:  mov [{exchange} + {esp}], esp
    mov fs, [{exchange} + {segments} + 8]
    mov gs, [{exchange} + {segments} + 12]

    # OF by an addition, the others by sahf; nothing below changes a flag
    mov ah, [BEFORE + {flags} + 1]
    mov al, [BEFORE + {flags}]
    neg al
    and al, 0x7f
    add al, 1
    # (-1 & 7F) + 1 overflows, (-0 & 7F) + 1 does not
    sahf
    mov ebx, [BEFORE + 4]
    mov ecx, [BEFORE + 8]
    mov edx, [BEFORE + 12]
    mov esi, [BEFORE + 16]
    mov edi, [BEFORE + 20]
    mov ebp, [BEFORE + 24]
    mov eax, [BEFORE]
    mov es, [{exchange} + {segments} + 4]
    mov ds, [{exchange} + {segments}]
    jmp ss:[{exchange} + {site}]

    .globl call_returned
call_returned:
    mov ss:[AFTER], eax
    mov ss:[AFTER + 12], edx
    mov eax, ds
    mov edx, ss
    mov ds, edx
    mov [AFTER + {after_segments}], eax
    mov eax, es
    mov [AFTER + {after_segments} + 4], eax
    mov es, edx
    mov eax, fs
    mov [AFTER + {after_segments} + 8], eax
    mov eax, gs
    mov [AFTER + {after_segments} + 12], eax
    lahf
    seto al
    movzx eax, ax
    mov [AFTER + {flags}], eax
    mov [AFTER + 4], ebx
    mov [AFTER + 8], ecx
    mov [AFTER + 16], esi
    mov [AFTER + 20], edi
    mov [AFTER + 24], ebp
    mov eax, esp
    mov esp, [{exchange} + {stack}]
    sub eax, [{exchange} + {esp}]
    mov [AFTER + {after_esp}], eax
    # the direction: one byte onwards
    mov edi, esp
    scasb
    cld
    sub edi, esp
    mov [AFTER + {step}], edi
    xor eax, eax
    mov fs, eax
    mov gs, eax
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret
"#,
    exchange = sym EXCHANGE,
    after = const core::mem::offset_of!(Exchange, after),
    site = const core::mem::offset_of!(Exchange, site),
    segments = const core::mem::offset_of!(Exchange, segments),
    stack = const core::mem::offset_of!(Exchange, stack),
    esp = const core::mem::offset_of!(Exchange, esp),
    has_frame = const core::mem::offset_of!(Exchange, has_frame),
    words = const core::mem::offset_of!(Registers, stack),
    flags = const core::mem::offset_of!(Registers, flags),
    after_segments = const core::mem::offset_of!(Registers, segments),
    after_esp = const core::mem::offset_of!(Registers, esp),
    step = const core::mem::offset_of!(Registers, step),
);

/// The entry of the GDT with a segment in which no low address is mapped.
const ELSEWHERE: u16 = FIRST_SPARE + 6;

/// The segments with which `call` is made: DS, ES, FS, GS.
pub const fn segments(call: Call) -> [u32; 4] {
    // FS and GS hold what a call must keep, and nothing that it could use by mistake and not notice.
    let (flat, unused) = (KERNEL_DATA as u32, KERNEL_CODE as u32);
    match call.info().segments {
        Segments::All => [flat, flat, unused, flat],
        Segments::CodeAndStack => [8 * ELSEWHERE as u32, 8 * ELSEWHERE as u32, unused, flat],
    }
}

/// Makes `call` with the given registers; what it left.
///
/// IRET returns through a frame to right behind its site, with EFLAGS from the first stack word.
///
/// # Safety
///
/// The call may be made now, with these arguments, and comes back. Interrupts are masked, or no handler
/// calls this.
pub unsafe fn call(call: Call, before: &Registers) -> Registers {
    let exchange = &raw mut EXCHANGE;
    // SAFETY: nothing else refers to the exchange; one call is made at a time.
    let exchange = unsafe { &mut *exchange };
    exchange.before = *before;
    exchange.site = call_sites[call.number() as usize];
    exchange.segments = segments(call);
    let elsewhere = gdt::data_segment(0x4000_0000, 0xF_FFFF);
    let entry = gdt::table().wrapping_add(ELSEWHERE.into());
    // SAFETY: the entry is the checks' own.
    unsafe { entry.write_volatile(elsewhere) };
    exchange.has_frame = u32::from(call == Call::IRET);
    // SAFETY: passed on to the caller.
    unsafe { call_with() };
    let exchange = &raw const EXCHANGE;
    let after = exchange.wrapping_byte_add(core::mem::offset_of!(Exchange, after)).cast::<Registers>();
    // SAFETY: as above.
    unsafe { after.read_volatile() }
}
