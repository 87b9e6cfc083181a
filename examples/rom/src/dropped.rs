//! Generation 13.x: the calls that 3.0 dropped, and those whose arguments it changed.
//!
//! Page tables are walked by the processor while the guest changes them, so the read-modify-write calls
//! are locked. Source: facts sheet, section 4.4.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

/// Emits the code of a call that generation 3.0 dropped.
macro_rules! dropped_entry {
    ($name:literal, $($line:literal),+) => {
        slot_entry!($name, crate::slot::dropped($name), [$($line),+]);
    };
}

// INVD may lose what the caches hold and memory does not; a cache line may also be written back at any
// time before. So writing back everything first is one of its results, and the only one that does not
// destroy the firmware's data along with the guest's.
dropped_entry!("INVD", "wbinvd", "ret");
dropped_entry!("Pause", "pause", "ret");

// These translate an entry that the guest has read: EAX = entry, EDX = level; EDX:EAX = entry.
dropped_entry!("GetPxE", "ret");
dropped_entry!("GetPxELong", "ret");

// EAX = address, EDX = new entry; EAX = old entry.
dropped_entry!("SwapPxE", "xchg [eax], edx", "mov eax, edx", "ret");

// EDX:EAX = new entry, ECX = address; EDX:EAX = old entry. Both reads of the old entry may be torn:
// then the comparison fails, and has read it whole.
dropped_entry!(
    "SwapPxELongAtomic",
    "push ebx",
    "push esi",
    "mov esi, ecx",
    "mov ebx, eax",
    "mov ecx, edx",
    "mov eax, [esi]",
    "mov edx, [esi + 4]",
    "2: lock cmpxchg8b [esi]",
    "jnz 2b",
    "pop esi",
    "pop ebx",
    "ret"
);

// EAX = address, EDX = number of a bit; EAX = 1 if it was set. The bit may lie in the second word of a
// long entry: the instructions count from the address.
dropped_entry!("TestAndSetPxEBit", "lock bts [eax], edx", "sbb eax, eax", "neg eax", "ret");
dropped_entry!("TestAndClearPxEBit", "lock btr [eax], edx", "sbb eax, eax", "neg eax", "ret");
dropped_entry!("TestAndSetPxELongBit", "lock bts [eax], edx", "sbb eax, eax", "neg eax", "ret");
dropped_entry!("TestAndClearPxELongBit", "lock btr [eax], edx", "sbb eax, eax", "neg eax", "ret");

// EAX = address; EDX:EAX = old entry. Once the low word is 0 the processor does not look at the rest.
dropped_entry!(
    "DeactivatePxELongAtomic",
    "mov ecx, eax",
    "xor eax, eax",
    "xchg [ecx], eax",
    "mov edx, [ecx + 4]",
    "mov dword ptr [ecx + 4], 0",
    "ret"
);

// Nothing is ever deferred.
dropped_entry!("FlushDeferredCalls", "ret");

/// SetPxE and SetPxELong with the address first, and without flags.
#[cfg(feature = "v13-0")]
mod page_entries {
    use paravirt_vmi_abi::with_call;

    with_call!(SET_PXE => entry, ["mov [eax], edx", "ret"];);
    with_call!(SET_PXE_LONG => entry, [set_pxe_long!()];);
}

/// The same in 13.3, where the names belong to newer slots.
#[cfg(feature = "v13-3")]
mod page_entries {
    use crate::slot;
    use paravirt_vmi_abi::Call;

    slot_entry!("SetPxE0", slot::first_of(Call::SET_PXE), ["mov [eax], edx", "ret"]);
    slot_entry!("SetPxELong0", slot::first_of(Call::SET_PXE_LONG), [set_pxe_long!()]);
}
