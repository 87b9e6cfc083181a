//! The hypervisor's own page tables: physical memory as it is, and the monitor's area.
//!
//! # Safety
//!
//! The tables are filled before they are used, and are not changed afterwards, but for whether the guest may write to
//! the shared page: that entry is changed while the processor uses neither it nor what it holds of it.
#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86::__cpuid;

use vmi_hypervisor::layout::{SHARED, VIRTUAL_TOP};

use super::monitor;

/// Entries of a table.
pub const ENTRIES: usize = 512;

/// A page directory or a page table.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub struct Table(pub [u64; ENTRIES]);

/// The page-directory-pointer table: the four entries with which a translation begins.
#[repr(C, align(32))]
pub struct Pointers(pub [u64; 4]);

/// Bits of an entry.
pub mod entry {
    pub const PRESENT: u64 = 1 << 0;
    pub const WRITABLE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    /// Accessed and dirty: preset, so that the processor writes to no table of the hypervisor.
    pub const USED: u64 = 3 << 5;
    pub const LARGE: u64 = 1 << 7;
    pub const NO_EXECUTE: u64 = 1 << 63;
}

/// An empty table.
pub const EMPTY: Table = Table([0; ENTRIES]);

/// Bytes that a page directory spans.
const DIRECTORY_SPAN: u32 = 1 << 30;
/// Bytes that an entry of a page directory spans.
const LARGE_PAGE: u32 = 1 << 21;

pub static mut POINTERS: Pointers = Pointers([0; 4]);
static mut LOW_DIRECTORY: Table = EMPTY;
static mut TOP_DIRECTORY: Table = EMPTY;
static mut MONITOR_TABLE: Table = EMPTY;

/// What the page tables consist of: address and size of each part.
pub fn parts() -> [(u32, u32); 4] {
    let table = size_of::<Table>() as u32;
    [
        (&raw const POINTERS as u32, size_of::<Pointers>() as u32),
        (&raw const LOW_DIRECTORY as u32, table),
        (&raw const TOP_DIRECTORY as u32, table),
        (&raw const MONITOR_TABLE as u32, table),
    ]
}

/// The entry in a page directory of the top gigabyte for the monitor's area, and its place.
pub fn monitor_entry() -> (usize, u64) {
    let index = (VIRTUAL_TOP % DIRECTORY_SPAN / LARGE_PAGE) as usize;
    let table = &raw const MONITOR_TABLE as u32;
    (index, u64::from(table) | entry::PRESENT | entry::WRITABLE | entry::USED)
}

const CR4_PAE: u32 = 1 << 5;
const CR0_WP: u32 = 1 << 16;
const CR0_PG: u32 = 1 << 31;
const IA32_EFER: u32 = 0xC000_0080;
const EFER_NXE: u32 = 1 << 11;
/// CPUID leaf 1, EDX.
const CPUID_PAE: u32 = 1 << 6;
/// CPUID leaf 80000001, EDX.
const CPUID_NX: u32 = 1 << 20;

/// Whether the processor can forbid execution of a page.
pub fn has_no_execute() -> bool {
    const EXTENDED: u32 = 0x8000_0001;
    __cpuid(EXTENDED - 1).eax >= EXTENDED && __cpuid(EXTENDED).edx & CPUID_NX != 0
}

/// Builds the page tables for memory up to `memory_end`, at most 1 GiB, and turns paging on.
///
/// # Panics
///
/// If the processor has no PAE.
///
/// # Safety
///
/// Called once, in ring 0, with paging off.
pub unsafe fn enable(memory_end: u32) {
    assert!(__cpuid(1).edx & CPUID_PAE != 0, "the processor has no PAE");
    let no_execute = has_no_execute();
    let low = &raw mut LOW_DIRECTORY;
    // SAFETY: nothing else refers to the tables, and this runs once.
    let low = unsafe { &mut *low };
    for (address, place) in (0..memory_end).step_by(LARGE_PAGE as usize).zip(&mut low.0) {
        *place = u64::from(address) | entry::PRESENT | entry::WRITABLE | entry::USED | entry::LARGE;
    }
    let monitor = &raw mut MONITOR_TABLE;
    // SAFETY: as above.
    let monitor = unsafe { &mut *monitor };
    for page in monitor::pages() {
        let mut rights = entry::PRESENT | entry::USED;
        if page.writable {
            rights |= entry::WRITABLE;
        }
        if !page.executable && no_execute {
            rights |= entry::NO_EXECUTE;
        }
        monitor.0[(page.linear >> 12) as usize % ENTRIES] = u64::from(page.physical) | rights;
    }
    let top = &raw mut TOP_DIRECTORY;
    let (index, value) = monitor_entry();
    // SAFETY: as above.
    unsafe { (*top).0[index] = value };
    let pointers = &raw mut POINTERS;
    // SAFETY: as above.
    let pointers = unsafe { &mut *pointers };
    pointers.0[0] = u64::from(low as *const Table as u32) | entry::PRESENT;
    pointers.0[3] = u64::from(top as u32) | entry::PRESENT;
    if no_execute {
        // SAFETY: the processor has the register and the bit.
        unsafe {
            asm!(
                "rdmsr",
                "or eax, {nxe}",
                "wrmsr",
                nxe = const EFER_NXE,
                in("ecx") IA32_EFER,
                out("eax") _,
                out("edx") _,
                options(nomem, nostack),
            );
        }
    }
    // SAFETY: the tables map all memory to itself.
    unsafe {
        asm!(
            "mov cr3, {pointers}",
            "mov {scratch}, cr4",
            "or {scratch}, {pae}",
            "mov cr4, {scratch}",
            "mov {scratch}, cr0",
            "or {scratch}, {paging}",
            "mov cr0, {scratch}",
            // fetches the next instruction through the page tables
            "jmp 2f",
            "2:",
            pointers = in(reg) pointers,
            scratch = out(reg) _,
            pae = const CR4_PAE,
            paging = const CR0_PG,
            options(nostack),
        );
    }
}

/// From now on the hypervisor, and ring 1, cannot write to read-only pages.
///
/// # Safety
///
/// The hypervisor writes to none.
pub unsafe fn protect() {
    // SAFETY: by the contract.
    unsafe {
        asm!(
            "mov {scratch}, cr0",
            "or {scratch}, {protect}",
            "mov cr0, {scratch}",
            scratch = out(reg) _,
            protect = const CR0_WP,
            options(nostack),
        );
    }
}

/// The page that the guest's ROM shares with the hypervisor, which is read-only for as long as this lives.
pub struct SharedPage(());

impl SharedPage {
    /// Makes the page read-only, if `guards`. The processor notices when it loads CR3, on the way into the guest.
    pub fn guard(guards: bool) -> Option<Self> {
        guards.then(|| {
            Self::change(|entry| entry & !entry::WRITABLE);
            Self(())
        })
    }

    fn change(change: impl FnOnce(u64) -> u64) {
        // SAFETY: the address is that of the table, which lives for ever.
        let table = unsafe { &raw mut MONITOR_TABLE.0 };
        let entry = table.cast::<u64>().wrapping_add((SHARED >> 12) as usize % ENTRIES);
        // SAFETY: the entry lies in the table, and the only processor is here.
        let value = unsafe { entry.read_volatile() };
        // SAFETY: as above. The hypervisor reaches the page by its place in the image, not by this entry.
        unsafe { entry.write_volatile(change(value)) };
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        Self::change(|entry| entry | entry::WRITABLE);
    }
}
