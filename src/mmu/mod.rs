//! Page tables and the TLB.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`set_pxe`] | one store | SetPxE (38) |
//! | [`set_pxe_long`] | two stores, or three | SetPxELong (39) |
//! | [`update_pxe`], [`update_pxe_long`] | nothing | UpdatePxE (40), UpdatePxELong (41) |
//! | [`undocumented`] | nothing | MachineToPhysical (42), PhysicalToMachine (43) |
//! | [`allocate_page`], [`release_page`] | nothing | AllocatePage (44), ReleasePage (45) |
//! | [`inval_page`] | `invlpg` | InvalPage (46) |
//! | [`flush_tlb`], [`flush_tlb_global`] | CR3 again; CR4.PGE off and on | FlushTLB (47) |
//! | [`set_linear_mapping`] | nothing | SetLinearMapping (48) |
//! | [`LazyModes`] | nothing | SetLazyMode (73) |
//!
//! # The life of a page table
//!
//! [`allocate_page`] before the first use of its frame; [`set_pxe`] or [`set_pxe_long`] for each entry, or a
//! store of the kernel's own followed by [`update_pxe`]; [`release_page`] when the frame becomes something
//! else. Entries are read as memory. Every table lies in a linear mapping that the processor has declared
//! ([`set_linear_mapping`]) before the first entry is written. The kernel maps nothing at or above
//! [`Rom::virtual_top`](crate::rom::Rom::virtual_top). Source: facts sheet, section 7.3.
//!
//! # Other processors
//!
//! They see a change when the writer has flushed what it was allowed to hold back, and they have invalidated
//! the page: end the lazy section, or [flush](LazySection::flush) it, before sending them there.
//!
//! # Safety
//!
//! The blocks below make the calls of the table. A wrong page table breaks every rule of memory safety:
//! whatever writes or announces one is `unsafe`. Invalidating is safe: it forgets what can be read again.
#![allow(unsafe_code)]

mod lazy;
mod linear;
mod page;

use paravirt_vmi_abi::flags::FlushTlb;

use crate::arch;

pub use lazy::{LazyModes, LazySection};
pub use linear::{LinearMapping, LinearMappingSlot, set_linear_mapping};
pub use page::{Contents, Level, TableFrame, allocate_page, release_page};

use paravirt_vmi_abi::flags::PageUpdateFlags;

/// Where an entry of a page table lies, and what may be done with the change: the flags of an update.
///
/// ```
/// use paravirt_vmi::abi::flags::PageUpdateFlags;
/// use paravirt_vmi::mmu::{Level, Update};
///
/// let update = Update::of(Level::PageTable).mapping(0x0804_8123).deferred();
/// assert_eq!(update.flags().mapped_address(), Some(0x0804_8000));
/// assert!(update.flags().contains(PageUpdateFlags::PT | PageUpdateFlags::DEFER));
/// ```
///
/// Source: facts sheet, section 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "says how to update an entry"]
pub struct Update(PageUpdateFlags);

impl Update {
    /// An entry of a table of the given level, of any address space.
    pub const fn of(level: Level) -> Self {
        Self(match level {
            Level::PageTable => PageUpdateFlags::PT,
            Level::PageDirectory => PageUpdateFlags::PD,
            Level::PointerTable => PageUpdateFlags::PDP,
        })
    }

    /// The entry belongs to the running address space and maps the page of `address`.
    pub const fn mapping(self, address: u32) -> Self {
        Self(self.0.mapping(address))
    }

    /// The change may be held back until the page or the TLB is invalidated.
    pub const fn deferred(self) -> Self {
        Self(self.0.union(PageUpdateFlags::DEFER))
    }

    /// The flags as the calls take them.
    pub const fn flags(self) -> PageUpdateFlags {
        self.0
    }
}

/// Writes the page-table entry at `entry` (EDX): value in EAX, flags in ECX.
///
/// # Safety
///
/// `entry` is an entry of a 4-byte kind in a table of the level that `update` states, which has been
/// announced and lies in a declared linear mapping. What the new entry maps, and what the old one no longer
/// does, breaks no reference and no code; the old translation is invalidated before anything relies on the
/// new one.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_pxe(entry: *mut u32, value: u32, update: Update) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_pxe(value, arch::linear(entry), update.0.bits()) };
}

/// Writes the 8-byte page-table entry at `entry` (ECX): value in EDX:EAX, flags on the stack.
///
/// No processor sees a present entry of which one half is old: where the new entry is present, the old
/// one is made absent first, and the half with the present bit is written last; where it is not, that half is
/// written first. Source: facts sheet, section 4.3.
///
/// # Safety
///
/// As for [`set_pxe`], with entries of 8 bytes. A processor that uses the mapping while it changes may find it
/// absent.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_pxe_long(entry: *mut u64, value: u64, update: Update) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_pxe_long(low, high, arch::linear(entry), update.0.bits()) };
}

/// Announces the entry at `entry` (EAX), which the kernel has written itself; flags in EDX.
///
/// For changes that must be atomic: `xchg`, or a bit cleared under `lock`.
///
/// # Safety
///
/// As for [`set_pxe`], for the value that the entry holds now.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn update_pxe(entry: *const u32, update: Update) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::update_pxe(arch::linear(entry), update.0.bits()) };
}

/// Announces the 8-byte entry at `entry` (EAX), which the kernel has written itself; flags in EDX.
///
/// # Safety
///
/// As for [`set_pxe_long`], for the value that the entry holds now.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn update_pxe_long(entry: *const u64, update: Update) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::update_pxe_long(arch::linear(entry), update.0.bits()) };
}

/// Invalidates this processor's translation of the page, small or large, at linear address `address` (EAX).
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn inval_page(address: u32) {
    // SAFETY: the translation is read again from the page tables.
    unsafe { arch::call::inval_page(address) };
}

/// Invalidates this processor's translations but for the global ones.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn flush_tlb() {
    // SAFETY: the translations are read again from the page tables.
    unsafe { arch::call::flush_tlb(FlushTlb::TLB.bits()) };
}

/// Invalidates all of this processor's translations, the global ones too.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn flush_tlb_global() {
    let flush = FlushTlb::TLB.union(FlushTlb::GLOBAL);
    // SAFETY: as above.
    unsafe { arch::call::flush_tlb(flush.bits()) };
}

/// Calls of which no specification is known; what they take and return is what one implementation does.
///
/// Source: facts sheet, section 12.4.
pub mod undocumented {
    use crate::arch;

    /// MachineToPhysical (42): EAX to EAX. Natively the identity.
    ///
    /// # Safety
    ///
    /// Not known.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub unsafe fn machine_to_physical(machine: u32) -> u32 {
        // SAFETY: passed on to the caller.
        unsafe { arch::call::machine_to_physical(machine) }
    }

    /// PhysicalToMachine (43): EAX and EDX to EAX. Natively the identity of EAX.
    ///
    /// # Safety
    ///
    /// Not known.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub unsafe fn physical_to_machine(physical: u32, argument: u32) -> u32 {
        // SAFETY: passed on to the caller.
        unsafe { arch::call::physical_to_machine(physical, argument) }
    }
}
