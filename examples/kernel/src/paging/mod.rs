//! Page tables: the first 16 MiB as they are, and once more at C0000000.
//!
//! | linear            | physical | for                                                  |
//! |-------------------|----------|------------------------------------------------------|
//! | 00000000          | -        | nothing: a null pointer faults                       |
//! | 00001000-00FFFFFF | the same | the kernel; the user's two areas are open to ring 3  |
//! | 01000000-01001FFF | checks'  | two pages that the conformance suite maps as it likes |
//! | C0000000-C0FFFFFF | 0-FFFFFF | the ROM, called at C00Cxxxx; ring 3 has no access    |
//! | FEE00000-FEE00FFF | the same | the local APIC                                       |
//!
//! The second window shows that the ROM works wherever it is mapped. Both share their page tables. There is
//! a second set of tables, in the format of PAE, for the same addresses.
//!
//! CR0.WP is set: read-only pages are read-only for the kernel too. Its text stays writable, because
//! the patcher writes it where it runs.
//!
//! # Safety
//!
//! The kernel runs in the area mapped to itself, so turning paging on changes nothing for what runs.
#![allow(unsafe_code)]

pub mod pae;

use core::arch::asm;

use paravirt_vmi::mmu::LinearMapping;

/// Linear address minus physical address in the upper window.
pub const UPPER_WINDOW: u32 = 0xC000_0000;

/// Linear address of the pages that the conformance suite maps as it likes.
pub const WINDOW: u32 = 0x0100_0000;

/// Linear and physical address of the local APIC's registers.
pub const LOCAL_APIC: u32 = 0xFEE0_0000;

/// Physical memory as the kernel has mapped it for good.
pub const LOW_MEMORY: LinearMapping =
    LinearMapping { address: 0, pages: (TABLES * ENTRIES) as u32, first_frame: 0 };

/// CPUID leaf 1, EDX: the processor has page tables in the other format.
pub const CPUID_PAE: u32 = 1 << 6;

/// Bytes in a page.
pub const PAGE_SIZE: u32 = 4096;
const ENTRIES: usize = 1024;
const TABLES: usize = 4;

/// An entry's bit 0: there is a page.
pub const PRESENT: u32 = 1 << 0;
/// An entry's bit 1: the page may be written.
pub const WRITABLE: u32 = 1 << 1;
const USER: u32 = 1 << 2;
/// An entry's bits 3 and 4: the page is not cached.
const UNCACHED: u32 = 3 << 3;
/// An entry's bit 8: the translation survives a change of page tables.
pub const GLOBAL: u32 = 1 << 8;

const CR0_WP: u32 = 1 << 16;
const CR0_PG: u32 = 1 << 31;

/// A page directory or a page table.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub struct Table(pub [u32; ENTRIES]);

static mut DIRECTORY: Table = Table([0; ENTRIES]);
static mut PAGE_TABLES: [Table; TABLES] = [Table([0; ENTRIES]); TABLES];
static mut WINDOW_TABLE: Table = Table([0; ENTRIES]);
static mut APIC_TABLE: Table = Table([0; ENTRIES]);

unsafe extern "C" {
    static read_only_start: u8;
    static read_only_end: u8;
    static user_text_start: u8;
    static user_text_end: u8;
    static user_stack_start: u8;
    static user_stack_end: u8;
}

/// Builds the page tables and turns paging on.
///
/// # Safety
///
/// Called once, in ring 0, with paging off.
#[inline(never)]
#[unsafe(link_section = ".boot.text")]
pub unsafe fn enable() {
    let tables = &raw mut PAGE_TABLES;
    // SAFETY: nothing else refers to the page tables, and this runs once.
    let tables = unsafe { &mut *tables };
    let pages = tables.iter_mut().flat_map(|table| &mut table.0);
    for (address, entry) in (0..).step_by(PAGE_SIZE as usize).zip(pages) {
        *entry = address | rights(address);
    }
    let directory = &raw mut DIRECTORY;
    // SAFETY: as above.
    let directory = unsafe { &mut *directory };
    let apic = &raw mut APIC_TABLE;
    // SAFETY: as above.
    unsafe { (*apic).0[index(LOCAL_APIC, 12)] = LOCAL_APIC | PRESENT | WRITABLE | UNCACHED };
    directory.0[index(LOCAL_APIC, 22)] = apic as u32 | PRESENT | WRITABLE;
    directory.0[index(WINDOW, 22)] = &raw const WINDOW_TABLE as u32 | PRESENT | WRITABLE;
    for (number, table) in tables.iter().enumerate() {
        let table = &raw const *table as u32;
        directory.0[number] = table | PRESENT | WRITABLE | USER;
        directory.0[number + index(UPPER_WINDOW, 22)] = table | PRESENT | WRITABLE;
    }
    // SAFETY: as above.
    unsafe { pae::fill() };
    // SAFETY: the tables map the running code and its data to themselves, writable where they must be.
    unsafe {
        asm!(
            "mov cr3, {directory}",
            "mov {scratch}, cr0",
            "or {scratch}, {paging}",
            "mov cr0, {scratch}",
            // fetches the next instruction through the page tables
            "jmp 2f",
            "2:",
            directory = in(reg) &raw const directory.0,
            scratch = out(reg) _,
            paging = const CR0_PG | CR0_WP,
            options(nostack),
        );
    }
}

/// The index in a table of the entry for `address`, where an entry covers 2^`shift` bytes.
const fn index(address: u32, shift: u32) -> usize {
    (address >> shift) as usize % ENTRIES
}

/// The kernel's page directory.
pub fn directory() -> *mut Table {
    &raw mut DIRECTORY
}

/// The entry of the window's page `page`.
pub fn window_entry(page: u32) -> *mut u32 {
    let table = (&raw mut WINDOW_TABLE).cast::<u32>();
    table.wrapping_add(index(WINDOW + page * PAGE_SIZE, 12))
}

/// The directory's entry for the window.
pub fn window_directory_entry() -> *mut u32 {
    directory().cast::<u32>().wrapping_add(index(WINDOW, 22))
}

/// The rights of the page at `address` in the lower window.
fn rights(address: u32) -> u32 {
    let in_range = |start: *const u8, end: *const u8| (start as u32..end as u32).contains(&address);
    if address == 0 {
        0
    } else if in_range(&raw const read_only_start, &raw const read_only_end) {
        PRESENT
    } else if in_range(&raw const user_text_start, &raw const user_text_end) {
        PRESENT | USER
    } else if in_range(&raw const user_stack_start, &raw const user_stack_end) {
        PRESENT | WRITABLE | USER
    } else {
        PRESENT | WRITABLE
    }
}
