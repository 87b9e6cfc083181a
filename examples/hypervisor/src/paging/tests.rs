use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Physical memory in which entries are put one by one; all else reads as zeros, and from the limit on there
/// is none.
#[derive(Clone, Debug, Default)]
struct Memory(BTreeMap<u64, u8>);

const LIMIT: u64 = 32 << 20;

impl Memory {
    fn long(mut self, address: u64, entry: u64) -> Self {
        self.0.extend((address..).zip(entry.to_le_bytes()));
        self
    }

    fn short(mut self, address: u64, entry: u32) -> Self {
        self.0.extend((address..).zip(entry.to_le_bytes()));
        self
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), NotMemory> {
        if address + bytes.len() as u64 > LIMIT {
            return Err(NotMemory { address });
        }
        for (address, byte) in (address..).zip(bytes) {
            *byte = self.0.get(&address).copied().unwrap_or(0);
        }
        Ok(())
    }

    fn translate(
        &self,
        registers: Registers,
        linear: u32,
        access: Access,
    ) -> Result<(Translation, Notes), Fault> {
        translate(registers, linear, access, |address, bytes| self.read(address, bytes))
    }
}

const SHORT: Registers = Registers { cr0: CR0_PG | CR0_WP, cr3: 0x1018, cr4: CR4_PSE, efer: 0 };
const LONG: Registers = Registers { cr0: CR0_PG | CR0_WP, cr3: 0x1020, cr4: CR4_PAE, efer: EFER_NXE };

const fn access(intent: Intent, privilege: Privilege) -> Access {
    Access { intent, privilege }
}
const READ: Access = access(Intent::Read, Privilege::Supervisor);
const WRITE: Access = access(Intent::Write, Privilege::Supervisor);
const FETCH: Access = access(Intent::Execute, Privilege::Supervisor);
const USER_READ: Access = access(Intent::Read, Privilege::User);
const USER_WRITE: Access = access(Intent::Write, Privilege::User);

/// Present, writable, user, accessed, dirty.
const ALL: u64 = 0x67;
const LINEAR: u32 = 0xC123_4567;

/// Short tables that lead [`LINEAR`] to 00555567 by two entries.
fn short(directory_entry: u64, table_entry: u64) -> Memory {
    let memory = Memory::default().short(0x1000 + 0x304 * 4, 0x2000 | directory_entry as u32);
    memory.short(0x2000 + 0x234 * 4, 0x55_5000 | table_entry as u32)
}

/// Long tables that lead [`LINEAR`] to 00555567 by three entries.
fn long(pointer: u64, directory_entry: u64, table_entry: u64) -> Memory {
    let memory = Memory::default().long(0x1020 + 3 * 8, 0x2000 | pointer);
    let memory = memory.long(0x2000 + 9 * 8, 0x3000 | directory_entry);
    memory.long(0x3000 + 0x34 * 8, 0x55_5000 | table_entry)
}

fn code(outcome: Result<(Translation, Notes), Fault>) -> u32 {
    let fault = outcome.expect_err("a page fault");
    assert_eq!((fault.vector, fault.address), (14, Some(LINEAR)));
    fault.error_code.expect("a page fault has an error code")
}

#[test]
fn without_paging_a_linear_address_is_a_physical_one() {
    let registers = Registers { cr0: 0x11, ..SHORT };
    let (translation, notes) = Memory::default().translate(registers, LINEAR, USER_WRITE).unwrap();
    assert_eq!(translation.physical, LINEAR.into());
    assert_eq!(notes, [None; 2]);
}

#[test]
fn either_format_leads_to_the_frame_with_the_offset_in_the_page() {
    for (registers, memory) in [(SHORT, short(ALL, ALL)), (LONG, long(1, ALL, ALL))] {
        let (translation, notes) = memory.translate(registers, LINEAR, USER_WRITE).unwrap();
        let expected =
            Translation { physical: 0x55_5567, writable: true, user: true, executable: true, dirty: true };
        assert_eq!(translation, expected);
        assert_eq!(notes, [None; 2]);
    }
}

#[test]
fn a_large_page_of_either_format_has_its_own_offset() {
    let memory = Memory::default().short(0x1000 + 0x304 * 4, 0x80_0000 | 0xE7);
    let (translation, _) = memory.translate(SHORT, LINEAR, WRITE).unwrap();
    assert_eq!(translation.physical, 0x80_0000 + u64::from(LINEAR % 0x40_0000));
    // bits 32 to 39 of the address are the entry's bits 13 to 20
    let memory = Memory::default().short(0x1000 + 0x304 * 4, 0x80_0000 | 0xE7 | 3 << 13);
    let (translation, _) = memory.translate(SHORT, LINEAR, WRITE).unwrap();
    assert_eq!(translation.physical >> 32, 3);

    let memory = Memory::default().long(0x1020 + 3 * 8, 0x2001).long(0x2000 + 9 * 8, 0x60_0000 | 0xE7);
    let (translation, _) = memory.translate(LONG, LINEAR, WRITE).unwrap();
    assert_eq!(translation.physical, 0x60_0000 + u64::from(LINEAR % 0x20_0000));
}

#[test]
fn without_pse_the_bit_for_large_pages_is_ignored() {
    let registers = Registers { cr4: 0, ..SHORT };
    let (translation, _) = short(ALL | 0x80, ALL).translate(registers, LINEAR, READ).unwrap();
    assert_eq!(translation.physical, 0x55_5567);
}

#[test]
fn an_absent_entry_at_any_level_is_an_absent_page() {
    for memory in [short(ALL & !1, ALL), short(ALL, ALL & !1)] {
        assert_eq!(code(memory.translate(SHORT, LINEAR, READ)), 0);
        assert_eq!(code(memory.translate(SHORT, LINEAR, USER_WRITE)), code::USER | code::WRITE);
    }
    for memory in [long(0, ALL, ALL), long(1, ALL & !1, ALL), long(1, ALL, ALL & !1)] {
        assert_eq!(code(memory.translate(LONG, LINEAR, FETCH)), code::FETCH);
    }
}

#[test]
fn a_right_that_one_level_withholds_is_withheld() {
    for (bit, access, expected) in [
        (1 << 1, WRITE, code::PRESENT | code::WRITE),
        (1 << 1, USER_WRITE, code::PRESENT | code::WRITE | code::USER),
        (1 << 2, USER_READ, code::PRESENT | code::USER),
    ] {
        for memory in [short(ALL & !bit, ALL), short(ALL, ALL & !bit)] {
            assert_eq!(code(memory.translate(SHORT, LINEAR, access)), expected);
            assert!(memory.translate(SHORT, LINEAR, READ).is_ok());
        }
        for memory in [long(1, ALL & !bit, ALL), long(1, ALL, ALL & !bit)] {
            assert_eq!(code(memory.translate(LONG, LINEAR, access)), expected);
        }
    }
    for memory in [long(1, ALL | 1 << 63, ALL), long(1, ALL, ALL | 1 << 63)] {
        assert_eq!(code(memory.translate(LONG, LINEAR, FETCH)), code::PRESENT | code::FETCH);
        assert!(!memory.translate(LONG, LINEAR, READ).unwrap().0.executable);
    }
}

#[test]
fn without_wp_the_supervisor_writes_to_read_only_pages() {
    let registers = Registers { cr0: CR0_PG, ..SHORT };
    let memory = short(ALL, ALL & !2);
    let (translation, _) = memory.translate(registers, LINEAR, WRITE).unwrap();
    assert!(!translation.writable && translation.dirty);
    assert_eq!(code(memory.translate(registers, LINEAR, USER_WRITE)), 7);
}

#[test]
fn reserved_bits_are_refused() {
    let reserved = code::PRESENT | code::RESERVED;
    for bit in [36, 51, 62] {
        for memory in
            [long(1 | 1 << bit, ALL, ALL), long(1, ALL | 1 << bit, ALL), long(1, ALL, ALL | 1 << bit)]
        {
            assert_eq!(code(memory.translate(LONG, LINEAR, READ)), reserved);
        }
    }
    for pointer in [1 | 1 << 1, 1 | 1 << 5, 1 | 1 << 63] {
        assert_eq!(code(long(pointer, ALL, ALL).translate(LONG, LINEAR, READ)), reserved);
    }
    let registers = Registers { efer: 0, ..LONG };
    assert_eq!(code(long(1, ALL, ALL | 1 << 63).translate(registers, LINEAR, READ)), reserved);
    // bit 13 of a large page's entry is clear in 60_0000 and set in 60_2000
    let memory = Memory::default().long(0x1020 + 3 * 8, 0x2001).long(0x2000 + 9 * 8, 0x60_2000 | 0xE7);
    assert_eq!(code(memory.translate(LONG, LINEAR, READ)), reserved);
    let memory = Memory::default().short(0x1000 + 0x304 * 4, 1 << 21 | 0xE7);
    assert_eq!(code(memory.translate(SHORT, LINEAR, READ)), reserved);
}

#[test]
fn a_table_where_there_is_no_memory_is_refused() {
    let reserved = code::PRESENT | code::RESERVED;
    let memory = Memory::default().short(0x1000 + 0x304 * 4, 0xFEE0_0000 | ALL as u32);
    assert_eq!(code(memory.translate(SHORT, LINEAR, READ)), reserved);
    let registers = Registers { cr3: 0x0400_0000, ..SHORT };
    assert_eq!(code(memory.translate(registers, LINEAR, READ)), reserved);
    assert_eq!(code(long(1, 0xF_0000_0000 | ALL, ALL).translate(LONG, LINEAR, READ)), reserved);
}

#[test]
fn the_entries_that_an_access_used_are_to_be_marked() {
    let memory = short(ALL & !0x20, ALL & !0x60);
    let (translation, notes) = memory.translate(SHORT, LINEAR, READ).unwrap();
    assert!(!translation.dirty);
    let directory = Note { address: 0x1000 + 0x304 * 4, value: 0x2000 | ALL as u32 };
    assert_eq!(notes[0], Some(directory));
    assert_eq!(notes[1].unwrap().value, 0x55_5000 | 0x27);
    let (translation, notes) = memory.translate(SHORT, LINEAR, WRITE).unwrap();
    assert!(translation.dirty);
    assert_eq!(notes[1].unwrap().value, 0x55_5000 | 0x67);
    // the directory's entry has no dirty bit
    assert_eq!(short(0x27, ALL).translate(SHORT, LINEAR, WRITE).unwrap().1, [None; 2]);
    let (_, notes) = long(1, 7, 7).translate(LONG, LINEAR, WRITE).unwrap();
    assert_eq!(notes.map(|note| note.unwrap().address), [0x2000 + 9 * 8, 0x3000 + 0x34 * 8]);
}

#[test]
fn an_access_is_known_by_its_error_code() {
    for access in [READ, WRITE, FETCH, USER_READ, USER_WRITE] {
        let code = fault(LONG, LINEAR, access, code::PRESENT).error_code.unwrap();
        assert_eq!(Access::from_code(code), access);
    }
}

/// A processor's answer, written down once more: level by level, each with its entry's rights.
fn model(registers: Registers, entries: &[u64], access: Access) -> Result<(), u32> {
    let user = access.privilege == Privilege::User;
    let mut code = if access.is_write() { code::WRITE } else { 0 } | if user { code::USER } else { 0 };
    if access.intent == Intent::Execute && registers.cr4 & CR4_PAE != 0 {
        code |= code::FETCH;
    }
    if entries.iter().any(|entry| entry & 1 == 0) {
        return Err(code);
    }
    let all = |bit: u64| entries.iter().all(|entry| entry & bit != 0);
    let forbidden = (user && !all(4))
        || (access.is_write() && !all(2) && (user || registers.cr0 & CR0_WP != 0))
        || (access.intent == Intent::Execute && entries.iter().any(|entry| entry >> 63 != 0));
    if forbidden { Err(code | code::PRESENT) } else { Ok(()) }
}

proptest! {
    #[test]
    fn rights_are_those_of_a_processor(
        directory in 0_u64..8, table in 0_u64..8, no_execute in 0_u64..4, wp: bool, long_format: bool, which in 0_usize..6,
    ) {
        let accesses = [READ, WRITE, FETCH, USER_READ, USER_WRITE, access(Intent::Execute, Privilege::User)];
        let mut registers = if long_format { LONG } else { SHORT };
        let (mut directory, mut table) = (directory, table);
        if long_format {
            directory |= (no_execute & 1) << 63;
            table |= (no_execute >> 1) << 63;
        }
        if !wp {
            registers.cr0 &= !CR0_WP;
        }
        let memory = if long_format { long(1, directory, table) } else { short(directory, table) };
        let outcome = memory.translate(registers, LINEAR, accesses[which]);
        let expected = model(registers, &[directory, table], accesses[which]);
        prop_assert_eq!(outcome.map(|_| ()).map_err(|fault| fault.error_code.unwrap()), expected);
    }

    #[test]
    fn whatever_lies_in_memory_nothing_panics(
        cr3: u32, cr4 in prop::sample::select(vec![0, CR4_PSE, CR4_PAE]), efer in prop::sample::select(vec![0, EFER_NXE]),
        linear: u32, write: bool, seed: u64,
    ) {
        let registers = Registers { cr0: CR0_PG, cr3, cr4, efer };
        let access = if write { USER_WRITE } else { READ };
        let read = |address: u64, bytes: &mut [u8]| {
            if address >= LIMIT {
                return Err(NotMemory { address });
            }
            let random = (address ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            bytes.copy_from_slice(&random.to_le_bytes()[..bytes.len()]);
            Ok(())
        };
        if let Ok((translation, notes)) = translate(registers, linear, access, read) {
            prop_assert_eq!(translation.physical as u32 % PAGE_SIZE, linear % PAGE_SIZE);
            for note in notes.into_iter().flatten() {
                prop_assert!(note.address < LIMIT);
            }
        }
    }
}
