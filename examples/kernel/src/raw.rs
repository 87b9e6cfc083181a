//! The machine's own instructions, around the guest crate: the second opinion of the conformance suite.
//!
//! What a call is said to have done is read back here, and what a call is to read is set here. The code
//! lies in a section of its own, `.raw.text`, so that the rest of the kernel can be searched for
//! instructions that should be calls.
//!
//! # Safety
//!
//! Everything here needs ring 0. The readers change nothing; what a writer changes is its caller's to
//! answer for.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};

use paravirt_vmi::abi::DescriptorTableRegister;

/// Functions in `.raw.text` that read one register.
macro_rules! readers {
    ($($(#[$meta:meta])* $name:ident: $instruction:literal;)*) => { $(
        $(#[$meta])*
        #[inline(never)]
        #[unsafe(link_section = ".raw.text")]
        pub fn $name() -> u32 {
            let value;
            // SAFETY: reads a register.
            unsafe { asm!($instruction, out("eax") value, options(nostack, preserves_flags)) };
            value
        }
    )* };
}
readers! {
    /// CR0.
    cr0: "mov eax, cr0";
    /// CR2.
    cr2: "mov eax, cr2";
    /// CR3.
    cr3: "mov eax, cr3";
    /// CR4.
    cr4: "mov eax, cr4";
    /// The LDT's selector.
    ldt: "sldt eax";
    /// The task register's selector.
    tr: "str eax";
    /// DR0.
    dr0: "mov eax, dr0";
    /// DR1.
    dr1: "mov eax, dr1";
    /// DR2.
    dr2: "mov eax, dr2";
    /// DR3.
    dr3: "mov eax, dr3";
    /// DR6.
    dr6: "mov eax, dr6";
    /// DR7.
    dr7: "mov eax, dr7";
}

/// Functions in `.raw.text` that set one register.
macro_rules! writers {
    ($($(#[$meta:meta])* $name:ident: $instruction:literal;)*) => { $(
        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// The kernel can go on with the value.
        #[inline(never)]
        #[unsafe(link_section = ".raw.text")]
        pub unsafe fn $name(value: u32) {
            // SAFETY: passed on to the caller.
            unsafe { asm!($instruction, in("eax") value, options(nostack, preserves_flags)) };
        }
    )* };
}
writers! {
    /// Sets CR0.
    set_cr0: "mov cr0, eax";
    /// Sets CR2.
    set_cr2: "mov cr2, eax";
    /// Sets CR3.
    set_cr3: "mov cr3, eax";
    /// Sets CR4.
    set_cr4: "mov cr4, eax";
    /// Loads the LDT register.
    set_ldt: "lldt ax";
    /// Loads the task register.
    set_tr: "ltr ax";
    /// Sets DR0.
    set_dr0: "mov dr0, eax";
    /// Sets DR1.
    set_dr1: "mov dr1, eax";
    /// Sets DR2.
    set_dr2: "mov dr2, eax";
    /// Sets DR3.
    set_dr3: "mov dr3, eax";
    /// Sets DR7.
    set_dr7: "mov dr7, eax";
    /// Loads FS.
    set_fs: "mov fs, eax";
    /// Loads GS.
    set_gs: "mov gs, eax";
    /// Loads ES.
    set_es: "mov es, eax";
    /// Loads DS.
    set_ds: "mov ds, eax";
}

/// EAX, EBX, ECX and EDX of `cpuid`.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let [a, b, c, d];
    // SAFETY: reads only.
    unsafe {
        asm!(
            "cpuid",
            inout("eax") leaf => a,
            out("ebx") b,
            inout("ecx") subleaf => c,
            out("edx") d,
            options(nostack, preserves_flags),
        );
    }
    [a, b, c, d]
}

/// The value of a model-specific register that exists.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub fn rdmsr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads only.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Sets a model-specific register.
///
/// # Safety
///
/// The register exists, and the kernel can go on with the value.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub unsafe fn wrmsr(msr: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") low, in("edx") high, options(nostack, preserves_flags));
    }
}

/// The time-stamp counter.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub fn rdtsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads only.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// A performance counter.
///
/// # Safety
///
/// Raises an exception where the processor does not have it; called where one is caught.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub unsafe fn rdpmc(counter: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("rdpmc", in("ecx") counter, out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// The GDT register.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub fn gdt() -> DescriptorTableRegister {
    let mut register = DescriptorTableRegister::new(0, 0);
    // SAFETY: stores six bytes to the image.
    unsafe { asm!("sgdt [{}]", in(reg) &raw mut register, options(nostack, preserves_flags)) };
    register
}

/// The IDT register.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub fn idt() -> DescriptorTableRegister {
    let mut register = DescriptorTableRegister::new(0, 0);
    // SAFETY: stores six bytes to the image.
    unsafe { asm!("sidt [{}]", in(reg) &raw mut register, options(nostack, preserves_flags)) };
    register
}

/// Loads the IDT register.
///
/// # Safety
///
/// The table stays valid while it is loaded, and its gates lead to handlers.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub unsafe fn set_idt(register: &DescriptorTableRegister) {
    // SAFETY: passed on to the caller.
    unsafe { asm!("lidt [{}]", in(reg) &raw const *register, options(nostack, preserves_flags)) };
}

/// The byte at `offset` of the segment in FS.
///
/// # Safety
///
/// The byte lies inside the segment and may be read.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub unsafe fn fs_byte(offset: u32) -> u8 {
    let value;
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("mov {}, fs:[{}]", out(reg_byte) value, in(reg) offset,
             options(nostack, preserves_flags, readonly));
    }
    value
}

/// The byte at `offset` of the segment in GS.
///
/// # Safety
///
/// As for [`fs_byte`].
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub unsafe fn gs_byte(offset: u32) -> u8 {
    let value;
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg_byte) value, in(reg) offset,
             options(nostack, preserves_flags, readonly));
    }
    value
}

/// The limit of the segment that a selector names: `lsl`; `None` if there is no such segment.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub fn limit(selector: u16) -> Option<u32> {
    let (limit, valid): (u32, u8);
    // SAFETY: reads a descriptor.
    unsafe {
        asm!("lsl {0}, {1}", "setz {2}", out(reg) limit, in(reg) u32::from(selector), out(reg_byte) valid,
             options(nostack));
    }
    (valid != 0).then_some(limit)
}

/// The access rights of the segment that a selector names, as `lar` gives them.
#[inline(never)]
#[unsafe(link_section = ".raw.text")]
pub fn rights(selector: u16) -> Option<u32> {
    let (rights, valid): (u32, u8);
    // SAFETY: reads a descriptor.
    unsafe {
        asm!("lar {0}, {1}", "setz {2}", out(reg) rights, in(reg) u32::from(selector), out(reg_byte) valid,
             options(nostack));
    }
    (valid != 0).then_some(rights)
}

unsafe extern "C" {
    /// Turns paging off, loads `cr3` and `cr4`, and turns paging on again.
    ///
    /// # Safety
    ///
    /// Interrupts are masked. `cr3` leads to tables of the kind that `cr4` says, which map the kernel,
    /// as the present ones do, to itself.
    pub fn switch_paging(cr3: u32, cr4: u32);
}

global_asm!(
    r#"
    .pushsection .raw.text, "ax", @progbits
    .globl switch_paging
switch_paging:
    mov ecx, [esp + 4]
    mov edx, [esp + 8]
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov cr3, ecx
    mov cr4, edx
    or eax, 0x80000000
    mov cr0, eax
    jmp 2f
2:  ret
    .popsection
"#
);
