//! The control registers as far as they are the guest's: how its floating-point unit behaves, and which of its
//! instructions trap.
//!
//! # Safety
//!
//! The bits that are changed concern the floating-point unit and alignment checks in ring 3, which the hypervisor
//! does not use, and instructions that ring 0 may always use.
#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86::__cpuid;

/// MP, EM, TS, NE and AM.
const CR0_GUEST: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 18;
/// CR4.TSD: RDTSC is for ring 0, so the guest's is carried out for it.
const CR4_TSD: u32 = 1 << 2;
/// CR4.DE: DR4 and DR5 are not DR6 and DR7.
const CR4_DE: u32 = 1 << 3;
const CR4_OSFXSR: u32 = 1 << 9;
const CR4_OSXMMEXCPT: u32 = 1 << 10;
/// CPUID leaf 1, EDX.
const CPUID_DE: u32 = 1 << 2;
/// CPUID leaf 1, EDX.
const CPUID_TSC: u32 = 1 << 4;
/// CPUID leaf 1, EDX.
const CPUID_FXSR: u32 = 1 << 24;
/// CPUID leaf 1, EDX.
const CPUID_SSE: u32 = 1 << 25;

const IA32_SYSENTER_CS: u32 = 0x174;
/// CPUID leaf 1, EDX.
const CPUID_SEP: u32 = 1 << 11;

/// The control registers.
pub struct Control {
    /// What is in them.
    cr0: u32,
    cr4: u32,
    /// The bits of CR4 that the processor has of those that are the guest's.
    cr4_guest: u32,
}

impl Control {
    /// The registers as they are. SYSENTER is turned off: the guest's is carried out for it.
    pub fn new() -> Self {
        let (cr0, cr4): (u32, u32);
        // SAFETY: reading the registers changes nothing.
        unsafe {
            asm!(
                "mov {}, cr0",
                "mov {}, cr4",
                out(reg) cr0,
                out(reg) cr4,
                options(nomem, nostack, preserves_flags),
            );
        }
        let features = __cpuid(1).edx;
        let has =
            [(CPUID_TSC, CR4_TSD), (CPUID_DE, CR4_DE), (CPUID_FXSR, CR4_OSFXSR), (CPUID_SSE, CR4_OSXMMEXCPT)];
        let has = has.into_iter().filter(|(feature, _)| features & feature != 0);
        let cr4_guest = has.fold(0, |bits, (_, bit)| bits | bit);
        if features & CPUID_SEP != 0 {
            // SAFETY: the processor has the register.
            unsafe {
                asm!(
                    "wrmsr",
                    in("ecx") IA32_SYSENTER_CS,
                    in("eax") 0,
                    in("edx") 0,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
        Self { cr0, cr4, cr4_guest }
    }

    /// Gives the registers the guest's values, as far as they are the guest's.
    pub fn set(&mut self, cr0: u32, cr4: u32) {
        let cr0 = self.cr0 & !CR0_GUEST | cr0 & CR0_GUEST;
        if cr0 != self.cr0 {
            self.cr0 = cr0;
            // SAFETY: see the module.
            unsafe { asm!("mov cr0, {}", in(reg) cr0, options(nomem, nostack, preserves_flags)) };
        }
        let cr4 = self.cr4 & !self.cr4_guest | cr4 & self.cr4_guest;
        if cr4 != self.cr4 {
            self.cr4 = cr4;
            // SAFETY: see the module.
            unsafe { asm!("mov cr4, {}", in(reg) cr4, options(nomem, nostack, preserves_flags)) };
        }
    }

    /// Makes the floating-point unit what it is behind a reset.
    pub fn reset(&mut self) {
        self.set(0, 0);
        // SAFETY: the unit is on, and the hypervisor keeps nothing in it.
        unsafe { asm!("fninit", options(nomem, nostack, preserves_flags)) };
    }
}
