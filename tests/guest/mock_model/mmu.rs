//! Page tables, linear mappings and lazy modes.

use paravirt_vmi::abi::flags::LazyMode;
use paravirt_vmi::mmu::{
    self, Contents, LazyModes, Level, LinearMapping, LinearMappingSlot, TableFrame, Update,
};
use paravirt_vmi::mock;
use proptest::prelude::*;

use super::failure;

// SAFETY of all blocks below: nothing is mapped by the tables of the mock.

const TABLE: TableFrame = TableFrame { frame: 0x123, level: Level::PageTable, pae: false };
const UPDATE: Update = Update::of(Level::PageTable);

proptest! {
    #[test]
    fn an_entry_of_4_bytes_holds_what_is_written(before: u32, value: u32) {
        let mut table = [before; 3];
        // SAFETY: see above.
        unsafe { mmu::set_pxe(&mut table[1], value, UPDATE) };
        prop_assert_eq!(table, [before, value, before]);
    }

    #[test]
    fn an_entry_of_8_bytes_holds_what_is_written(before: u64, value: u64) {
        let mut table = [before; 3];
        // SAFETY: see above.
        unsafe { mmu::set_pxe_long(&mut table[1], value, UPDATE) };
        prop_assert_eq!(table, [before, value, before]);
    }
}

#[test]
fn an_entry_that_is_not_aligned_is_a_misuse() {
    let line = line!() + 4;
    let message = failure(|_| {
        let mut table = [0u32; 3];
        // SAFETY: see above; the call refuses it.
        unsafe { mmu::set_pxe(table.as_mut_ptr().wrapping_byte_add(2), 1, UPDATE) };
    });
    let start = format!(
        "SetPxE at {}:{line} breaks a rule of the interface: an entry of a page table is aligned to its size (0x",
        file!()
    );
    assert!(message.starts_with(&start), "{message}");
    let long = failure(|_| {
        let mut table = [0u64; 3];
        // SAFETY: see above; the call refuses it.
        unsafe { mmu::set_pxe_long(table.as_mut_ptr().wrapping_byte_add(4), 1, UPDATE) };
    });
    assert!(long.contains("aligned to its size"), "{long}");
}

#[test]
fn page_tables_are_what_was_announced_and_not_released() {
    mock::run(|cpu| {
        let directory = TableFrame { frame: 9, level: Level::PageDirectory, pae: true };
        let pointers = TableFrame { frame: 5, level: Level::PointerTable, pae: true };
        // SAFETY: see above.
        unsafe { mmu::allocate_page(TABLE, Contents::Zeroed) };
        // SAFETY: see above.
        unsafe { mmu::allocate_page(directory, Contents::Clone { frame: 1, first: 2, count: 3 }) };
        // SAFETY: see above.
        unsafe { mmu::allocate_page(pointers, Contents::Any) };
        assert_eq!(cpu.page_tables(), [pointers, directory, TABLE]);
        // SAFETY: see above.
        unsafe { mmu::release_page(directory) };
        assert_eq!(cpu.page_tables(), [pointers, TABLE]);
        // SAFETY: see above.
        unsafe { mmu::release_page(TABLE) };
        // SAFETY: see above.
        unsafe { mmu::allocate_page(directory, Contents::Any) };
        assert_eq!(cpu.page_tables(), [pointers, directory]);
    });
}

/// The message when `f` breaks a rule at the line after its `line`.
fn broken_rule(call: &str, line: u32, rule: &str) -> String {
    format!("{call} at {}:{line} breaks a rule of the interface: {rule}", file!())
}

#[test]
fn to_release_what_was_not_announced_is_a_misuse() {
    let line = line!() + 2;
    // SAFETY: see above.
    let never = failure(|_| unsafe { mmu::release_page(TABLE) });
    let rule = "the frame was not announced by AllocatePage (0x123)";
    assert_eq!(never, broken_rule("ReleasePage", line, rule));
    let line = line!() + 7;
    let twice = failure(|_| {
        // SAFETY: see above.
        unsafe { mmu::allocate_page(TABLE, Contents::Any) };
        // SAFETY: see above.
        unsafe { mmu::release_page(TABLE) };
        // SAFETY: see above.
        unsafe { mmu::release_page(TABLE) };
    });
    assert_eq!(twice, broken_rule("ReleasePage", line, rule));
    let line = line!() + 5;
    let otherwise = failure(|_| {
        // SAFETY: see above.
        unsafe { mmu::allocate_page(TABLE, Contents::Any) };
        // SAFETY: see above.
        unsafe { mmu::release_page(TableFrame { level: Level::PageDirectory, ..TABLE }) };
    });
    let rule = "the frame was announced as another page table (0x123)";
    assert_eq!(otherwise, broken_rule("ReleasePage", line, rule));
}

#[test]
fn to_announce_a_frame_twice_is_a_misuse() {
    let line = line!() + 5;
    let twice = failure(|_| {
        // SAFETY: see above.
        unsafe { mmu::allocate_page(TABLE, Contents::Any) };
        // SAFETY: see above.
        unsafe { mmu::allocate_page(TABLE, Contents::Zeroed) };
    });
    let rule = "the frame is a page table already (0x123)";
    assert_eq!(twice, broken_rule("AllocatePage", line, rule));
}

#[test]
fn a_slot_maps_what_was_declared_last() {
    mock::run(|cpu| {
        assert_eq!(cpu.linear_mappings(), [None; 4]);
        let mapping = |pages| LinearMapping { address: 0xc000_0000, pages, first_frame: 7 };
        for (slot, pages) in [(LinearMappingSlot::WINDOW_2, 1), (LinearMappingSlot::WINDOW_2, 2)] {
            // SAFETY: see above.
            unsafe { mmu::set_linear_mapping(slot, mapping(pages)) };
        }
        assert_eq!(cpu.linear_mappings(), [None, None, Some(mapping(2)), None]);
    });
}

#[test]
fn a_lazy_mode_is_open_inside_its_section() {
    mock::run(|cpu| {
        // SAFETY: this processor has no other.
        let mut modes = unsafe { LazyModes::new() };
        assert_eq!(cpu.lazy_mode(), None);
        modes.mmu(|section| {
            assert_eq!(cpu.lazy_mode(), Some(LazyMode::MMU));
            section.flush();
            assert_eq!(cpu.lazy_mode(), Some(LazyMode::MMU));
        });
        modes.cpu(|_| assert_eq!(cpu.lazy_mode(), Some(LazyMode::CPU)));
        assert_eq!(cpu.lazy_mode(), None);
    });
}

#[test]
fn lazy_modes_that_nest_are_a_misuse() {
    let line = line!() + 5;
    let nested = failure(|_| {
        // SAFETY: this is wrong, and is noticed.
        let [mut outer, mut inner] = [(); 2].map(|()| unsafe { LazyModes::new() });
        outer.mmu(|_| {
            inner.cpu(|_| ());
        });
    });
    let rule = "lazy modes do not nest, and one is open (0x1)";
    assert_eq!(nested, broken_rule("SetLazyMode", line, rule));
}

#[test]
fn machine_addresses_are_physical_ones() {
    // SAFETY: see above.
    let physical = unsafe { mmu::undocumented::machine_to_physical(0x8765_4321) };
    // SAFETY: see above.
    let machine = unsafe { mmu::undocumented::physical_to_machine(0x1234_5678, 9) };
    assert_eq!((physical, machine), (0x8765_4321, 0x1234_5678));
}
