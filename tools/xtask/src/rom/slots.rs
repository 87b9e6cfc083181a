//! The slots of a 13.x ROM: what lies in each, and whether it is there.

use paravirt_vmi_abi::legacy::{LEGACY_CALLS, SLOT_INIT, SLOT_SIZE, SLOTS_13_0, SLOTS_13_3};
use paravirt_vmi_abi::{CALLS, Call};

use super::elf::Symbol;
use super::error::Error;
use super::field;
use super::flavour::Generation;
use super::image::find;

/// A jump with a 32-bit displacement: its opcode, and its length.
const JUMP: (u8, usize) = (0xE9, 5);

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its number: it lies at 32 times that.
    pub number: u8,
    /// The name of its call; that of a slot that 13.3 replaced by a newer one ends in 0.
    pub name: String,
    /// The call with the arguments of 3.0 or 13.0, unless the generation has a newer slot for it.
    pub call: Option<Call>,
}

impl Slot {
    /// Offset of the slot in the image.
    pub const fn offset(&self) -> usize {
        SLOT_SIZE as usize * self.number as usize
    }
}

/// The number of slots of a generation; the first four overlay the header.
pub const fn count(generation: Generation) -> usize {
    match generation {
        Generation::V3_0 => 0,
        Generation::V13_0 => SLOTS_13_0 as usize,
        Generation::V13_3 => SLOTS_13_3 as usize,
    }
}

/// The slot of a call, if the generation has slots and the call has one.
pub fn of(generation: Generation, call: Call) -> Option<u8> {
    let slot = match generation {
        Generation::V3_0 => None,
        Generation::V13_0 => call.info().slot_13_0,
        Generation::V13_3 => call.info().slot_13_3,
    };
    slot.map(|slot| slot.number)
}

/// All slots with code, in order of number.
pub fn all(generation: Generation) -> Vec<Slot> {
    let count = count(generation);
    let mut slots = Vec::new();
    for info in &CALLS {
        let newest = of(generation, info.call);
        let first = info.slot_13_0.map(|slot| slot.number).filter(|_| count > 0);
        slots.extend(newest.map(|number| Slot { number, name: info.name.to_owned(), call: Some(info.call) }));
        let replaced = first.filter(|&number| newest != Some(number));
        slots.extend(replaced.map(|number| Slot { number, name: format!("{}0", info.name), call: None }));
    }
    let dropped = LEGACY_CALLS.iter().filter(|call| usize::from(call.slot) < count);
    slots.extend(dropped.map(|call| Slot { number: call.slot, name: call.name.to_owned(), call: None }));
    slots.sort_by_key(|slot| slot.number);
    slots
}

/// Checks that every slot inside the generation's table holds its call's code or a jump to that.
pub fn check(generation: Generation, bytes: &[u8], symbols: &[Symbol]) -> Result<(), Error> {
    let slots = all(generation);
    let numbers: Vec<_> = slots.iter().map(|slot| usize::from(slot.number)).collect();
    let expected = usize::from(SLOT_INIT)..count(generation);
    assert!(expected.is_empty() || numbers == expected.collect::<Vec<_>>(), "a slot has no call, or two");
    for slot in &slots {
        let name = format!("vmi_{}", slot.name);
        let code = find(symbols, &name).ok_or(Error::SymbolMissing { name })?;
        let fits = code.offset == slot.offset() && code.size <= SLOT_SIZE as usize;
        if !fits && jump_target(bytes, slot.offset()) != Some(code.offset) {
            let (slot, name) = (slot.number, slot.name.clone());
            return Err(Error::NotInSlot { slot, name, code: code.offset });
        }
    }
    Ok(())
}

/// Where the jump at `offset` leads, if there is one.
fn jump_target(bytes: &[u8], offset: usize) -> Option<usize> {
    let (opcode, length) = JUMP;
    if *bytes.get(offset)? != opcode {
        return None;
    }
    let displacement = field::read(bytes, offset + 1, 4)?;
    Some(((offset + length) as u32).wrapping_add(displacement) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::super::image::Image;
    use super::*;

    fn name_of(generation: Generation, number: u8) -> String {
        let slots = all(generation);
        slots.into_iter().find(|slot| slot.number == number).expect("a slot").name
    }

    #[test]
    fn every_slot_from_the_fourth_on_has_one_call() {
        for (generation, last) in [(Generation::V13_0, 84), (Generation::V13_3, 87)] {
            let numbers: Vec<_> = all(generation).iter().map(|slot| slot.number).collect();
            assert_eq!(numbers, (4..=last).collect::<Vec<_>>());
        }
        assert_eq!(all(Generation::V3_0), []);
    }

    #[test]
    fn the_newer_slot_has_the_name_of_the_call() {
        assert_eq!(name_of(Generation::V13_0, 45), "SetPxE");
        assert_eq!(name_of(Generation::V13_3, 45), "SetPxE0");
        assert_eq!(name_of(Generation::V13_3, 86), "SetPxE");
        assert_eq!(name_of(Generation::V13_3, 85), "GetRelocationInfo");
        assert_eq!(of(Generation::V13_3, Call::SET_LAZY_MODE), None);
    }

    #[test]
    fn code_elsewhere_is_accepted_only_if_its_slot_jumps_there() {
        let mut fixture = Fixture::legacy(Generation::V13_0);
        let iret = fixture.symbol("vmi_IRET");
        let slot = iret.offset;
        iret.offset = 0xC00;
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::NotInSlot { slot: 39, name: "IRET".to_owned(), code: 0xC00 });
        fixture.write(slot, &[0xE9]);
        fixture.write(slot + 1, &(0xC00 - (slot as u32 + 5)).to_le_bytes());
        assert!(Image::from_elf(&fixture.elf()).is_ok());
        fixture.write(slot + 1, &(0xC00 - slot as u32).to_le_bytes());
        assert!(Image::from_elf(&fixture.elf()).is_err());
    }

    #[test]
    fn code_that_is_longer_than_its_slot_is_refused() {
        let mut fixture = Fixture::legacy(Generation::V13_3);
        fixture.symbol("vmi_CPUID").size = 32;
        assert!(Image::from_elf(&fixture.elf()).is_ok());
        fixture.symbol("vmi_CPUID").size = 33;
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::NotInSlot { slot: 5, name: "CPUID".to_owned(), code: 0xA0 });
    }

    #[test]
    fn a_slot_without_code_is_refused() {
        let mut fixture = Fixture::legacy(Generation::V13_0);
        fixture.symbols.retain(|symbol| symbol.name != "vmi_INVD");
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::SymbolMissing { name: "vmi_INVD".to_owned() });
    }
}
