//! Announcing the page frames that are page tables.
//!
//! # Safety
//!
//! See the [module above](super).
#![allow(unsafe_code)]

use paravirt_vmi_abi::flags::PageFlags;

use crate::arch;

/// The level of a page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Level 1: its entries map pages of 4 KiB.
    PageTable,
    /// Level 2: a page directory.
    PageDirectory,
    /// Level 3, with 8-byte entries only: the page-directory pointer table.
    PointerTable,
}

/// A page frame that is, or is to be, a page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableFrame {
    /// Number of the frame: physical address / 4096.
    pub frame: u32,
    /// What it is.
    pub level: Level,
    /// Whether its entries have 8 bytes.
    pub pae: bool,
}

impl TableFrame {
    /// The frame's use as the calls take it.
    const fn flags(self) -> PageFlags {
        let level = match self.level {
            Level::PageTable => PageFlags::PT,
            Level::PageDirectory => PageFlags::PD,
            Level::PointerTable => PageFlags::PDP,
        };
        if self.pae { level.union(PageFlags::PAE) } else { level }
    }
}

/// What a new page table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contents {
    /// Entries that the hypervisor has to look at.
    Any,
    /// Nothing but zeros.
    Zeroed,
    /// `count` entries of another table of the same kind from entry `first` on, and zeros elsewhere: the
    /// kernel's part of a page directory, for example.
    Clone {
        /// Number of the other table's frame.
        frame: u32,
        /// The first entry that both have.
        first: u32,
        /// How many they have in common.
        count: u32,
    },
}

/// Announces a frame that is about to become a page table: number in EAX, flags in EDX; what it shares with
/// another table in ECX and on the stack. Natively nothing.
///
/// # Safety
///
/// The frame is the kernel's, is no page table yet, and holds what `contents` says.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn allocate_page(table: TableFrame, contents: Contents) {
    let (flags, [clone, first, count]) = match contents {
        Contents::Any => (PageFlags::NORMAL, [0; 3]),
        Contents::Zeroed => (PageFlags::ZEROED, [0; 3]),
        Contents::Clone { frame, first, count } => (PageFlags::CLONE, [frame, first, count]),
    };
    let flags = table.flags().union(flags).bits();
    // SAFETY: passed on to the caller.
    unsafe { arch::call::allocate_page(table.frame, flags, clone, first, count) };
}

/// Announces that a frame is no longer a page table: number in EAX, flags in EDX. Natively nothing.
///
/// # Safety
///
/// The frame was announced as such by [`allocate_page`], and no processor and no other table uses it.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn release_page(table: TableFrame) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::release_page(table.frame, table.flags().bits()) };
}
