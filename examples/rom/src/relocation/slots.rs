//! The slot of GetRelocationInfo in 13.3, and its relocation table: every slot's code is at its own place.
//!
//! # Safety
//!
//! The unsafe code is assembly, and one static without references or interior mutability in a read-only
//! section; only `rom.ld` places them.
#![allow(unsafe_code)]

use paravirt_vmi_abi::legacy::{SLOT_INIT, SLOT_SIZE};
use paravirt_vmi_abi::{RelocationInfo, RelocationKind};

use super::{COUNT, PROVISION};
use crate::slot;

slot_entry!("GetRelocationInfo", slot::dropped("GetRelocationInfo"), ["jmp rom_get_relocation"]);

/// [`RelocationInfo`] with an offset in the image in place of the address, by slot.
#[used]
#[unsafe(export_name = "rom_relocations")]
#[unsafe(link_section = ".rom.tables")]
static RELOCATIONS: [RelocationInfo; COUNT] = {
    let mut table = [RelocationInfo::new(RelocationKind::NONE, 0); COUNT];
    let mut number = SLOT_INIT as u32;
    while (number as usize) < COUNT {
        let kind = PROVISION.answer(number);
        if kind.0 != RelocationKind::NONE.0 {
            table[number as usize] = RelocationInfo::new(kind, SLOT_SIZE * number);
        }
        number += 1;
    }
    table
};
