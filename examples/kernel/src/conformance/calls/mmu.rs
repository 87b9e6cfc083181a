//! Page tables and the TLB: two frames, one linear page, and what is read there.
//!
//! The checks run on either set of page tables. Those of a call have its name on the set whose entries it
//! writes, and begin with `pae.` on the other one.
//!
//! # Safety
//!
//! The window's entries are the checks' own, and so are the frames that they map.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::mmu::{self, LazyModes, Level, LinearMapping, LinearMappingSlot, Update, undocumented};

use super::page::{FRAMES, fill, frame};
use super::{check, table};
use crate::fault::{INSTRUCTION_FETCH, PAGE_FAULT, catch, read_byte};
use crate::paging::{self, GLOBAL, PAGE_SIZE, PRESENT, UPPER_WINDOW, WINDOW, WRITABLE};
use crate::raw;
use crate::report::{Check, Id, Report};
use crate::serial::line;

const CR4_PGE: u32 = 1 << 7;
/// CPUID leaf 1, EDX.
const CPUID_PGE: u32 = 1 << 13;
/// CPUID leaf 80000001, EDX.
const CPUID_NX: u32 = 1 << 20;
const IA32_EFER: u32 = 0xC000_0080;
const EFER_NXE: u64 = 1 << 11;
/// A long entry's bit 63: no instruction may be fetched.
const NO_EXECUTE: u64 = 1 << 63;

/// A format of page-table entries.
trait Format {
    /// The bits that an entry has.
    const MASK: u64;
    /// The entry of the window's page `page`.
    fn read(page: u32) -> u64;
    /// Stores to the entry.
    fn store(page: u32, value: u64);
    /// Sets the entry by the call.
    fn set(page: u32, value: u64, update: Update);
    /// Announces the entry by the call.
    fn announce(page: u32, update: Update);
    /// Sets the entry by the call, through another address of it, `offset` higher.
    fn set_at(offset: u32, page: u32, value: u64, update: Update);
}

/// Entries of 4 bytes.
struct Short;
/// Entries of 8 bytes.
struct Long;

/// Implements a format by its functions.
macro_rules! format {
    ($format:ty, $entry:ty, $window:path, $set:path, $announce:path) => {
        impl Format for $format {
            const MASK: u64 = <$entry>::MAX as u64;

            fn read(page: u32) -> u64 {
                // SAFETY: see the module.
                unsafe { $window(page).read_volatile() }.into()
            }

            fn store(page: u32, value: u64) {
                // SAFETY: see the module.
                unsafe { $window(page).write_volatile(value as $entry) };
            }

            fn set(page: u32, value: u64, update: Update) {
                Self::set_at(0, page, value, update);
            }

            fn announce(page: u32, update: Update) {
                // SAFETY: see the module.
                unsafe { $announce($window(page), update) };
            }

            fn set_at(offset: u32, page: u32, value: u64, update: Update) {
                let entry = ($window(page) as u32).wrapping_add(offset);
                let entry = core::ptr::with_exposed_provenance_mut(entry as usize);
                // SAFETY: see the module.
                unsafe { $set(entry, value as $entry, update) };
            }
        }
    };
}
format!(Short, u32, paging::window_entry, mmu::set_pxe, mmu::update_pxe);
format!(Long, u64, paging::pae::window_entry, mmu::set_pxe_long, mmu::update_pxe_long);

/// The names of the checks that either format has.
struct Names {
    set: Id,
    announce: Id,
    page: Id,
    tlb: Id,
    linear: Id,
    lazy: Id,
}

pub fn run(report: &mut Report) {
    fill();
    let names = Names {
        set: Call::SET_PXE.into(),
        announce: Call::UPDATE_PXE.into(),
        page: Call::INVAL_PAGE.into(),
        tlb: Call::FLUSH_TLB.into(),
        linear: Call::SET_LINEAR_MAPPING.into(),
        lazy: Call::SET_LAZY_MODE.into(),
    };
    run_format::<Short>(report, names);
    table::run(report);
    check(report, Call::MACHINE_TO_PHYSICAL, translations);
    check(report, Call::PHYSICAL_TO_MACHINE, translations);
    if raw::cpuid(1, 0)[3] & paging::CPUID_PAE == 0 {
        line!("calls 39 and 41 cannot be checked: CPUID has no PAE on this processor");
        return;
    }
    let names = Names {
        set: Call::SET_PXE_LONG.into(),
        announce: Call::UPDATE_PXE_LONG.into(),
        page: "pae.inval_page".into(),
        tlb: "pae.flush_tlb".into(),
        linear: "pae.linear_mapping".into(),
        lazy: "pae.lazy_mode".into(),
    };
    // SAFETY: interrupts are masked, and the processor has PAE.
    unsafe {
        paging::pae::with_pae(|| {
            run_format::<Long>(report, names);
            check(report, "pae.high_word", high_word);
        });
    }
}

fn run_format<F: Format>(report: &mut Report, names: Names) {
    check(report, names.set, set_maps::<F>);
    check(report, names.announce, announced_store_maps::<F>);
    check(report, names.page, invalidation::<F>);
    check(report, names.tlb, flush::<F>);
    check(report, names.linear, linear_mapping::<F>);
    check(report, names.lazy, lazy_mode::<F>);
}

fn update(page: u32) -> Update {
    Update::of(Level::PageTable).mapping(WINDOW + page * PAGE_SIZE)
}

fn entry(index: u32) -> u64 {
    (frame(index) | PRESENT | WRITABLE).into()
}

/// Forgets all translations but global ones, by the instruction.
fn forget() {
    // SAFETY: the same tables as before.
    unsafe { raw::set_cr3(raw::cr3()) };
}

/// Empties the window.
fn clear<F: Format>() {
    F::store(0, 0);
    F::store(1, 0);
    forget();
}

/// Expects a page of the window to show a frame.
fn shows(check: &mut Check, what: &str, page: u32, index: u32) -> bool {
    check.equal(what, read_byte(WINDOW + page * PAGE_SIZE), Ok(FRAMES[index as usize]))
}

/// Expects a page of the window to be absent.
fn is_absent(check: &mut Check, what: &str, page: u32) {
    let address = WINDOW + page * PAGE_SIZE;
    let fault = read_byte(address).map_err(|fault| (fault.vector, fault.address));
    check.equal(what, fault, Err((PAGE_FAULT, address)));
}

fn set_maps<F: Format>(check: &mut Check) {
    clear::<F>();
    is_absent(check, "before", 0);
    for index in [0, 1] {
        F::set(0, entry(index), update(0));
        forget();
        shows(check, "page", 0, index);
        is_absent(check, "its neighbour", 1);
    }
    // What a kernel keeps in the entry of a page that is swapped out.
    for value in [0xFEDC_BA98_7654_3210, 0x0123_4567_89AB_CDEE] {
        F::set(1, value & F::MASK, update(1));
        check.equal("entry of an absent page", F::read(1), value & F::MASK);
    }
    F::set(0, 0, update(0));
    forget();
    is_absent(check, "after", 0);
    clear::<F>();
}

fn announced_store_maps<F: Format>(check: &mut Check) {
    clear::<F>();
    for index in [0, 1] {
        F::store(0, entry(index));
        F::announce(0, update(0));
        forget();
        shows(check, "page", 0, index);
    }
    check.equal("page is still mapped", F::read(0) & u64::from(PRESENT), 1);
    clear::<F>();
}

/// A translation that has been used is forgotten.
fn invalidation<F: Format>(check: &mut Check) {
    clear::<F>();
    for page in [0, 1] {
        F::set(page, entry(0), update(page));
        shows(check, "page before", page, 0);
        F::set(page, entry(1), update(page).deferred());
        mmu::inval_page(WINDOW + page * PAGE_SIZE);
        shows(check, "page after", page, 1);
        F::set(page, 0, update(page).deferred());
        mmu::inval_page(WINDOW + page * PAGE_SIZE + 0x123);
        is_absent(check, "page without entry", page);
    }
    clear::<F>();
}

fn flush<F: Format>(check: &mut Check) {
    clear::<F>();
    let mut turn = |what, flags: u32, flush: fn()| {
        for page in [0, 1] {
            F::set(page, entry(0) | u64::from(flags), update(page));
            shows(check, what, page, 0);
            F::set(page, entry(1) | u64::from(flags), update(page).deferred());
        }
        flush();
        for page in [0, 1] {
            shows(check, what, page, 1);
            F::set(page, 0, update(page).deferred());
        }
        flush();
        for page in [0, 1] {
            is_absent(check, what, page);
        }
    };
    turn("page", 0, mmu::flush_tlb);
    turn("page", 0, mmu::flush_tlb_global);
    if raw::cpuid(1, 0)[3] & CPUID_PGE != 0 {
        let before = raw::cr4();
        // SAFETY: the kernel's other pages are not global.
        unsafe { raw::set_cr4(before | CR4_PGE) };
        turn("global page", GLOBAL, mmu::flush_tlb_global);
        turn("page, with CR4.PGE", 0, mmu::flush_tlb);
        let after = raw::cr4();
        // SAFETY: the register held this before.
        unsafe { raw::set_cr4(before) };
        check.equal("CR4 after the flushes", after, before | CR4_PGE);
    }
    clear::<F>();
}

/// An entry is written through another mapping of its table, which has been declared.
fn linear_mapping<F: Format>(check: &mut Check) {
    clear::<F>();
    let mapping = LinearMapping { address: UPPER_WINDOW, ..paging::LOW_MEMORY };
    // SAFETY: that is how the upper window is mapped.
    unsafe { mmu::set_linear_mapping(LinearMappingSlot::WINDOW_1, mapping) };
    for index in [0, 1] {
        F::set_at(UPPER_WINDOW, 0, entry(index), update(0));
        forget();
        shows(check, "page", 0, index);
    }
    // SAFETY: that is how the lower memory is mapped.
    unsafe { mmu::set_linear_mapping(LinearMappingSlot::LOW_MEMORY, paging::LOW_MEMORY) };
    F::set(0, entry(2), update(0));
    forget();
    shows(check, "page", 0, 2);
    clear::<F>();
}

/// What is changed in a lazy section is in force at its end, and after a flush.
fn lazy_mode<F: Format>(check: &mut Check) {
    clear::<F>();
    // SAFETY: no other right exists in this kernel, and interrupts are masked.
    let mut modes = unsafe { LazyModes::new() };
    modes.mmu(|section| {
        F::set(0, entry(0), update(0).deferred());
        section.flush();
        forget();
        shows(check, "page after a flush", 0, 0);
        F::set(0, entry(1), update(0).deferred());
        F::set(1, entry(2), update(1).deferred());
    });
    forget();
    shows(check, "page after the section", 0, 1);
    shows(check, "other page after the section", 1, 2);
    F::set(0, entry(0), update(0).deferred());
    let cr3 = raw::cr3();
    // SAFETY: the same tables as before.
    modes.cpu(|_| unsafe { paravirt_vmi::cpu::set_cr3(cr3) });
    shows(check, "page after a switch of page tables", 0, 0);
    check.equal("CR3", raw::cr3(), cr3);
    clear::<F>();
}

/// The identity on a machine without another view of physical memory; there and back again anywhere.
fn translations(check: &mut Check) {
    for physical in [0x1000, 0x0012_3000, frame(0)] {
        // SAFETY: reads only, in every backend that this kernel knows.
        let machine = unsafe { undocumented::physical_to_machine(physical, 0) };
        // SAFETY: as above.
        let back = unsafe { undocumented::machine_to_physical(machine) };
        check.equal("machine address", machine, physical);
        check.equal("physical address", back, physical);
    }
}

/// The high half of an entry is in force: a page from which no instruction may be fetched.
fn high_word(check: &mut Check) {
    if raw::cpuid(0x8000_0001, 0)[3] & CPUID_NX == 0 {
        line!("pae.high_word looks at the entry alone: CPUID has no NX on this processor");
        Long::set(0, NO_EXECUTE, update(0));
        check.equal("entry", Long::read(0), NO_EXECUTE);
        return clear::<Long>();
    }
    let before = raw::rdmsr(IA32_EFER);
    // SAFETY: no other entry has the bit.
    unsafe { raw::wrmsr(IA32_EFER, before | EFER_NXE) };
    clear::<Long>();
    for (flag, allowed) in [(0, true), (NO_EXECUTE, false), (0, true)] {
        Long::set(0, entry(0) | flag, update(0));
        mmu::inval_page(WINDOW);
        shows(check, "page", 0, 0);
        // SAFETY: the window shows a frame of the checks.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(CODE as usize).write_volatile(RETURN) };
        let outcome = catch(call_window);
        let fetched = outcome.map_err(|fault| (fault.vector, fault.error_code & INSTRUCTION_FETCH));
        let expected = if allowed { Ok(()) } else { Err((PAGE_FAULT, INSTRUCTION_FETCH)) };
        check.equal("fetch", fetched, expected);
    }
    clear::<Long>();
    fill();
    // SAFETY: the register held this before.
    unsafe { raw::wrmsr(IA32_EFER, before) };
}

/// `ret`.
const RETURN: u8 = 0xC3;
/// Where it is put.
const CODE: u32 = WINDOW + 0x10;

/// Calls what is in the window.
fn call_window() {
    // SAFETY: a `ret` is there, or an exception is caught.
    unsafe { core::arch::asm!("call {}", in(reg) CODE) };
}
