//! [`Image`]: the ROM as it is linked, and the names of what is in it.

use std::ops::Deref;

use paravirt_vmi_abi::{Call, RelocationInfo, RelocationKind, RomHeader};
use paravirt_vmi_rom_image::{self as rom_image, Bend, Generation, Parts, Relocation, field};

use super::elf::{Linked, Symbol, find};
use super::error::Error;
use super::slots;

/// A complete image of the ROM, and where its code is.
#[derive(Clone, Debug)]
pub struct Image {
    image: rom_image::Image,
    symbols: Vec<Symbol>,
}

impl Image {
    /// Makes an image of the ELF file that the linker made of the package `vmi-rom`.
    ///
    /// Checks that the image is read-only and position independent, that it has a header, and that each
    /// call is where the interface says: its relocation leads to its code with an answer that is allowed,
    /// in 13.x its slot holds its code or a jump to that.
    pub fn from_elf(elf: &[u8]) -> Result<Self, Error> {
        let Linked { bytes, symbols } = Linked::read(elf)?;
        let locate =
            |name: &str| find(&symbols, name).ok_or_else(|| Error::SymbolMissing { name: name.to_owned() });
        let generation = generation(&bytes)?;
        let init_status = locate("rom_init_status")?.offset;
        let relocations = match generation.relocations() as usize {
            0 => None,
            count => {
                let (table, expected) = (locate("rom_relocations")?, size_of::<RelocationInfo>() * count);
                if table.size != expected {
                    return Err(Error::TableSize { size: table.size, expected });
                }
                Some(table.offset)
            }
        };
        slots::check(generation, &bytes, &symbols)?;
        let parts = Parts { generation, relocations, init_status };
        let image = rom_image::Image::from_linked(bytes, parts).map_err(Error::Image)?;
        for (number, entry) in image.relocations() {
            check_entry(generation, number, entry, &symbols)?;
        }
        Ok(Self { image, symbols })
    }

    /// The global symbols of the ROM, by offset.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The code of a call, if the ROM provides it.
    pub fn entry(&self, call: Call) -> Option<&Symbol> {
        find(&self.symbols, &format!("vmi_{call}"))
    }

    /// The image with one thing wrong.
    pub fn bend(&self, bend: Bend) -> Self {
        Self { image: self.image.bend(bend), ..self.clone() }
    }

    /// This image with other contents, of any length.
    #[cfg(test)]
    pub(super) fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self { image: self.image.with_bytes(bytes), ..self.clone() }
    }
}

impl Deref for Image {
    type Target = rom_image::Image;

    fn deref(&self) -> &rom_image::Image {
        &self.image
    }
}

/// The generation that the header tells, which has to have its first version.
fn generation(bytes: &[u8]) -> Result<Generation, Error> {
    let header: Option<RomHeader> = field::read_structure(bytes, 0);
    let (major, minor) = header.map_or((0, 0), |header| (header.api_version_major, header.api_version_minor));
    let generation = Generation::of_version(major, minor);
    generation
        .filter(|generation| generation.version() == (major, minor))
        .ok_or(Error::Version { major, minor })
}

/// Checks one entry of the relocation table against the interface and against the code.
fn check_entry(
    generation: Generation,
    number: u32,
    entry: Relocation,
    symbols: &[Symbol],
) -> Result<(), Error> {
    match Call::from_number(number) {
        Some(call) if generation == Generation::V3_0 => check_call(call, entry, symbols),
        _ => check_slot(generation, number, entry),
    }
}

/// Checks the entry of a call of 3.0.
fn check_call(call: Call, entry: Relocation, symbols: &[Symbol]) -> Result<(), Error> {
    let Relocation { kind, offset: target } = entry;
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
fn check_slot(generation: Generation, number: u32, entry: Relocation) -> Result<(), Error> {
    let Relocation { kind, offset: target } = entry;
    let slot = rom_image::slots(generation).into_iter().find(|slot| u32::from(slot.number) == number);
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

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn what_cannot_be_made_an_image_is_refused() {
        let mut fixture = Fixture::new();
        fixture.resize(127 * 512);
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::Image(rom_image::Error::TooLong { length: 127 * 512 }));
        let mut fixture = Fixture::new();
        fixture.write(offset_of!(RomHeader, pci_header_offset), &[0; 2]);
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error.to_string(), "there is no PCI data structure in the image");
    }

    #[test]
    fn the_code_of_a_call_is_found_by_the_calls_name() {
        let fixture = Fixture::new();
        let image = Image::from_elf(&fixture.elf()).unwrap();
        assert_eq!(image.entry(Call::IRET).unwrap().offset, fixture.code_of(Call::IRET));
        assert_eq!(image.entry(Call::CPUID), None);
    }

    #[test]
    fn the_relocation_table_has_every_call_and_leads_to_those_with_code() {
        let image = Image::from_elf(&Fixture::new().elf()).unwrap();
        let entries: Vec<_> = image.relocations().collect();
        assert_eq!(entries.len(), Call::COUNT);
        for (number, entry) in entries {
            let call = Call::from_number(number).unwrap();
            assert_eq!(entry.is_branch(), image.entry(call).is_some(), "{call}");
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
            fixture.answer(call.number(), |entry| Relocation { kind, ..entry });
            let error = Image::from_elf(&fixture.elf()).unwrap_err();
            assert_eq!(error, Error::KindNotAllowed { call, kind });
        }
    }

    #[test]
    fn an_entry_that_leads_elsewhere_than_to_its_code_is_refused() {
        let call = Call::DISABLE_INTERRUPTS;
        let code = Fixture::new().code_of(call) as u32;
        for target in [code - 1, code + 1, u32::MAX] {
            let mut fixture = Fixture::new();
            fixture.answer(call.number(), |_| Relocation::call(target));
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
        fixture.answer(Call::HALT.number(), |_| Relocation::NONE);
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
            assert_eq!(image.parts().relocations.is_some(), generation != Generation::V13_0);
        }
        for (major, minor) in [(3, 1), (13, 1), (4, 0), (0, 0)] {
            let mut fixture = Fixture::new();
            fixture.write(offset_of!(RomHeader, api_version_minor), &[minor, major]);
            let error = Image::from_elf(&fixture.elf()).unwrap_err();
            assert_eq!(error, Error::Version { major, minor });
        }
    }

    #[test]
    fn in_13_3_an_answer_leads_to_its_slot_or_is_none() {
        for (slot, kind, target) in [
            (35, RelocationKind::NOP, 0),
            (35, RelocationKind::JUMP_REL, 35 * 32),
            (35, RelocationKind::CALL_REL, 36 * 32),
            (39, RelocationKind::NONE, 0),
            (40, RelocationKind::JUMP_REL, 40 * 32 + 1),
            (3, RelocationKind::CALL_REL, 3 * 32),
        ] {
            let mut fixture = Fixture::of(Generation::V13_3);
            fixture.answer(slot, |_| Relocation { kind, offset: target });
            let error = Image::from_elf(&fixture.elf()).unwrap_err();
            assert_eq!(error, Error::SlotAnswer { slot, kind, target });
        }
        let mut fixture = Fixture::of(Generation::V13_3);
        fixture.answer(39, |entry| Relocation { kind: RelocationKind::JUMP_REL, ..entry });
        fixture.answer(35, |_| Relocation::NONE);
        assert!(Image::from_elf(&fixture.elf()).is_ok());
    }
}
