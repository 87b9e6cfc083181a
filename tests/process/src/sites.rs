//! A site of every call, entered with any registers, and what they are behind it.
//!
//! Every site is jumped to, and followed by a jump to the place where the registers are looked at. Calls that may rely on
//! CS and SS alone are made with null selectors in DS and ES: the processor refuses any access through them.
//!
//! # Safety
//!
//! The assembly saves and restores what the C ABI keeps, whatever the call did. It runs in one thread, and no handler uses
//! it, so what it shares with [`call_site`] belongs to one call at a time.
#![allow(unsafe_code)]

use std::arch::global_asm;
use std::mem::offset_of;
use std::ptr;

use paravirt_vmi::abi::{Call, Segments};

/// What a call finds, and what it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// EFLAGS.
    pub flags: u32,
    /// The first words on the stack. [`call_site`] puts them there; behind the call: what lies at ESP.
    pub stack: [u32; 3],
    /// ESP: set by the call.
    pub esp: u32,
    /// DS and ES: set by the call.
    pub segments: [u32; 2],
}

/// What is exchanged with the assembly.
#[repr(C)]
struct Exchange {
    before: Registers,
    after: Registers,
    site: u32,
    saved_stack: u32,
}

// The assembly takes the offsets of `before` for its own.
const _: () = assert!(offset_of!(Exchange, before) == 0);

static mut EXCHANGE: Exchange = Exchange { before: ZERO, after: ZERO, site: 0, saved_stack: 0 };

const ZERO: Registers = Registers {
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
    esi: 0,
    edi: 0,
    ebp: 0,
    flags: 0,
    stack: [0; 3],
    esp: 0,
    segments: [0; 2],
};

unsafe extern "C" {
    fn process_call();
    /// Where every call's registers are looked at.
    safe fn process_returned();
    safe static process_sites: [u32; Call::COUNT];
}

macro_rules! sites {
    ($({ $number:literal $call:ident $($row:tt)* })*) => {
        global_asm!(
            ".pushsection .text.process_sites, \"ax\", @progbits",
            $(
                concat!(".Lprocess_site_", stringify!($number), ":"),
                paravirt_vmi::__site!($call),
                "jmp process_returned",
            )*
            ".popsection",
            ".pushsection .rodata.process_sites, \"a\", @progbits",
            ".balign 4",
            ".globl process_sites",
            "process_sites:",
            $(concat!(".long .Lprocess_site_", stringify!($number)),)*
            ".popsection",
        );
    };
}
paravirt_vmi::abi::for_each_call!(sites);

global_asm!(
    r#"
    .pushsection .text.process_call, "ax", @progbits
    .globl process_call
process_call:
    push ebp
    push ebx
    push esi
    push edi
    mov [{exchange} + {saved_stack}], esp
    # room for what a call removes too much
    lea esp, [esp - 64]
    push [{exchange} + {stack} + 8]
    push [{exchange} + {stack} + 4]
    push [{exchange} + {stack}]
    mov [{exchange} + {esp}], esp
    mov eax, [{exchange} + {segments}]
    mov edx, [{exchange} + {segments} + 4]
    mov ds, eax
    mov es, edx
    mov eax, ss:[{exchange} + {eax}]
    mov ebx, ss:[{exchange} + {ebx}]
    mov ecx, ss:[{exchange} + {ecx}]
    mov edx, ss:[{exchange} + {edx}]
    mov esi, ss:[{exchange} + {esi}]
    mov edi, ss:[{exchange} + {edi}]
    mov ebp, ss:[{exchange} + {ebp}]
    # last of all: it may have the processor trap behind the next instruction
    push dword ptr ss:[{exchange} + {flags}]
    popfd
    jmp dword ptr ss:[{exchange} + {site}]

    .globl process_returned
process_returned:
    mov ss:[{exchange} + {after} + {esp}], esp
    mov ss:[{exchange} + {after} + {eax}], eax
    mov ss:[{exchange} + {after} + {ebx}], ebx
    mov ss:[{exchange} + {after} + {ecx}], ecx
    mov ss:[{exchange} + {after} + {edx}], edx
    mov ss:[{exchange} + {after} + {esi}], esi
    mov ss:[{exchange} + {after} + {edi}], edi
    mov ss:[{exchange} + {after} + {ebp}], ebp
    mov eax, [esp]
    mov ss:[{exchange} + {after} + {stack}], eax
    mov eax, [esp + 4]
    mov ss:[{exchange} + {after} + {stack} + 4], eax
    mov eax, [esp + 8]
    mov ss:[{exchange} + {after} + {stack} + 8], eax
    pushfd
    pop dword ptr ss:[{exchange} + {after} + {flags}]
    push 0x202
    popfd
    mov eax, ds
    movzx eax, ax
    mov ss:[{exchange} + {after} + {segments}], eax
    mov eax, es
    movzx eax, ax
    mov ss:[{exchange} + {after} + {segments} + 4], eax
    mov eax, ss
    mov ds, eax
    mov es, eax
    mov esp, [{exchange} + {saved_stack}]
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret
    .popsection
    "#,
    exchange = sym EXCHANGE,
    after = const offset_of!(Exchange, after),
    site = const offset_of!(Exchange, site),
    saved_stack = const offset_of!(Exchange, saved_stack),
    eax = const offset_of!(Registers, eax),
    ebx = const offset_of!(Registers, ebx),
    ecx = const offset_of!(Registers, ecx),
    edx = const offset_of!(Registers, edx),
    esi = const offset_of!(Registers, esi),
    edi = const offset_of!(Registers, edi),
    ebp = const offset_of!(Registers, ebp),
    flags = const offset_of!(Registers, flags),
    stack = const offset_of!(Registers, stack),
    esp = const offset_of!(Registers, esp),
    segments = const offset_of!(Registers, segments),
);

/// EFLAGS in front of a call: IF, as always in ring 3, and bit 1.
pub const FLAGS: u32 = 0x202;
/// The same with TF: the processor traps behind every instruction, the first of which is the site's.
pub const STEPPING: u32 = FLAGS | 0x100;
/// EFLAGS.DF.
pub const DIRECTION: u32 = 1 << 10;

/// The address of a call's site.
pub fn site(call: Call) -> u32 {
    process_sites[call.number() as usize]
}

/// Where a call's site goes on, and frames have to lead.
pub fn returned() -> u32 {
    process_returned as *const () as u32
}

/// CS and SS of this process.
pub fn selectors() -> [u32; 2] {
    let (code, stack): (u32, u32);
    // SAFETY: reads them.
    unsafe { std::arch::asm!("mov {0:e}, cs", "mov {1:e}, ss", out(reg) code, out(reg) stack) };
    [code & 0xFFFF, stack & 0xFFFF]
}

/// An interrupt frame that leads to [`returned`].
pub fn return_frame(flags: u32) -> [u32; 3] {
    [returned(), selectors()[0], flags]
}

/// Executes the site of `call`; the registers in front of it, with ESP and the segments, and behind it.
///
/// # Safety
///
/// The call may be made so, and comes back to [`returned`].
pub unsafe fn call_site(call: Call, mut before: Registers) -> [Registers; 2] {
    let data = match call.info().segments {
        Segments::All => selectors()[1],
        Segments::CodeAndStack => 0,
    };
    before.segments = [data; 2];
    let exchange = &raw mut EXCHANGE;
    // SAFETY: see the module.
    unsafe {
        ptr::write_volatile(exchange, Exchange { before, after: ZERO, site: site(call), saved_stack: 0 })
    };
    // SAFETY: passed on to the caller.
    unsafe { process_call() };
    // SAFETY: see the module.
    let exchange = unsafe { ptr::read_volatile(exchange) };
    [exchange.before, exchange.after]
}
