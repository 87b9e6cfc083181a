//! Page tables: the first 16 MiB as they are, and once more at C0000000.
//!
//! | linear            | physical | for                                                  |
//! |-------------------|----------|------------------------------------------------------|
//! | 00000000          | -        | nothing: a null pointer faults                       |
//! | 00001000-00FFFFFF | the same | the kernel; the user's two areas are open to ring 3  |
//! | C0000000-C0FFFFFF | 0-FFFFFF | the ROM, called at C00Cxxxx; ring 3 has no access    |
//!
//! The second window shows that the ROM works wherever it is mapped. Both share their page tables.
//!
//! CR0.WP is set: read-only pages are read-only for the kernel too. Its text stays writable, because
//! the patcher writes it where it runs.
//!
//! # Safety
//!
//! The kernel runs in the area mapped to itself, so turning paging on changes nothing for what runs.
#![allow(unsafe_code)]

use core::arch::asm;

/// Linear address minus physical address in the upper window.
pub const UPPER_WINDOW: u32 = 0xC000_0000;

const PAGE_SIZE: u32 = 4096;
const ENTRIES: usize = 1024;
const TABLES: usize = 4;

const PRESENT: u32 = 1 << 0;
const WRITABLE: u32 = 1 << 1;
const USER: u32 = 1 << 2;

const CR0_WP: u32 = 1 << 16;
const CR0_PG: u32 = 1 << 31;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Table([u32; ENTRIES]);

static mut DIRECTORY: Table = Table([0; ENTRIES]);
static mut PAGE_TABLES: [Table; TABLES] = [Table([0; ENTRIES]); TABLES];

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
    for (index, table) in tables.iter().enumerate() {
        let table = &raw const *table as u32;
        directory.0[index] = table | PRESENT | WRITABLE | USER;
        directory.0[index + (UPPER_WINDOW >> 22) as usize] = table | PRESENT | WRITABLE;
    }
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
