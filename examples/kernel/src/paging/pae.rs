//! The second set of page tables: the same addresses, with entries of 8 bytes.
//!
//! # Safety
//!
//! As for the module above: either set maps the kernel to itself, so nothing that runs notices a switch.
#![allow(unsafe_code)]

use super::{LOCAL_APIC, PAGE_SIZE, PRESENT, TABLES, UNCACHED, UPPER_WINDOW, USER, WINDOW, WRITABLE, rights};
use crate::raw;

const CR4_PAE: u32 = 1 << 5;
/// An entry's bit 7 in a directory: it maps a page of 2 MiB.
const LARGE: u32 = 1 << 7;

const ENTRIES: usize = 512;
/// As many tables as cover what the tables of the other format do.
const LONG_TABLES: usize = TABLES * 2;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Table([u64; ENTRIES]);

/// The four entries with which a translation begins.
#[repr(C, align(32))]
struct PointerTable([u64; 4]);

static mut POINTERS: PointerTable = PointerTable([0; 4]);
/// For the first gigabyte, and for the last.
static mut DIRECTORIES: [Table; 2] = [Table([0; ENTRIES]); 2];
static mut PAGE_TABLES: [Table; LONG_TABLES] = [Table([0; ENTRIES]); LONG_TABLES];
static mut WINDOW_TABLE: Table = Table([0; ENTRIES]);

/// The index in a table of the entry for `address`, where an entry covers 2^`shift` bytes.
const fn index(address: u32, shift: u32) -> usize {
    (address >> shift) as usize % ENTRIES
}

/// Fills the tables.
///
/// # Safety
///
/// Called once, while the tables are not in use.
#[inline(never)]
#[unsafe(link_section = ".boot.text")]
pub unsafe fn fill() {
    let tables = &raw mut PAGE_TABLES;
    // SAFETY: nothing else refers to the tables, and this runs once.
    let tables = unsafe { &mut *tables };
    let pages = tables.iter_mut().flat_map(|table| &mut table.0);
    for (address, entry) in (0..).step_by(PAGE_SIZE as usize).zip(pages) {
        *entry = (address | rights(address)).into();
    }
    let directories = &raw mut DIRECTORIES;
    // SAFETY: as above.
    let [first, last] = unsafe { &mut *directories };
    for (number, table) in tables.iter().enumerate() {
        let table = &raw const *table as u32;
        first.0[number] = (table | PRESENT | WRITABLE | USER).into();
        last.0[number + index(UPPER_WINDOW, 21)] = (table | PRESENT | WRITABLE).into();
    }
    first.0[index(WINDOW, 21)] = (&raw const WINDOW_TABLE as u32 | PRESENT | WRITABLE).into();
    last.0[index(LOCAL_APIC, 21)] = (LOCAL_APIC | PRESENT | WRITABLE | UNCACHED | LARGE).into();
    let [first, last] = [&raw const *first as u32, &raw const *last as u32];
    let pointers = [(first | PRESENT).into(), 0, 0, (last | PRESENT).into()];
    let table = &raw mut POINTERS;
    // SAFETY: as above.
    unsafe { (*table).0 = pointers };
}

/// The entry of the window's page `page`.
pub fn window_entry(page: u32) -> *mut u64 {
    let table = (&raw mut WINDOW_TABLE).cast::<u64>();
    table.wrapping_add(index(WINDOW + page * PAGE_SIZE, 12))
}

/// Runs `f` on the second set of tables, with CR4.PAE.
///
/// # Safety
///
/// Interrupts are masked before and after, and the processor has PAE.
pub unsafe fn with_pae<R>(f: impl FnOnce() -> R) -> R {
    let (cr3, cr4) = (raw::cr3(), raw::cr4());
    let pointers = &raw const POINTERS;
    // SAFETY: both sets map the kernel to itself.
    unsafe { raw::switch_paging(pointers as u32, cr4 | CR4_PAE) };
    let result = f();
    // SAFETY: as above.
    unsafe { raw::switch_paging(cr3, cr4) };
    result
}
