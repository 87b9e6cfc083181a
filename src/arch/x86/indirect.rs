//! The `indirect` build: a table of code addresses instead of patched text.
//!
//! A site of this build is a `call` or `jmp` through `__paravirt_vmi_calls`, indexed by call number. The
//! table starts with the native stubs below; binding stores what the ROM answered. A call that does
//! not return is jumped to; where the ROM wants such a call to be called, the table leads to a stub
//! that calls, so that the return address lies under the frame as the ROM expects.
//!
//! # Safety
//!
//! The entries are loaded by the sites' own instructions. Each is at all times the address of code
//! that follows the calling convention of its call: a native stub, a calling stub, or an entry of the
//! ROM, whose relocation has been checked. A store of an aligned 32-bit word is atomic, so no site sees
//! half an address. A call without native form has a zero entry, and no site.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};

use paravirt_vmi_abi::{Call, RelocationKind};

use crate::patch::RelocationTable;
use crate::site::NATIVE_FORMS;

/// Defines the native stub of each call that has sites. All symbols are weak, because the tables
/// below declare one for every call, and those of the calls without a stub are to be zero.
macro_rules! native_stubs {
    (returning: $($call:ident)*; diverging: $($last:ident)*;) => {
        global_asm!(
            ".pushsection .text.paravirt_vmi_stubs, \"ax\", @progbits",
            $(
                concat!("__paravirt_vmi_native_", stringify!($call), ":"),
                concat!(".byte ", $crate::__native_form!($call => __form_bytes)),
                // the shadow of `sti` must not cover `ret`: TCG loses the interrupt then
                "nop",
                "ret",
            )*
            $(
                concat!("__paravirt_vmi_native_", stringify!($last), ":"),
                concat!(".byte ", $crate::__native_form!($last => __form_bytes)),
                concat!("__paravirt_vmi_calling_", stringify!($last), ":"),
                // call dword ptr ss:[disp32]
                ".byte 0x36, 0xff, 0x15",
                concat!(
                    ".long __paravirt_vmi_targets + 4 * ",
                    $crate::abi::with_call!($last => $crate::__call_number)
                ),
                "int3",
            )*
            ".popsection",
        );
    };
}

/// Defines a table with one address for each call.
macro_rules! address_table {
    ($section:literal, $symbol:literal, $stub:literal, $(
        { $number:literal $call:ident $($row:tt)* }
    )*) => {
        global_asm!(
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

native_stubs! {
    returning: ENABLE_INTERRUPTS DISABLE_INTERRUPTS GET_INTERRUPT_MASK SET_INTERRUPT_MASK HALT;
    diverging: IRET SYSEXIT;
}
paravirt_vmi_abi::for_each_call!(
    address_table,
    ".data.paravirt_vmi_calls, \"aw\"",
    "__paravirt_vmi_calls",
    "__paravirt_vmi_native_",
);
paravirt_vmi_abi::for_each_call!(
    address_table,
    ".rodata.paravirt_vmi_native, \"a\"",
    "__paravirt_vmi_native",
    "__paravirt_vmi_native_",
);
paravirt_vmi_abi::for_each_call!(
    address_table,
    ".rodata.paravirt_vmi_calling, \"a\"",
    "__paravirt_vmi_calling",
    "__paravirt_vmi_calling_",
);

/// Where the calling stubs go.
#[unsafe(export_name = "__paravirt_vmi_targets")]
static TARGETS: AddressTable = [const { AtomicU32::new(0) }; Call::COUNT];

/// One address for each call, indexed by number.
type AddressTable = [AtomicU32; Call::COUNT];

unsafe extern "C" {
    /// What the sites go through.
    #[link_name = "__paravirt_vmi_calls"]
    safe static CALLS: AddressTable;
    /// The native stubs.
    #[link_name = "__paravirt_vmi_native"]
    safe static NATIVE: [u32; Call::COUNT];
    /// The stubs that call what `TARGETS` names; zero for a call that returns.
    #[link_name = "__paravirt_vmi_calling"]
    safe static CALLING: [u32; Call::COUNT];
}

/// Leads every call to where the ROM wants it.
pub(crate) fn bind_calls(relocations: &RelocationTable) {
    for form in NATIVE_FORMS {
        let index = form.call.number() as usize;
        let relocation = relocations.get(form.call);
        let address = match relocation.kind {
            RelocationKind::JUMP_REL => relocation.target,
            RelocationKind::CALL_REL if form.call.info().returns => relocation.target,
            RelocationKind::CALL_REL => {
                TARGETS[index].store(relocation.target, Ordering::Relaxed);
                CALLING[index]
            }
            // NONE; NOP is refused by the plan for every call that has a native form.
            _ => NATIVE[index],
        };
        CALLS[index].store(address, Ordering::Release);
    }
}

/// Leads every call to its native stub.
pub(crate) fn unbind_calls() {
    for form in NATIVE_FORMS {
        let index = form.call.number() as usize;
        CALLS[index].store(NATIVE[index], Ordering::Release);
    }
}
