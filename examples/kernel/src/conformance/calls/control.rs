//! Control registers: set by a call and read by the instruction, and the other way round.
//!
//! # Safety
//!
//! The bits that change are those of features that the kernel does not use, and of the FPU, which it does
//! not use either; they are put back at once. The other page directory maps the kernel as its own does.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::cpu::{self, Cr0, Cr4};
use paravirt_vmi::mmu::{Contents, Level, TableFrame, allocate_page, release_page};

use super::check;
use super::page::{FRAMES, fill, frame};
use crate::paging::{self, PAGE_SIZE, PRESENT, Table, WINDOW, WRITABLE};
use crate::raw;
use crate::report::{Check, Report};

/// Bits of CR0 that the kernel does without.
const CR0_BITS: [Cr0; 4] = [Cr0::MP, Cr0::TS, Cr0::NE, Cr0::AM];
/// Bits of CR4 that the kernel does without.
const CR4_BITS: [Cr4; 2] = [Cr4::TSD, Cr4::DE];

/// A page directory of the checks' own, and a table for the window in it.
static mut DIRECTORY: Table = Table([0; 1024]);
static mut TABLE: Table = Table([0; 1024]);

pub fn run(report: &mut Report) {
    check(report, Call::SET_CR0, set_cr0);
    check(report, Call::SET_CR2, |check| {
        for address in ADDRESSES {
            // SAFETY: no page fault is being handled.
            unsafe { cpu::set_cr2(address) };
            check.equal("CR2", raw::cr2(), address);
        }
    });
    check(report, Call::SET_CR3, set_cr3);
    check(report, Call::SET_CR4, set_cr4);
    check(report, Call::GET_CR0, get_cr0);
    check(report, Call::GET_CR2, get_cr2);
    check(report, Call::GET_CR3, get_cr3);
    check(report, Call::GET_CR4, get_cr4);
    check(report, Call::CLTS, clts);
}

const ADDRESSES: [u32; 3] = [0xFFFF_FFFC, 0x8000_0001, 0];

fn set_cr0(check: &mut Check) {
    let before = raw::cr0();
    for bit in CR0_BITS {
        let value = before ^ bit.bits();
        // SAFETY: see the module.
        unsafe { cpu::set_cr0(Cr0::from_bits_retain(value)) };
        check.equal("CR0", raw::cr0(), value);
    }
    // SAFETY: the register held this before.
    unsafe { raw::set_cr0(before) };
}

fn get_cr0(check: &mut Check) {
    let before = raw::cr0();
    for bit in CR0_BITS {
        // SAFETY: see the module.
        unsafe { raw::set_cr0(before ^ bit.bits()) };
        check.equal("CR0", cpu::cr0().bits(), raw::cr0());
    }
    // SAFETY: the register held this before.
    unsafe { raw::set_cr0(before) };
    check.equal("CR0", cpu::cr0().bits(), before);
}

/// As the instruction sets it, and as a page fault does.
fn get_cr2(check: &mut Check) {
    for address in ADDRESSES {
        // SAFETY: no page fault is being handled.
        unsafe { raw::set_cr2(address) };
        check.equal("CR2", cpu::cr2(), address);
    }
    let address = WINDOW + 3 * PAGE_SIZE;
    check.equal("page fault", crate::fault::read_byte(address).is_err(), true);
    check.equal("CR2 after a page fault", cpu::cr2(), address);
}

/// Makes the other directory, which maps `frame` at the window's first page; its value for CR3.
fn other_directory(frame: u32) -> u32 {
    let (directory, table) = (&raw mut DIRECTORY, &raw mut TABLE);
    // SAFETY: the kernel's directory is not written meanwhile, and nothing uses the other one.
    unsafe { directory.copy_from_nonoverlapping(paging::directory(), 1) };
    // SAFETY: nothing uses the other table.
    unsafe { (*table).0[0] = frame | PRESENT | WRITABLE };
    // SAFETY: nothing uses the other directory.
    unsafe { (*directory).0[(WINDOW >> 22) as usize] = table as u32 | PRESENT | WRITABLE };
    directory as u32
}

/// Switches to a directory in which one page is another.
fn set_cr3(check: &mut Check) {
    fill();
    let entry = paging::window_entry(0);
    // SAFETY: the window is the checks' own.
    unsafe { entry.write_volatile(frame(0) | PRESENT | WRITABLE) };
    let before = raw::cr3();
    let other = other_directory(frame(1));
    let tables = [(other, Level::PageDirectory), (&raw const TABLE as u32, Level::PageTable)];
    let tables = tables.map(|(at, level)| TableFrame { frame: at / PAGE_SIZE, level, pae: false });
    for table in tables {
        // SAFETY: the frame is the checks' own, and holds a table.
        unsafe { allocate_page(table, Contents::Any) };
    }
    check.equal("byte in the kernel's page", crate::fault::read_byte(WINDOW), Ok(FRAMES[0]));
    // SAFETY: the other directory maps the kernel as its own does.
    unsafe { cpu::set_cr3(other) };
    check.equal("CR3", raw::cr3(), other);
    check.equal("byte in the other page", crate::fault::read_byte(WINDOW), Ok(FRAMES[1]));
    // SAFETY: this is the kernel's directory.
    unsafe { cpu::set_cr3(before) };
    check.equal("CR3", raw::cr3(), before);
    check.equal("byte in the kernel's page", crate::fault::read_byte(WINDOW), Ok(FRAMES[0]));
    // SAFETY: this is the kernel's directory, whatever the call made of it.
    unsafe { raw::set_cr3(before) };
    for table in tables {
        // SAFETY: the table is not in use any more.
        unsafe { release_page(table) };
    }
    // SAFETY: the window is the checks' own.
    unsafe { entry.write_volatile(0) };
}

fn get_cr3(check: &mut Check) {
    let before = raw::cr3();
    check.equal("CR3", cpu::cr3(), before);
    let other = other_directory(frame(1));
    // SAFETY: the other directory maps the kernel as its own does.
    unsafe { raw::set_cr3(other) };
    check.equal("CR3", cpu::cr3(), other);
    // SAFETY: this is the kernel's directory.
    unsafe { raw::set_cr3(before) };
}

fn set_cr4(check: &mut Check) {
    let before = raw::cr4();
    for bit in CR4_BITS {
        let value = before ^ bit.bits();
        // SAFETY: see the module.
        unsafe { cpu::set_cr4(Cr4::from_bits_retain(value)) };
        check.equal("CR4", raw::cr4(), value);
    }
    // SAFETY: the register held this before.
    unsafe { raw::set_cr4(before) };
}

fn get_cr4(check: &mut Check) {
    let before = raw::cr4();
    for bit in CR4_BITS {
        // SAFETY: see the module.
        unsafe { raw::set_cr4(before ^ bit.bits()) };
        check.equal("CR4", cpu::cr4().bits(), before ^ bit.bits());
    }
    // SAFETY: the register held this before.
    unsafe { raw::set_cr4(before) };
}

/// TS is cleared, and nothing else.
fn clts(check: &mut Check) {
    let before = raw::cr0();
    // SAFETY: the kernel does not use the FPU.
    unsafe { raw::set_cr0(before | Cr0::TS.bits()) };
    // SAFETY: nobody's state is in the FPU.
    unsafe { cpu::clts() };
    check.equal("CR0", raw::cr0(), before & !Cr0::TS.bits());
    // SAFETY: the register held this before.
    unsafe { raw::set_cr0(before) };
}
