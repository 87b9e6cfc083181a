//! The slot of GetRelocationInfo in 13.3, and its relocation table: every slot's code is at its own place.
//!
//! # Safety
//!
//! The unsafe code is assembly, and one static without references or interior mutability in a read-only
//! section; only `rom.ld` places them.
#![allow(unsafe_code)]

use paravirt_vmi_abi::legacy::{SLOT_GET_RELOCATION_INFO, SLOT_INIT, SLOT_SIZE};
use paravirt_vmi_abi::{Call, RelocationInfo, RelocationKind};

use super::{COUNT, LEAVE};
use crate::slot;

slot_entry!("GetRelocationInfo", slot::dropped("GetRelocationInfo"), ["jmp rom_get_relocation"]);

/// [`RelocationInfo`] with an offset in the image in place of the address, by slot.
///
/// The slots of the time calls are answered like all others: the one guest of this version that is known
/// stops when a slot is not CALL_REL, and the frequency of 0 says what NONE would say.
#[used]
#[unsafe(export_name = "rom_relocations")]
#[unsafe(link_section = ".rom.tables")]
static RELOCATIONS: [RelocationInfo; COUNT] = {
    let mut table = [RelocationInfo::new(RelocationKind::NONE, 0); COUNT];
    let mut number = SLOT_INIT;
    while (number as usize) < COUNT {
        let kind = kind(number);
        if kind.0 != RelocationKind::NONE.0 {
            table[number as usize] = RelocationInfo::new(kind, SLOT_SIZE * number as u32);
        }
        number += 1;
    }
    table
};

/// The answer for a slot.
const fn kind(number: u8) -> RelocationKind {
    if number == slot::of(Call::IRET) || number == slot::of(Call::SYSEXIT) {
        return LEAVE;
    }
    let in_every_style = number == SLOT_INIT
        || number == SLOT_GET_RELOCATION_INFO
        || number == slot::of(Call::ENABLE_INTERRUPTS)
        || number == slot::of(Call::DISABLE_INTERRUPTS)
        || number == slot::of(Call::GET_INTERRUPT_MASK)
        || number == slot::of(Call::SET_INTERRUPT_MASK)
        || number == slot::of(Call::HALT)
        || number == slot::of(Call::REBOOT)
        || number == slot::of(Call::SHUTDOWN);
    if in_every_style || !cfg!(feature = "minimal") { RelocationKind::CALL_REL } else { RelocationKind::NONE }
}
