//! Calls 3 to 14: descriptor tables, the task register, descriptors, the kernel stack.
//!
//! Source: facts sheet, sections 4.1, 5.1 and 5.3, traps 5, 10 and 13.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use paravirt_vmi_abi::with_call;

/// Loads every segment register anew from the selector in it, and returns: CS together with EIP, by a
/// far return to the caller.
macro_rules! reload_segments {
    () => {
        concat!(
            "mov eax, ds\n mov ds, eax\n mov eax, es\n mov es, eax\n",
            "mov eax, fs\n mov fs, eax\n mov eax, gs\n mov gs, eax\n",
            "mov eax, ss\n mov ss, eax\n",
            "pop eax\n mov ecx, cs\n push ecx\n push eax\n retf",
        )
    };
}

with_call!(SET_GDT => entry, far ["lgdt [eax]", reload_segments!()];);
with_call!(SET_LDT => entry, far ["lldt ax", reload_segments!()];);
with_call!(SET_IDT => entry, ["lidt [eax]", "ret"];);
with_call!(SET_TR => entry, ["ltr ax", "ret"];);
with_call!(GET_GDT => entry, ["sgdt [eax]", "ret"];);
with_call!(GET_LDT => entry, ["sldt eax", "ret"];);
with_call!(GET_IDT => entry, ["sidt [eax]", "ret"];);
with_call!(GET_TR => entry, ["str eax", "ret"];);

/// Writes descriptor EDX of the table at EAX: low word ECX, high word the caller's first stack word.
macro_rules! write_entry {
    () => {
        "mov [eax + 8 * edx], ecx\n mov ecx, [esp + 4]\n mov [eax + 8 * edx + 4], ecx\n ret"
    };
}

with_call!(WRITE_GDT_ENTRY => entry, [write_entry!()];);
with_call!(WRITE_LDT_ENTRY => entry, [write_entry!()];);
with_call!(WRITE_IDT_ENTRY => entry, [write_entry!()];);

// EDX is the stack. EAX is a selector in 3.0 and the address of a TSS in 13.x, so a ROM looks at
// neither; and the processor finds the stack in the TSS, which the guest writes itself.
with_call!(UPDATE_KERNEL_STACK => entry, ["ret"];);
