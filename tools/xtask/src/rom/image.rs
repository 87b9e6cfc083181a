//! [`Image`]: an option ROM that firmware accepts.

use std::mem::offset_of;

use paravirt_vmi_abi::header::ROM_LENGTH_UNIT;
use paravirt_vmi_abi::{Call, PciDataStructure, RelocationKind, RomHeader};

use super::elf::{Linked, Symbol};
use super::error::Error;
use super::table::{self, Entry};
use super::{Bend, Generation, field, slots};

/// Bytes in one unit of an option ROM's length.
const UNIT: usize = ROM_LENGTH_UNIT as usize;

/// The longest image, in units. The 16-bit offsets of the header reach every byte of it, and a reader
/// that takes the length byte for a signed number, as guests of 13.x do, is right.
const UNITS_MAX: usize = 127;

/// A complete image of the ROM, and where its parts are.
#[derive(Clone, Debug)]
pub struct Image {
    bytes: Vec<u8>,
    symbols: Vec<Symbol>,
    generation: Generation,
    relocations: Option<usize>,
    init_status: usize,
}

impl Image {
    /// Makes an image of the ELF file that the linker made of the package `vmi-rom`.
    ///
    /// Checks that the image is read-only and position independent, that it has a header, and that each
    /// call is where the interface says: its relocation leads to its code with an answer that is allowed,
    /// in 13.x its slot holds its code or a jump to that. Pads the image to whole units of 512 bytes, fills in
    /// the two lengths, and chooses the last byte so that the sum is 0.
    pub fn from_elf(elf: &[u8]) -> Result<Self, Error> {
        let Linked { mut bytes, symbols } = Linked::read(elf)?;
        let locate = |name: &str, size: usize| {
            let symbol =
                find(&symbols, name).ok_or_else(|| Error::SymbolMissing { name: name.to_owned() })?;
            if symbol.offset + size > bytes.len() {
                let (address, size) = (symbol.offset as u64, size as u64);
                return Err(Error::SymbolOutside { name: name.to_owned(), address, size });
            }
            Ok(symbol)
        };
        let version = |field: usize| bytes.get(field).copied().unwrap_or_default();
        let major = version(offset_of!(RomHeader, api_version_major));
        let minor = version(offset_of!(RomHeader, api_version_minor));
        let generation = Generation::of_version(major, minor).ok_or(Error::Version { major, minor })?;
        let init_status = locate("rom_init_status", 4)?.offset;
        let relocations = match relocation_count(generation) {
            0 => None,
            count => {
                let (table, expected) = (locate("rom_relocations", 0)?, table::ENTRY_SIZE * count);
                if table.size != expected {
                    return Err(Error::TableSize { size: table.size, expected });
                }
                for entry in table::entries(&bytes, table.offset, count) {
                    check_entry(generation, entry, &symbols)?;
                }
                Some(table.offset)
            }
        };
        slots::check(generation, &bytes, &symbols)?;
        seal(&mut bytes)?;
        Ok(Self { bytes, symbols, generation, relocations, init_status })
    }

    /// The bytes of the ROM: what `-option-rom` takes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The global symbols of the ROM, by offset.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The code of a call, if the ROM provides it.
    pub fn entry(&self, call: Call) -> Option<&Symbol> {
        find(&self.symbols, &format!("vmi_{call}"))
    }

    /// The generation of the interface.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Offset of the relocation table, if there is one.
    pub fn relocations_offset(&self) -> Option<usize> {
        self.relocations
    }

    /// The number of a call in the relocation table, if it is there: its own, or that of its slot.
    pub fn relocation_number(&self, call: Call) -> Option<usize> {
        match self.generation {
            Generation::V3_0 => Some(call.number() as usize),
            Generation::V13_0 => None,
            generation => slots::of(generation, call).map(usize::from),
        }
    }

    /// Offset of the status that vmi_init returns.
    pub fn init_status_offset(&self) -> usize {
        self.init_status
    }

    /// The relocation table, one entry for each call or slot.
    pub fn relocations(&self) -> impl Iterator<Item = Entry> {
        let table = self
            .relocations
            .map(|offset| table::entries(&self.bytes, offset, relocation_count(self.generation)));
        table.into_iter().flatten()
    }

    /// The image with one thing wrong.
    pub fn bend(&self, bend: Bend) -> Self {
        Self { bytes: bend.apply(self), ..self.clone() }
    }

    /// This image with other contents, of any length.
    #[cfg(test)]
    pub(super) fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self { bytes, ..self.clone() }
    }
}

/// The symbol with the given name.
pub(super) fn find<'a>(symbols: &'a [Symbol], name: &str) -> Option<&'a Symbol> {
    symbols.iter().find(|symbol| symbol.name == name)
}

/// The number of entries that the relocation table of a generation has.
fn relocation_count(generation: Generation) -> usize {
    match generation {
        Generation::V3_0 => Call::COUNT,
        Generation::V13_0 => 0,
        Generation::V13_3 => slots::count(generation),
    }
}

/// Checks one entry of the relocation table against the interface and against the code.
fn check_entry(generation: Generation, entry: Entry, symbols: &[Symbol]) -> Result<(), Error> {
    match Call::from_number(entry.number as u32) {
        Some(call) if generation == Generation::V3_0 => check_call(call, entry, symbols),
        _ => check_slot(generation, entry),
    }
}

/// Checks the entry of a call of 3.0.
fn check_call(call: Call, entry: Entry, symbols: &[Symbol]) -> Result<(), Error> {
    let Entry { target, kind, .. } = entry;
    if !kind.to_kinds().is_some_and(|kinds| call.info().relocations.contains(kinds)) {
        // NONE is missing from the sets of IRET and SYSEXIT only, which a ROM must provide.
        return Err(Error::KindNotAllowed { call, kind });
    }
    let code = find(symbols, &format!("vmi_{call}"));
    match (kind, code) {
        (RelocationKind::CALL_REL | RelocationKind::JUMP_REL, Some(code)) => {
            if target as usize == code.offset {
                return Ok(());
            }
            Err(Error::WrongTarget { call, target, code: code.offset as u32 })
        }
        (RelocationKind::CALL_REL | RelocationKind::JUMP_REL, None) => {
            Err(Error::SymbolMissing { name: format!("vmi_{call}") })
        }
        (_, Some(_)) => Err(Error::NotProvided { call }),
        (_, None) => Ok(()),
    }
}

/// Checks the entry of a slot of 13.3, which has no NOP: it leads to the slot, or is NONE.
fn check_slot(generation: Generation, entry: Entry) -> Result<(), Error> {
    let Entry { number, target, kind } = entry;
    let slot = slots::all(generation).into_iter().find(|slot| usize::from(slot.number) == number);
    let leaves = [Call::IRET, Call::SYSEXIT].map(Some);
    let is_allowed = match (kind, &slot) {
        (RelocationKind::NONE, Some(slot)) => !leaves.contains(&slot.call),
        (RelocationKind::NONE, None) => true,
        (RelocationKind::CALL_REL, Some(slot)) => target as usize == slot.offset(),
        (RelocationKind::JUMP_REL, Some(slot)) => {
            leaves.contains(&slot.call) && target as usize == slot.offset()
        }
        _ => false,
    };
    if is_allowed { Ok(()) } else { Err(Error::SlotAnswer { slot: number, kind, target }) }
}

/// Pads the image, fills in its lengths and its checksum.
fn seal(bytes: &mut Vec<u8>) -> Result<(), Error> {
    let length = bytes.len();
    // One byte of padding at least: the last byte makes the sum right.
    let units = (length + 1).div_ceil(UNIT);
    if units > UNITS_MAX {
        return Err(Error::TooLong { length });
    }
    let rom_length = units as u8;
    let pci = field::read_offset(bytes, offset_of!(RomHeader, pci_header_offset));
    let pci = pci.unwrap_or_default();
    if pci == 0 || pci + size_of::<PciDataStructure>() > length {
        return Err(Error::PciOutside { offset: pci });
    }
    bytes.resize(units * UNIT, 0);
    bytes[offset_of!(RomHeader, rom_length)] = rom_length;
    let image_length = pci + offset_of!(PciDataStructure, image_length);
    bytes[image_length..image_length + 2].copy_from_slice(&u16::from(rom_length).to_le_bytes());
    resum(bytes);
    Ok(())
}

/// Sets the last byte so that all bytes add up to 0 modulo 256.
pub(super) fn resum(bytes: &mut [u8]) {
    let sum = field::sum(bytes);
    if let Some(last) = bytes.last_mut() {
        *last = last.wrapping_sub(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Fixture};
    use super::*;

    #[test]
    fn an_image_is_whole_units_long_and_says_so_in_both_places() {
        let image = Image::from_elf(&Fixture::new().elf()).unwrap();
        let units = fixture::LENGTH / UNIT + 1;
        assert_eq!(image.bytes().len(), units * UNIT);
        assert_eq!(usize::from(image.bytes()[2]), units);
        let pci = fixture::PCI + offset_of!(PciDataStructure, image_length);
        assert_eq!(field::read(image.bytes(), pci, 2), Some(units as u32));
    }

    #[test]
    fn the_bytes_of_an_image_add_up_to_zero() {
        let image = Image::from_elf(&Fixture::new().elf()).unwrap();
        assert_eq!(field::sum(image.bytes()), 0);
        assert_ne!(image.bytes().last(), Some(&0));
    }

    #[test]
    fn an_image_that_fills_its_last_unit_gets_another_one_for_the_checksum() {
        let mut fixture = Fixture::new();
        fixture.resize(4 * UNIT);
        let image = Image::from_elf(&fixture.elf()).unwrap();
        assert_eq!(image.bytes().len(), 5 * UNIT);
        fixture.resize(4 * UNIT - 1);
        let image = Image::from_elf(&fixture.elf()).unwrap();
        assert_eq!(image.bytes().len(), 4 * UNIT);
        assert_eq!(field::sum(image.bytes()), 0);
    }

    #[test]
    fn an_image_longer_than_127_units_is_refused() {
        let mut fixture = Fixture::new();
        fixture.resize(127 * UNIT - 1);
        assert_eq!(Image::from_elf(&fixture.elf()).unwrap().bytes().len(), 127 * UNIT);
        fixture.resize(127 * UNIT);
        assert_eq!(Image::from_elf(&fixture.elf()).unwrap_err(), Error::TooLong { length: 127 * UNIT });
    }

    #[test]
    fn an_image_whose_pci_structure_is_cut_off_is_refused() {
        let mut fixture = Fixture::new();
        let offset = fixture::LENGTH - 0x17;
        fixture.write(offset_of!(RomHeader, pci_header_offset), &(offset as u16).to_le_bytes());
        assert_eq!(Image::from_elf(&fixture.elf()).unwrap_err(), Error::PciOutside { offset });
    }

    #[test]
    fn the_code_of_a_call_is_found_by_the_calls_name() {
        let image = Image::from_elf(&Fixture::new().elf()).unwrap();
        assert_eq!(image.entry(Call::IRET).unwrap().offset, fixture::code_of(Call::IRET));
        assert_eq!(image.entry(Call::CPUID), None);
    }

    #[test]
    fn the_relocation_table_has_every_call_and_provides_those_with_code() {
        let image = Image::from_elf(&Fixture::new().elf()).unwrap();
        let entries: Vec<_> = image.relocations().collect();
        assert_eq!(entries.len(), Call::COUNT);
        for entry in entries {
            let call = Call::from_number(entry.number as u32).unwrap();
            let provided = fixture::PROVIDED.contains(&call);
            assert_eq!(entry.kind != RelocationKind::NONE, provided, "{call}");
        }
    }

    #[test]
    fn an_answer_that_no_guest_can_use_is_refused() {
        for (call, kind) in [
            (Call::IRET, RelocationKind::NONE),
            (Call::HALT, RelocationKind::JUMP_REL),
            (Call::GET_INTERRUPT_MASK, RelocationKind::NOP),
            (Call::CPUID, RelocationKind(4)),
        ] {
            let mut fixture = Fixture::new();
            fixture.write(table::kind_of(fixture::RELOCATIONS, call.number() as usize), &[kind.0]);
            let error = Image::from_elf(&fixture.elf()).unwrap_err();
            assert_eq!(error, Error::KindNotAllowed { call, kind });
        }
    }

    #[test]
    fn an_entry_that_leads_elsewhere_than_to_its_code_is_refused() {
        let call = Call::DISABLE_INTERRUPTS;
        let code = fixture::code_of(call) as u32;
        for target in [code - 1, code + 1, u32::MAX] {
            let mut fixture = Fixture::new();
            fixture
                .write(table::target_of(fixture::RELOCATIONS, call.number() as usize), &target.to_le_bytes());
            let error = Image::from_elf(&fixture.elf()).unwrap_err();
            assert_eq!(error, Error::WrongTarget { call, target, code });
        }
    }

    #[test]
    fn a_relocation_table_that_is_not_one_entry_for_each_call_is_refused() {
        let expected = 8 * Call::COUNT;
        for size in [expected - 8, expected + 8] {
            let mut fixture = Fixture::new();
            fixture.symbol("rom_relocations").size = size;
            let error = Image::from_elf(&fixture.elf()).unwrap_err();
            assert_eq!(error, Error::TableSize { size, expected });
        }
    }

    #[test]
    fn code_that_the_table_does_not_provide_is_refused() {
        let mut fixture = Fixture::new();
        fixture.write(
            table::kind_of(fixture::RELOCATIONS, Call::HALT.number() as usize),
            &[RelocationKind::NONE.0],
        );
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::NotProvided { call: Call::HALT });
    }

    #[test]
    fn a_provided_call_without_code_is_refused() {
        let mut fixture = Fixture::new();
        fixture.symbols.retain(|symbol| symbol.name != "vmi_Halt");
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::SymbolMissing { name: "vmi_Halt".to_owned() });
    }

    #[test]
    fn the_generation_is_that_of_the_header() {
        for generation in Generation::ALL {
            let image = Image::from_elf(&Fixture::of(generation).elf()).unwrap();
            assert_eq!(image.generation(), generation);
            assert_eq!(image.relocations_offset().is_some(), generation != Generation::V13_0);
        }
        let mut fixture = Fixture::new();
        fixture.write(offset_of!(RomHeader, api_version_minor), &[1]);
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::Version { major: 3, minor: 1 });
    }

    #[test]
    fn in_13_3_an_answer_leads_to_its_slot_or_is_none() {
        let table = fixture::LEGACY_RELOCATIONS;
        for (slot, kind, target) in [
            (35, RelocationKind::NOP, 0),
            (35, RelocationKind::JUMP_REL, 35 * 32),
            (35, RelocationKind::CALL_REL, 36 * 32),
            (39, RelocationKind::NONE, 0),
            (40, RelocationKind::JUMP_REL, 40 * 32 + 1),
            (3, RelocationKind::CALL_REL, 3 * 32),
        ] {
            let mut fixture = Fixture::legacy(Generation::V13_3);
            fixture.write(table::kind_of(table, slot), &[kind.0]);
            fixture.write(table::target_of(table, slot), &u32::to_le_bytes(target));
            let error = Image::from_elf(&fixture.elf()).unwrap_err();
            assert_eq!(error, Error::SlotAnswer { slot, kind, target });
        }
        let mut fixture = Fixture::legacy(Generation::V13_3);
        fixture.write(table::kind_of(table, 39), &[RelocationKind::JUMP_REL.0]);
        fixture.write(table::kind_of(table, 35), &[RelocationKind::NONE.0]);
        assert!(Image::from_elf(&fixture.elf()).is_ok());
    }
}
