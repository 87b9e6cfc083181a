//! Where the kernel maps the physical memory that holds its page tables.
//!
//! # Safety
//!
//! See the [module above](super).
#![allow(unsafe_code)]

use paravirt_vmi_abi::flags::LINEAR_MAPPING_SLOTS;

use crate::arch;

/// One of the four linear mappings that a processor can declare at a time.
///
/// ```
/// use paravirt_vmi::mmu::LinearMappingSlot;
///
/// assert_eq!(LinearMappingSlot::new(0), Some(LinearMappingSlot::LOW_MEMORY));
/// assert_eq!(LinearMappingSlot::new(4), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinearMappingSlot(u32);

impl LinearMappingSlot {
    /// Slot 0: by custom all of the memory that the kernel has mapped for good.
    pub const LOW_MEMORY: Self = Self(0);
    /// Slot 1: by custom a window through which one page table at a time is reached.
    pub const WINDOW_1: Self = Self(1);
    /// Slot 2: by custom a second window.
    pub const WINDOW_2: Self = Self(2);
    /// Slot 3: by custom a third window.
    pub const WINDOW_3: Self = Self(3);

    /// The slot of the given number, or `None` if it is above 3.
    pub const fn new(number: u32) -> Option<Self> {
        if number < LINEAR_MAPPING_SLOTS { Some(Self(number)) } else { None }
    }

    /// The slot's number, 0 to 3.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// A run of physical memory, and where the kernel has mapped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinearMapping {
    /// Linear address of the first page.
    pub address: u32,
    /// How many pages of 4 KiB there are.
    pub pages: u32,
    /// Number of the first page's frame: physical address / 4096.
    pub first_frame: u32,
}

/// Declares what `slot` (EAX) of this processor maps: address in EDX, number of pages in ECX, first frame on
/// the stack. Replaces what the slot mapped before. Natively nothing.
///
/// Every processor declares its own, before it writes the first page-table entry;
/// [`boot::Options::linear_mapping`](crate::boot::Options::linear_mapping) does it for the first one.
///
/// # Safety
///
/// The kernel's page tables map exactly this, and go on to do so until the slot is declared anew or never
/// used again: entries in the range are translated by it.
///
/// Source: facts sheet, sections 5.5 and 7.3.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_linear_mapping(slot: LinearMappingSlot, mapping: LinearMapping) {
    let LinearMapping { address, pages, first_frame } = mapping;
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_linear_mapping(slot.0, address, pages, first_frame) };
}
