//! The adapters in front of slots of 13.x.
//!
//! A site calls the adapter as it would call the ROM; the adapter moves the arguments and jumps, so that the
//! slot returns to the site, and finds the stack words where they belong.
//!
//! # Safety
//!
//! An adapter is reached by a site only after it was bound, to an entry of the ROM whose relocation has been
//! checked. It touches what the clobbers of its call allow, and the memory that the call's contract covers. A
//! store of an aligned 32-bit word is atomic, so no adapter reads half an address. DS is flat in all of these
//! calls.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};

use paravirt_vmi_abi::flags::PageFlags;
use paravirt_vmi_abi::legacy::{FlushDeferred, LegacyPageFlags};

use crate::rom::Adapter;

/// Where the adapters lead.
static TARGETS: [AtomicU32; Adapter::COUNT] = [const { AtomicU32::new(0) }; Adapter::COUNT];

/// Defines the adapters; behind its own instructions each jumps to its target.
macro_rules! adapters {
    ($($adapter:ident $symbol:ident {
        $($line:literal),+ $(; $($operand:ident = $value:expr),+)?
    })*) => {
        $(
            global_asm!(
                ".pushsection .text.paravirt_vmi_adapters, \"ax\", @progbits",
                concat!(".global ", stringify!($symbol)),
                concat!(".type ", stringify!($symbol), ", @function"),
                concat!(stringify!($symbol), ":"),
                $($line,)+
                "jmp dword ptr [{targets} + {offset}]",
                concat!(".size ", stringify!($symbol), ", . - ", stringify!($symbol)),
                ".popsection",
                targets = sym TARGETS,
                offset = const 4 * Adapter::$adapter as usize,
                $($($operand = const $value,)+)?
            );
        )*

        unsafe extern "C" {
            $(fn $symbol();)*
        }

        /// The linear address of an adapter.
        fn address(adapter: Adapter) -> u32 {
            match adapter {
                $(Adapter::$adapter => $symbol as *const () as usize as u32,)*
            }
        }
    };
}

adapters! {
    // EAX entry, EDX address -> EAX address, EDX entry
    SetPxe __paravirt_vmi_adapter_set_pxe { "xchg eax, edx" }

    // EAX address -> EAX address, EDX entry
    UpdatePxe __paravirt_vmi_adapter_update_pxe { "mov edx, [eax]" }

    // EAX address -> EAX low, EDX high, ECX address
    UpdatePxeLong __paravirt_vmi_adapter_update_pxe_long {
        "mov ecx, eax", "mov edx, [ecx + 4]", "mov eax, [ecx]"
    }

    // EDX flags
    AllocatePage __paravirt_vmi_adapter_allocate_page {
        "test edx, {pae}", "jz 2f", "xor edx, {pae}", "or edx, {legacy_pae}", "2:";
        pae = PageFlags::PAE.bits(), legacy_pae = LegacyPageFlags::PAE.bits()
    }
    ReleasePage __paravirt_vmi_adapter_release_page {
        "test edx, {pae}", "jz 2f", "xor edx, {pae}", "or edx, {legacy_pae}", "2:";
        pae = PageFlags::PAE.bits(), legacy_pae = LegacyPageFlags::PAE.bits()
    }

    // EAX ss0, EDX esp0, ECX TSS -> EAX TSS, EDX esp0
    UpdateKernelStack __paravirt_vmi_adapter_update_kernel_stack { "mov eax, ecx" }

    // EAX mode, 0 to leave one -> EAX what to flush
    FlushPageTables __paravirt_vmi_adapter_flush_page_tables {
        "test eax, eax", "jz 2f", "ret", "2: mov eax, {flush}";
        flush = FlushDeferred::PT_UPDATES.bits()
    }
    FlushEverything __paravirt_vmi_adapter_flush_everything {
        "test eax, eax", "jz 2f", "ret", "2: mov eax, {flush}";
        flush = FlushDeferred::PT_UPDATES.union(FlushDeferred::CPU_STATE).bits()
    }
}

/// Makes an adapter lead to the linear address `target`; the adapter's own address.
pub(crate) fn bind(adapter: Adapter, target: u32) -> u32 {
    TARGETS[adapter as usize].store(target, Ordering::Release);
    address(adapter)
}
