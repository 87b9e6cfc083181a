//! Page frames that become page tables and cease to be.
//!
//! # Safety
//!
//! The frame is the checks' own, and the directory's entry is that of their window.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::mmu::{self, Contents, Level, TableFrame, Update};

use super::check;
use super::page::{FRAMES, fill, frame};
use crate::fault::read_byte;
use crate::paging::{self, PAGE_SIZE, PRESENT, Table, WINDOW, WRITABLE};
use crate::report::{Check, Report};

static mut TABLE: Table = Table([0; 1024]);

pub fn run(report: &mut Report) {
    check(report, Call::ALLOCATE_PAGE, |check| use_a_new_table(check, Contents::Zeroed));
    check(report, Call::RELEASE_PAGE, |check| {
        // A frame that was released is a table again, with other contents.
        use_a_new_table(check, Contents::Zeroed);
        use_a_new_table(check, Contents::Any);
        let frame = paging::directory() as u32 / PAGE_SIZE;
        use_a_new_table(check, Contents::Clone { frame, first: 0, count: 0 });
    });
}

/// Announces a frame, maps a page through it, and gives it back.
fn use_a_new_table(check: &mut Check, contents: Contents) {
    fill();
    let table = &raw mut TABLE;
    // SAFETY: nothing uses the table.
    unsafe { *table = Table([0; 1024]) };
    let announced = TableFrame { frame: table as u32 / PAGE_SIZE, level: Level::PageTable, pae: false };
    // SAFETY: see the module; the frame holds zeros.
    unsafe { mmu::allocate_page(announced, contents) };
    let in_table = Update::of(Level::PageTable).mapping(WINDOW);
    // SAFETY: the entry is one of the new table.
    unsafe { mmu::set_pxe(table.cast(), frame(1) | PRESENT | WRITABLE, in_table) };
    let (entry, in_directory) = (paging::window_directory_entry(), Update::of(Level::PageDirectory));
    // SAFETY: the entry of the window.
    let before = unsafe { entry.read_volatile() };
    // SAFETY: as above; nobody uses what the window showed.
    unsafe { mmu::set_pxe(entry, table as u32 | PRESENT | WRITABLE, in_directory) };
    mmu::flush_tlb();
    check.equal("byte in the page", read_byte(WINDOW), Ok(FRAMES[1]));
    // SAFETY: as above.
    unsafe { mmu::set_pxe(entry, before, in_directory) };
    mmu::flush_tlb();
    // SAFETY: the frame is no table any more.
    unsafe { mmu::release_page(announced) };
    check.equal("the page is gone", read_byte(WINDOW).is_err(), true);
    // SAFETY: nothing uses the frame, which holds what its owner puts there.
    unsafe { (*table).0[0] = !0 };
}
