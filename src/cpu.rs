//! The processor's own registers: identification, model-specific, control and debug registers, counters.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`cpuid`] | `cpuid` | CPUID (0) |
//! | [`wrmsr`], [`rdmsr`] | `wrmsr`, `rdmsr` | WRMSR (1), RDMSR (2) |
//! | [`set_cr0`], [`set_cr2`], [`set_cr3`], [`set_cr4`] | `mov crN, eax` | SetCR0 to SetCR4 (15 to 18) |
//! | [`cr0`], [`cr2`], [`cr3`], [`cr4`] | `mov eax, crN` | GetCR0 to GetCR4 (19 to 22) |
//! | [`wbinvd`] | `wbinvd` | WBINVD (23) |
//! | [`set_dr`], [`dr`] | `mov drN, edx`, `mov eax, drN` | SetDR (24), GetDR (25) |
//! | [`rdpmc`], [`rdtsc`] | `rdpmc`, `rdtsc` | RDPMC (26), RDTSC (27) |
//! | [`clts`] | `clts` | CLTS (28) |
//! | [`undocumented::set_callbacks`] | nothing | SetCallbacks (72) |
//!
//! All of them need CPL 0 natively, except [`cpuid`] and, if CR4 allows it, [`rdtsc`] and [`rdpmc`].
//! Source: facts sheet, section 4.1.
//!
//! # Safety
//!
//! The blocks below make the calls of the table. Reading a register is safe where every processor of the
//! crate's targets, the Pentium and later, has it. What can break memory safety is `unsafe`, and what it
//! needs is stated at each function.
#![allow(unsafe_code)]

use bitflags::bitflags;

use crate::arch;

bitflags! {
    /// CR0. Bits without a name are kept as they are.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Cr0: u32 {
        /// Protected mode.
        const PE = 1 << 0;
        /// `wait` obeys TS.
        const MP = 1 << 1;
        /// There is no FPU: its instructions trap.
        const EM = 1 << 2;
        /// A task was switched: the next FPU instruction traps.
        const TS = 1 << 3;
        /// The FPU is a 387 or later.
        const ET = 1 << 4;
        /// FPU errors are exceptions.
        const NE = 1 << 5;
        /// The kernel obeys write protection too.
        const WP = 1 << 16;
        /// User code's alignment is checked.
        const AM = 1 << 18;
        /// The caches are not written through.
        const NW = 1 << 29;
        /// The caches are off.
        const CD = 1 << 30;
        /// Paging.
        const PG = 1 << 31;
        const _ = !0;
    }
}

bitflags! {
    /// CR4. Bits without a name are kept as they are.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Cr4: u32 {
        /// Virtual-8086 mode extensions.
        const VME = 1 << 0;
        /// Virtual interrupts in protected mode.
        const PVI = 1 << 1;
        /// `rdtsc` is for ring 0 only.
        const TSD = 1 << 2;
        /// Debug registers 4 and 5 do not exist.
        const DE = 1 << 3;
        /// Pages of 4 MiB.
        const PSE = 1 << 4;
        /// Page-table entries of 8 bytes.
        const PAE = 1 << 5;
        /// Machine-check exceptions.
        const MCE = 1 << 6;
        /// Global pages.
        const PGE = 1 << 7;
        /// `rdpmc` is for every ring.
        const PCE = 1 << 8;
        /// `fxsave` and `fxrstor`, and SSE instructions.
        const OSFXSR = 1 << 9;
        /// SSE errors are exceptions.
        const OSXMMEXCPT = 1 << 10;
        const _ = !0;
    }
}

/// What [`cpuid`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuidResult {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
}

/// Identifies the processor: leaf in EAX, sub-leaf in ECX.
///
/// Patched, with the feature bits that the kernel may use. A kernel that asks the instruction itself is
/// told what the machine can do, not what the hypervisor lets it do.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    // SAFETY: reads only.
    let [eax, ebx, ecx, edx] = unsafe { arch::call::cpuid(leaf, subleaf) };
    CpuidResult { eax, ebx, ecx, edx }
}

/// The value of the model-specific register `msr` (ECX), from EDX:EAX.
///
/// # Safety
///
/// The register exists, natively and in the hypervisor: one that does not is #GP, whose EIP may lie in
/// the ROM. Reading it has no effect that other code does not expect.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn rdmsr(msr: u32) -> u64 {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::rdmsr(msr) }
}

/// Sets the model-specific register `msr` (ECX) to `value` (EDX:EAX).
///
/// # Safety
///
/// As for [`rdmsr`]; and what the register controls may be set to that value.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn wrmsr(msr: u32, value: u64) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::wrmsr(msr, value as u32, (value >> 32) as u32) };
}

/// The value of CR0.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn cr0() -> Cr0 {
    // SAFETY: reads only.
    Cr0::from_bits_retain(unsafe { arch::call::get_cr0() })
}

/// Sets CR0.
///
/// # Safety
///
/// The machine can go on with the new value: its page tables are in place if it turns paging on, and no
/// code relies on what it turns off. Under a hypervisor a feature cannot be turned off again.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_cr0(value: Cr0) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_cr0(value.bits()) };
}

/// The linear address of the last page fault.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn cr2() -> u32 {
    // SAFETY: reads only.
    unsafe { arch::call::get_cr2() }
}

/// Sets CR2, for a kernel that puts back what a nested fault has overwritten.
///
/// # Safety
///
/// No handler of a page fault is under way that has not read CR2 yet.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_cr2(address: u32) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_cr2(address) };
}

/// The value of CR3: the physical address of the page directory, and its cache bits.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn cr3() -> u32 {
    // SAFETY: reads only.
    unsafe { arch::call::get_cr3() }
}

/// Sets CR3: switches the page tables, and flushes the local TLB but for its global entries.
///
/// # Safety
///
/// The page directory was announced by [`mmu::allocate_page`](crate::mmu::allocate_page), and maps what
/// the kernel uses. Inside [`LazyModes::cpu`](crate::mmu::LazyModes::cpu) the switch may come as late as
/// the section's end.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_cr3(value: u32) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_cr3(value) };
}

/// The value of CR4.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn cr4() -> Cr4 {
    // SAFETY: reads only.
    Cr4::from_bits_retain(unsafe { arch::call::get_cr4() })
}

/// Sets CR4.
///
/// # Safety
///
/// As for [`set_cr0`].
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_cr4(value: Cr4) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_cr4(value.bits()) };
}

/// Writes back and invalidates the caches. A hypervisor may leave it out.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn wbinvd() {
    // SAFETY: changes no memory that the processor sees.
    unsafe { arch::call::wbinvd() };
}

/// A debug register. DR4 and DR5 are other names of DR6 and DR7, if they exist at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum DebugRegister {
    /// The first linear address that is watched.
    Dr0 = 0,
    /// The second one.
    Dr1 = 1,
    /// The third one.
    Dr2 = 2,
    /// The fourth one.
    Dr3 = 3,
    /// Status: what was hit.
    Dr6 = 6,
    /// Control: what is watched, and how.
    Dr7 = 7,
}

/// The value of a debug register. A hypervisor may answer 0.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn dr(register: DebugRegister) -> u32 {
    // SAFETY: reads only.
    unsafe { arch::call::get_dr(register as u32) }
}

/// Sets a debug register: number in EAX, value in EDX.
///
/// # Safety
///
/// A breakpoint that this sets is #DB wherever it is hit; the kernel has a handler for it.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_dr(register: DebugRegister, value: u32) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_dr(register as u32, value) };
}

/// The value of performance counter `counter` (ECX), from EDX:EAX.
///
/// # Safety
///
/// The processor has the counter: one that it does not have is #GP.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn rdpmc(counter: u32) -> u64 {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::rdpmc(counter) }
}

/// The time-stamp counter, from EDX:EAX. Does not serialise.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn rdtsc() -> u64 {
    // SAFETY: reads only.
    unsafe { arch::call::rdtsc() }
}

/// Clears CR0.TS, so that FPU instructions do not trap.
///
/// # Safety
///
/// What is in the FPU belongs to the code that uses it next.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn clts() {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::clts() };
}

/// Calls of which no specification is known.
pub mod undocumented {
    use crate::arch;

    /// SetCallbacks (72). Nothing is known of it but its number; natively it is nothing.
    ///
    /// Source: facts sheet, section 12.4.
    ///
    /// # Safety
    ///
    /// Not known.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub unsafe fn set_callbacks() {
        // SAFETY: passed on to the caller.
        unsafe { arch::call::set_callbacks() };
    }
}
