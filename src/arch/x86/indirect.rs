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
//! half an address.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};

use paravirt_vmi_abi::{Call, RelocationKind};

use super::native::{NATIVE_STUBS, address_table};
use crate::patch::RelocationTable;
use crate::site::{NATIVE_FORMS, SiteKind};

/// Gives each call whose native form is inline a stub that holds it.
macro_rules! native_stubs {
    ($({ $number:literal $call:ident $($row:tt)* })*) => {
        global_asm!(
            ".pushsection .text.paravirt_vmi_native, \"ax\", @progbits",
            $($crate::__native_form!($call => __form_stub),)*
            ".popsection",
        );
    };
}
paravirt_vmi_abi::for_each_call!(native_stubs);

paravirt_vmi_abi::for_each_call!(
    address_table,
    ".data.paravirt_vmi_calls, \"aw\"",
    "__paravirt_vmi_calls",
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
    /// The stubs that call what `TARGETS` names; zero where a site calls by itself.
    #[link_name = "__paravirt_vmi_calling"]
    safe static CALLING: [u32; Call::COUNT];
}

/// Leads every call to where the ROM wants it.
pub(crate) fn bind_calls(relocations: &RelocationTable) {
    for form in &NATIVE_FORMS {
        let index = form.call.number() as usize;
        let relocation = relocations.get(form.call);
        let address = match relocation.kind {
            RelocationKind::JUMP_REL => relocation.target,
            RelocationKind::CALL_REL if form.kind == SiteKind::FallThrough => relocation.target,
            RelocationKind::CALL_REL => {
                TARGETS[index].store(relocation.target, Ordering::Relaxed);
                CALLING[index]
            }
            // NONE; and NOP, which is allowed where the native stub does nothing either, or no harm.
            _ => NATIVE_STUBS[index],
        };
        CALLS[index].store(address, Ordering::Release);
    }
}

/// Leads every call to its native stub.
pub(crate) fn unbind_calls() {
    for form in &NATIVE_FORMS {
        let index = form.call.number() as usize;
        CALLS[index].store(NATIVE_STUBS[index], Ordering::Release);
    }
}
