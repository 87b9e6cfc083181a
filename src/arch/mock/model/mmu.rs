//! Page tables, linear mappings and lazy modes.
//!
//! There is no TLB, and nothing is translated: a page table is memory that the calls write.
//!
//! # Safety
//!
//! The unsafe blocks write the entries that [`mmu`](crate::mmu) was given.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::vec::Vec;

use paravirt_vmi_abi::Call;
use paravirt_vmi_abi::flags::{LINEAR_MAPPING_SLOTS, LazyMode, PageFlags};

use super::{Invocation, NOTHING, Outcome, eax, memory};
use crate::arch::mock::state::{self, State};
use crate::arch::mock::{Cpu, Linear, Misuse};
use crate::mmu::{Level, LinearMapping, TableFrame};

/// Bit 0 of an entry: it maps something.
const PRESENT: u32 = 1;

/// What was announced of page tables.
#[derive(Default)]
pub(super) struct Tables {
    frames: BTreeMap<u32, PageFlags>,
    mappings: [Option<LinearMapping>; LINEAR_MAPPING_SLOTS as usize],
    lazy_mode: Option<LazyMode>,
}

/// What a frame is used for, without what it holds.
fn use_of(flags: u32) -> PageFlags {
    PageFlags::from_bits_retain(flags).difference(PageFlags::CLONE | PageFlags::ZEROED)
}

impl Tables {
    fn allocate(&mut self, invocation: &Invocation<'_>) -> Result<(), Misuse> {
        let (frame, flags) = (invocation.word(0), use_of(invocation.word(1)));
        match self.frames.insert(frame, flags) {
            None => Ok(()),
            Some(_) => Err(invocation.broken_rule("the frame is a page table already", frame)),
        }
    }

    fn release(&mut self, invocation: &Invocation<'_>) -> Result<(), Misuse> {
        let (frame, flags) = (invocation.word(0), use_of(invocation.word(1)));
        match self.frames.remove(&frame) {
            Some(announced) if announced == flags => Ok(()),
            Some(_) => Err(invocation.broken_rule("the frame was announced as another page table", frame)),
            None => Err(invocation.broken_rule("the frame was not announced by AllocatePage", frame)),
        }
    }

    fn set_lazy_mode(&mut self, invocation: &Invocation<'_>) -> Result<(), Misuse> {
        let mode = LazyMode(invocation.word(0));
        let opened = (mode != LazyMode::NONE).then_some(mode);
        if let (Some(open), Some(_)) = (self.lazy_mode, opened) {
            return Err(invocation.broken_rule("lazy modes do not nest, and one is open", open.0));
        }
        self.lazy_mode = opened;
        Ok(())
    }
}

/// Carries a call of [`mmu`](crate::mmu) out.
pub(super) fn perform(state: &mut State, invocation: &Invocation<'_>) -> Outcome {
    let tables = &mut state.model.tables;
    match invocation.call {
        Call::MACHINE_TO_PHYSICAL | Call::PHYSICAL_TO_MACHINE => return Ok(eax(invocation.word(0))),
        Call::SET_PXE => {
            let entry = entry(invocation, 1, 4)?;
            // SAFETY: the caller of the function vouches for the entry, which is aligned.
            unsafe { memory::store_at_once(entry, invocation.word(0)) };
        }
        Call::SET_PXE_LONG => {
            let entry = entry(invocation, 2, 8)?;
            for (half, value) in stores(invocation.word(0), invocation.word(1)) {
                // SAFETY: the caller of the function vouches for the entry, which is aligned.
                unsafe { memory::store_at_once(entry + 4 * half, value) };
            }
        }
        Call::UPDATE_PXE => _ = entry(invocation, 0, 4)?,
        Call::UPDATE_PXE_LONG => _ = entry(invocation, 0, 8)?,
        Call::ALLOCATE_PAGE => tables.allocate(invocation)?,
        Call::RELEASE_PAGE => tables.release(invocation)?,
        Call::SET_LINEAR_MAPPING => {
            let [address, pages, first_frame] = [1, 2, 3].map(|number| invocation.word(number));
            tables.mappings[invocation.address(0)] = Some(LinearMapping { address, pages, first_frame });
        }
        Call::SET_LAZY_MODE => tables.set_lazy_mode(invocation)?,
        // InvalPage, FlushTLB: there is no TLB.
        _ => {}
    }
    Ok(NOTHING)
}

/// The address of the entry in argument `number`, each of which has `size` bytes.
fn entry(invocation: &Invocation<'_>, number: usize, size: usize) -> Result<Linear, Misuse> {
    let address = invocation.address(number);
    if address % size == 0 {
        return Ok(address);
    }
    let rule = "an entry of a page table is aligned to its size";
    Err(invocation.broken_rule(rule, address as u32))
}

/// The stores that write an entry of 8 bytes: which half, 0 or 1, and its value. Nobody sees one that is present and
/// has one half of the old entry. Source: facts sheet, section 4.3.
fn stores(low: u32, high: u32) -> [(usize, u32); 3] {
    let absent = if low & PRESENT == 0 { low } else { 0 };
    [(0, absent), (1, high), (0, low)]
}

impl Cpu {
    /// The frames that are page tables: those announced by [`allocate_page`](crate::mmu::allocate_page), and not
    /// [released](crate::mmu::release_page) since, in order of number.
    ///
    /// To announce one twice, or to release one that was not announced as what it is, is a
    /// [misuse](Misuse::BrokenRule).
    pub fn page_tables(self) -> Vec<TableFrame> {
        let level = |flags: PageFlags| match () {
            () if flags.contains(PageFlags::PDP) => Level::PointerTable,
            () if flags.contains(PageFlags::PD) => Level::PageDirectory,
            () => Level::PageTable,
        };
        let table = |(frame, flags): (&u32, &PageFlags)| {
            let pae = flags.contains(PageFlags::PAE);
            TableFrame { frame: *frame, level: level(*flags), pae }
        };
        state::with(|state| state.model.tables.frames.iter().map(table).collect())
    }

    /// What each slot maps, as [`set_linear_mapping`](crate::mmu::set_linear_mapping) has declared it.
    pub fn linear_mappings(self) -> [Option<LinearMapping>; LINEAR_MAPPING_SLOTS as usize] {
        state::with(|state| state.model.tables.mappings)
    }

    /// The [lazy mode](crate::mmu::LazyModes) that is open. Nothing is held back here in any.
    pub fn lazy_mode(self) -> Option<LazyMode> {
        state::with(|state| state.model.tables.lazy_mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sees_a_present_entry_of_which_one_half_is_old() {
        let values = [0, 0x1001, 0x2_0000_1001, 0x2_0000_3001, 0x3000, 0x4_0000_0000];
        for (old, new) in values.into_iter().flat_map(|old| values.map(|new| (old, new))) {
            let halves = |entry: u64| [entry as u32, (entry >> 32) as u32];
            let [mut entry, [low, high]] = [old, new].map(halves);
            for (half, value) in stores(low, high) {
                entry[half] = value;
                let is_whole = entry == halves(old) || entry == halves(new);
                assert!(is_whole || entry[0] & PRESENT == 0, "{old:#x} to {new:#x}: {entry:#x?}");
            }
            assert_eq!(entry, halves(new));
        }
    }
}
