//! The native stubs: what a site calls whose native form is more than one or two instructions.
//!
//! A stub follows the calling convention of its call, arguments on the stack included, and clobbers no
//! more than the call table allows.
//!
//! # Safety
//!
//! The assembly defines symbols of its own; nothing but sites reaches them. The symbols are weak, because
//! the table declares one for every call, and those of the calls without a stub are to be zero. A site
//! refers to its stub strongly, so a stub that is missing is a link error.
#![allow(unsafe_code)]

use core::arch::global_asm;

use crate::site::StubTable;

/// Defines the native stub of a call.
macro_rules! stub {
    ($call:ident: $($line:literal),+ $(,)?) => {
        global_asm!(
            ".pushsection .text.paravirt_vmi_native, \"ax\", @progbits",
            concat!(".weak __paravirt_vmi_native_", stringify!($call)),
            concat!(".type __paravirt_vmi_native_", stringify!($call), ", @function"),
            concat!("__paravirt_vmi_native_", stringify!($call), ":"),
            $($line,)+
            concat!(".size __paravirt_vmi_native_", stringify!($call), ", . - __paravirt_vmi_native_", stringify!($call)),
            ".popsection",
        );
    };
}

/// Defines a native stub that executes one instruction and then loads every segment register again with
/// the selector that it holds; CS by a far return to the caller.
macro_rules! segment_stub {
    ($call:ident: $instruction:literal) => {
        stub!($call:
            $instruction,
            "mov ecx, ss",
            "mov ss, ecx",
            "mov ecx, ds",
            "mov ds, ecx",
            "mov ecx, es",
            "mov es, ecx",
            "mov ecx, fs",
            "mov fs, ecx",
            "mov ecx, gs",
            "mov gs, ecx",
            "pop ecx",
            "mov edx, cs",
            "push edx",
            "push ecx",
            "retf",
        );
    };
}

// EAX -> 6-byte register image.
segment_stub!(SET_GDT: "lgdt [eax]");

// EAX selector.
segment_stub!(SET_LDT: "lldt ax");

// EAX table, EDX index, ECX low double word, [esp+4] high double word.
stub!(WRITE_GDT_ENTRY:
    "mov [eax + 8 * edx], ecx",
    "mov ecx, [esp + 4]",
    "mov [eax + 8 * edx + 4], ecx",
    "ret",
);
stub!(WRITE_LDT_ENTRY:
    "mov [eax + 8 * edx], ecx",
    "mov ecx, [esp + 4]",
    "mov [eax + 8 * edx + 4], ecx",
    "ret",
);
stub!(WRITE_IDT_ENTRY:
    "mov [eax + 8 * edx], ecx",
    "mov ecx, [esp + 4]",
    "mov [eax + 8 * edx + 4], ecx",
    "ret",
);

// EAX number, EDX value. Each entry of the ladder has four bytes.
stub!(SET_DR:
    "and eax, 7",
    "lea ecx, [2f + 4 * eax]",
    "jmp ecx",
    "2: mov dr0, edx", "ret",
    "mov dr1, edx", "ret",
    "mov dr2, edx", "ret",
    "mov dr3, edx", "ret",
    "mov dr4, edx", "ret",
    "mov dr5, edx", "ret",
    "mov dr6, edx", "ret",
    "mov dr7, edx", "ret",
);

// EAX number -> EAX value.
stub!(GET_DR:
    "and eax, 7",
    "lea ecx, [2f + 4 * eax]",
    "jmp ecx",
    "2: mov eax, dr0", "ret",
    "mov eax, dr1", "ret",
    "mov eax, dr2", "ret",
    "mov eax, dr3", "ret",
    "mov eax, dr4", "ret",
    "mov eax, dr5", "ret",
    "mov eax, dr6", "ret",
    "mov eax, dr7", "ret",
);

// EAX: 0 soft, 1 hard. The reset control register at port 0xCF9 (bit 1: hard, bit 2: go), then the
// keyboard controller's reset line, then a fault without handlers.
stub!(REBOOT:
    "cli",
    "neg eax",
    "sbb eax, eax",
    "and eax, 2",
    "mov edx, 0xcf9",
    "out dx, al",
    "or al, 4",
    "out dx, al",
    "mov ecx, 0x10000",
    "2: in al, 0x64",
    "test al, 2",
    "loopnz 2b",
    "mov al, 0xfe",
    "out 0x64, al",
    "push 0",
    "push 0",
    "lidt [esp]",
    "int3",
);

// A non-maskable interrupt ends `hlt`; the processor goes back to it.
stub!(SHUTDOWN:
    "2: cli",
    "hlt",
    "jmp 2b",
);

// EAX low, EDX high, ECX entry address, [esp+4] flags. No processor sees a present entry of which one
// half is old: a new present entry is made absent first, and becomes present by the last store; an
// entry that becomes absent does so by the first.
stub!(SET_PXE_LONG:
    "test al, 1",
    "jz 2f",
    "mov dword ptr [ecx], 0",
    "mov [ecx + 4], edx",
    "mov [ecx], eax",
    "ret",
    "2: mov [ecx], eax",
    "mov [ecx + 4], edx",
    "ret",
);

// EAX: 1, or 3 for global translations too. Reloading CR3 spares those; where global pages are on, turning
// them off flushes everything.
stub!(FLUSH_TLB:
    "test al, 2",
    "jz 2f",
    "mov ecx, cr4",
    "test cl, 0x80",
    "jz 2f",
    "mov eax, ecx",
    "and cl, 0x7f",
    "mov cr4, ecx",
    "mov cr4, eax",
    "ret",
    "2: mov ecx, cr3",
    "mov cr3, ecx",
    "ret",
);

// EAX: IOPL << 12.
stub!(SET_IOPL_MASK:
    "pushfd",
    "pop ecx",
    "and eax, 0x3000",
    "and ecx, 0xffffcfff",
    "or eax, ecx",
    "push eax",
    "popfd",
    "ret",
);

// EAX: 0 real, 1 available -> EDX:EAX; natively no time is stolen, and they are the same.
stub!(GET_CYCLE_COUNTER:
    "cmp eax, 2",
    "jae 2f",
    "rdtsc",
    "ret",
    "2: xor eax, eax",
    "xor edx, edx",
    "ret",
);

/// Defines a table with one address for each call: that of the symbol `$stub` followed by the call's
/// constant, or zero where there is none.
macro_rules! address_table {
    ($section:literal, $symbol:literal, $stub:literal, $(
        { $number:literal $call:ident $($row:tt)* }
    )*) => {
        core::arch::global_asm!(
            concat!(".pushsection ", $section, ", @progbits"),
            ".balign 4",
            concat!(".global ", $symbol),
            concat!($symbol, ":"),
            $(
                concat!(".weak ", $stub, stringify!($call)),
                concat!(".long ", $stub, stringify!($call)),
            )*
            ".popsection",
        );
    };
}
#[cfg(feature = "indirect")]
pub(super) use address_table;

paravirt_vmi_abi::for_each_call!(
    address_table,
    ".rodata.paravirt_vmi_native, \"a\"",
    "__paravirt_vmi_native",
    "__paravirt_vmi_native_",
);

unsafe extern "C" {
    /// The addresses of the native stubs.
    #[link_name = "__paravirt_vmi_native"]
    pub(super) safe static NATIVE_STUBS: StubTable;
}

/// The addresses of the native stubs.
pub(crate) fn native_stubs() -> &'static StubTable {
    &NATIVE_STUBS
}
