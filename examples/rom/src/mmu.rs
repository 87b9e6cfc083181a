//! Calls 38 to 48 and 73: page tables, the TLB, lazy modes.
//!
//! The processor reads the guest's page tables itself, so announcements of any kind need no action and
//! nothing is ever held back. Source: facts sheet, sections 4.1 to 4.4, 7.3 and 7.4.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use paravirt_vmi_abi::flags::FlushTlb;
use paravirt_vmi_abi::with_call;

// Generation 3.0 and slots 86 and 87 of 13.3: the entry comes first.
#[cfg(not(feature = "v13-0"))]
mod current {
    use paravirt_vmi_abi::with_call;

    with_call!(SET_PXE => entry, ["mov [edx], eax", "ret"];);

    with_call!(SET_PXE_LONG => entry, [set_pxe_long!()];);
}

#[cfg(not(legacy))]
mod since_3_0 {
    use paravirt_vmi_abi::with_call;

    with_call!(UPDATE_PXE => entry, ["ret"];);
    with_call!(UPDATE_PXE_LONG => entry, ["ret"];);
    // Machine memory is the guest's physical memory.
    with_call!(MACHINE_TO_PHYSICAL => entry, ["ret"];);
    with_call!(PHYSICAL_TO_MACHINE => entry, ["ret"];);
    with_call!(SET_LAZY_MODE => entry, ["ret"];);
}

with_call!(ALLOCATE_PAGE => entry, ["ret"];);
with_call!(RELEASE_PAGE => entry, ["ret"];);
with_call!(SET_LINEAR_MAPPING => entry, ["ret"];);

with_call!(INVAL_PAGE => entry, ["invlpg [eax]", "ret"];);

// Loading CR3 spares global translations. A change of CR4.PGE spares none; without CR4.PGE there are
// no global ones.
with_call!(FLUSH_TLB => entry, far [
    "test eax, {global}",
    "jz 2f",
    "mov eax, cr4",
    "test al, 0x80",
    "jz 2f",
    "mov ecx, eax",
    "and al, 0x7F",
    "mov cr4, eax",
    "mov cr4, ecx",
    "ret",
    "2: mov eax, cr3",
    "mov cr3, eax",
    "ret"
] global = const FlushTlb::GLOBAL.bits(););
