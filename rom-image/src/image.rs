//! [`Image`]: the bytes of a ROM, and where its parts are.

use std::mem::offset_of;

use paravirt_vmi_abi::header::{ROM_INIT_OFFSET, ROM_LENGTH_UNIT};
use paravirt_vmi_abi::{
    Call, Generation, PciDataStructure, PnpExpansionHeader, Provision, RelocationInfo, RomHeader, Style,
};

use crate::error::Error;
use crate::fake;
use crate::field;
use crate::table::{self, Relocation};

/// Bytes in one unit of an option ROM's length.
pub(crate) const UNIT: usize = ROM_LENGTH_UNIT as usize;

/// The longest image, in units. The 16-bit offsets of the header reach every byte of it, and a reader
/// that takes the length byte for a signed number, as guests of 13.x do, is right.
pub(crate) const UNITS_MAX: usize = 127;

/// Where a ROM's program has its data: what cannot be learnt from the header. Offsets from the start of the
/// image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The generation of the interface that the ROM's code implements.
    pub generation: Generation,
    /// The relocation table: an entry of 8 bytes for each number that GetRelocationInfo can be asked for, a
    /// [`RelocationInfo`] with an offset in the image in place of the address. `None` in 13.0, which has none.
    pub relocations: Option<usize>,
    /// The status that vmi_init returns, 4 bytes.
    pub init_status: usize,
}

/// A ROM image that firmware accepts, or one that has been bent so that something no longer does.
///
/// What the ROM's code would do is known from the bytes: [`init_status`](Self::init_status) and
/// [`answer`](Self::answer). Where the parts lie is remembered from the making, so that an image whose header has
/// been bent can still be asked, and bent further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    bytes: Vec<u8>,
    parts: Parts,
    pub(crate) pci: usize,
    pub(crate) pnp: usize,
}

impl Image {
    /// A sound ROM that provides every call, and has no code.
    pub fn new(generation: Generation) -> Self {
        Self::providing(Provision::new(generation, Style::Full))
    }

    /// A sound ROM that provides what `provision` says, and has no code: header, PnP header, PCI data structure,
    /// strings, the status 0 of vmi_init, and the relocation table.
    ///
    /// Every call that is provided has a byte of its own to which its relocation leads, in 13.x the slot. There,
    /// and at the two entry points, lies `int3`.
    pub fn providing(provision: Provision) -> Self {
        let (bytes, parts) = fake::linked(provision);
        Self::from_linked(bytes, parts).expect("an image without code is short and complete")
    }

    /// The image that a linker has left, made acceptable to firmware: padded to whole units of 512 bytes, with
    /// its two lengths filled in, and the last byte chosen so that the sum is 0.
    ///
    /// # Errors
    ///
    /// If the image is too long, or if its header, its PCI data structure, its PnP header or one of `parts` does
    /// not lie inside it.
    pub fn from_linked(mut bytes: Vec<u8>, parts: Parts) -> Result<Self, Error> {
        let length = bytes.len();
        // One byte of padding at least: the last byte makes the sum right.
        let units = (length + 1).div_ceil(UNIT);
        if units > UNITS_MAX {
            return Err(Error::TooLong { length });
        }
        let inside = |part, offset: usize, size| match offset.checked_add(size) {
            Some(end) if end <= length => Ok(offset),
            _ => Err(Error::PartOutside { part, offset, size, length }),
        };
        // Where a structure lies, of which the offset at `field` of the header tells.
        let behind = |part, field, size| match field::read_offset(&bytes, field) {
            Some(0) | None => Err(Error::PartOutside { part, offset: 0, size, length }),
            Some(offset) => inside(part, offset, size),
        };
        inside("header", 0, size_of::<RomHeader>())?;
        let field = offset_of!(RomHeader, pci_header_offset);
        let pci = behind("PCI data structure", field, size_of::<PciDataStructure>())?;
        let field = offset_of!(RomHeader, pnp_header_offset);
        let pnp = behind("PnP header", field, size_of::<PnpExpansionHeader>())?;
        inside("status of vmi_init", parts.init_status, 4)?;
        let generation = parts.generation;
        match (generation.relocations() as usize, parts.relocations) {
            (0, _) => {}
            (_, None) => return Err(Error::NoRelocations { generation }),
            (count, Some(offset)) => {
                inside("relocation table", offset, table::ENTRY_SIZE * count)?;
            }
        }
        bytes.resize(units * UNIT, 0);
        bytes[offset_of!(RomHeader, rom_length)] = units as u8;
        let image_length = pci + offset_of!(PciDataStructure, image_length);
        bytes[image_length..image_length + 2].copy_from_slice(&(units as u16).to_le_bytes());
        resum(&mut bytes);
        Ok(Self { bytes, parts, pci, pnp })
    }

    /// The bytes: what lies in the option-ROM window.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, to be changed by hand: the checksum is then the caller's.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// This image with other bytes, of any length, as they are: the checksum is the caller's. The parts are taken
    /// to be where they were.
    pub fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self { bytes, ..self.clone() }
    }

    /// The generation of the interface that the ROM's code implements, whatever its header says.
    pub fn generation(&self) -> Generation {
        self.parts.generation
    }

    /// Where the ROM's program has its data.
    pub fn parts(&self) -> Parts {
        self.parts
    }

    /// The header, if the bytes have not been cut off inside it.
    pub fn header(&self) -> Option<RomHeader> {
        field::read_structure(&self.bytes, 0)
    }

    /// The PCI data structure as it was made, whether the header still leads to it or not.
    pub fn pci(&self) -> Option<PciDataStructure> {
        field::read_structure(&self.bytes, self.pci)
    }

    /// The PnP header as it was made, whether the ROM's header still leads to it or not.
    pub fn pnp(&self) -> Option<PnpExpansionHeader> {
        field::read_structure(&self.bytes, self.pnp)
    }

    /// Offset of the entry point vmi_init.
    pub const fn init_entry(&self) -> u32 {
        ROM_INIT_OFFSET
    }

    /// What vmi_init returns; `None` if the bytes have been cut off in front of it.
    pub fn init_status(&self) -> Option<u32> {
        field::read(&self.bytes, self.parts.init_status, 4)
    }

    /// The entry of a number in the relocation table: of a call in 3.0, of a slot in 13.3. `None` for a number
    /// that the table does not have, or if the bytes have been cut off in front of it.
    pub fn relocation(&self, number: u32) -> Option<Relocation> {
        let table = self.parts.relocations?;
        let is_there = number < self.generation().relocations();
        is_there.then(|| table::entry(&self.bytes, table, number as usize))?
    }

    /// The relocation table, number and entry.
    pub fn relocations(&self) -> impl Iterator<Item = (u32, Relocation)> + '_ {
        (0..self.generation().relocations()).map_while(|number| Some((number, self.relocation(number)?)))
    }

    /// What GetRelocationInfo answers for a number, in the ROM that is called at linear address `base`.
    ///
    /// A number that the table does not have is a call that is not provided.
    pub fn answer(&self, number: u32, base: u32) -> RelocationInfo {
        self.relocation(number).unwrap_or(Relocation::NONE).answer(base)
    }

    /// The call that is asked for by a number, if it is one of 3.0.
    pub fn call(&self, number: u32) -> Option<Call> {
        Call::all().find(|&call| self.generation().relocation_number(call) == Some(number))
    }
}

impl AsRef<[u8]> for Image {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Sets the last byte so that all bytes add up to 0 modulo 256.
pub(crate) fn resum(bytes: &mut [u8]) {
    let sum = field::sum(bytes);
    if let Some(last) = bytes.last_mut() {
        *last = last.wrapping_sub(sum);
    }
}
