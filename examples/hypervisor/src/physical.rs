//! The guest's physical address space.

use crate::layout::{GUEST_MEMORY, LOCAL_APIC, LOW_HOLE_END, PAGE_SIZE, ROM, VIDEO_MEMORY, VIDEO_MEMORY_END};

/// What lies at a guest-physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Memory of the guest: the machine's own, at the same address.
    Memory,
    /// The video memory, which is the machine's own too.
    Video,
    /// The hypervisor's ROM: it can be read and executed, and what is written to it is lost.
    Rom,
    /// Nothing: it reads as ones, and what is written to it is lost.
    Hole,
    /// The registers of the local APIC. Reading them is reading memory.
    LocalApic,
}

/// The number of bytes that the ROM occupies in the option-ROM window.
pub const ROM_SIZE: u32 = 2 * PAGE_SIZE;

/// What lies at `address`; `None` if the guest has nothing there.
pub fn area(address: u64) -> Option<Area> {
    let address = u32::try_from(address).ok()?;
    match address {
        0..VIDEO_MEMORY | LOW_HOLE_END..GUEST_MEMORY => Some(Area::Memory),
        VIDEO_MEMORY..VIDEO_MEMORY_END => Some(Area::Video),
        _ if (ROM..ROM + ROM_SIZE).contains(&address) => Some(Area::Rom),
        VIDEO_MEMORY_END..LOW_HOLE_END => Some(Area::Hole),
        _ if (LOCAL_APIC..LOCAL_APIC + PAGE_SIZE).contains(&address) => Some(Area::LocalApic),
        _ => None,
    }
}
