//! The slots of a 13.x ROM: whether the code of each is there.

use paravirt_vmi_abi::legacy::SLOT_SIZE;
use paravirt_vmi_rom_image::{Generation, field, slots};

use super::elf::{Symbol, find};
use super::error::Error;

/// A jump with a 32-bit displacement: its opcode, and its length.
const JUMP: (u8, usize) = (0xE9, 5);

/// Checks that every slot inside the generation's table holds its call's code or a jump to that.
pub fn check(generation: Generation, bytes: &[u8], symbols: &[Symbol]) -> Result<(), Error> {
    for slot in slots(generation) {
        let name = format!("vmi_{}", slot.name);
        let code = find(symbols, &name).ok_or(Error::SymbolMissing { name })?;
        let fits = code.offset == slot.offset() && code.size <= SLOT_SIZE as usize;
        if !fits && jump_target(bytes, slot.offset()) != Some(code.offset) {
            let (slot, name) = (slot.number, slot.name);
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

    #[test]
    fn code_elsewhere_is_accepted_only_if_its_slot_jumps_there() {
        let mut fixture = Fixture::of(Generation::V13_0);
        fixture.resize(0x1000);
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
        let mut fixture = Fixture::of(Generation::V13_3);
        fixture.symbol("vmi_CPUID").size = 32;
        assert!(Image::from_elf(&fixture.elf()).is_ok());
        fixture.symbol("vmi_CPUID").size = 33;
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::NotInSlot { slot: 5, name: "CPUID".to_owned(), code: 0xA0 });
    }

    #[test]
    fn a_slot_without_code_is_refused() {
        let mut fixture = Fixture::of(Generation::V13_0);
        fixture.symbols.retain(|symbol| symbol.name != "vmi_INVD");
        let error = Image::from_elf(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::SymbolMissing { name: "vmi_INVD".to_owned() });
    }
}
