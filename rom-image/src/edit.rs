//! Images with a field, an answer or a byte changed. The checksum stays right.

use paravirt_vmi_abi::legacy::SLOT_SIZE;
use paravirt_vmi_abi::{Call, PciDataStructure, PnpExpansionHeader, RelocationKind, RomHeader};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use crate::field;
use crate::image::{Image, UNIT, UNITS_MAX, resum};
use crate::table::{self, Relocation};

impl Image {
    /// The image with any fields changed: of its header, its PCI data structure and its PnP header.
    ///
    /// They are found where they were made, even if the header no longer leads to them. One that has been cut off
    /// reads as zero, and what is written to it is lost.
    ///
    /// ```
    /// use paravirt_vmi_rom_image::{Generation, Image};
    ///
    /// let image = Image::new(Generation::V3_0).edit(|header, pci, _| {
    ///     header.api_version_minor = 7;
    ///     pci.vendor_id = 0x1AF4.into();
    /// });
    /// assert_eq!(image.bytes()[0x0C], 7);
    /// ```
    pub fn edit(
        &self,
        change: impl FnOnce(&mut RomHeader, &mut PciDataStructure, &mut PnpExpansionHeader),
    ) -> Self {
        let mut header = self.header().unwrap_or_else(RomHeader::new_zeroed);
        let mut pci = self.pci().unwrap_or_else(PciDataStructure::new_zeroed);
        let mut pnp = self.pnp().unwrap_or_else(PnpExpansionHeader::new_zeroed);
        change(&mut header, &mut pci, &mut pnp);
        self.edit_bytes(|bytes| {
            put(bytes, 0, &header);
            put(bytes, self.pci, &pci);
            put(bytes, self.pnp, &pnp);
        })
    }

    /// The image with any bytes changed, or cut off. Afterwards the last byte is chosen so that the sum is 0.
    pub fn edit_bytes(&self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = self.bytes().to_vec();
        change(&mut bytes);
        resum(&mut bytes);
        self.with_bytes(bytes)
    }

    /// The image whose vmi_init returns `status`.
    ///
    /// # Panics
    ///
    /// If the status has been cut off: the test asks for what cannot be.
    #[track_caller]
    pub fn with_init_status(&self, status: u32) -> Self {
        let place = self.parts().init_status;
        assert!(self.init_status().is_some(), "the status of vmi_init at {place:#x} has been cut off");
        self.edit_bytes(|bytes| bytes[place..place + 4].copy_from_slice(&status.to_le_bytes()))
    }

    /// The image whose GetRelocationInfo answers `relocation` for `call`.
    ///
    /// ```
    /// use paravirt_vmi_abi::{Call, RelocationKind};
    /// use paravirt_vmi_rom_image::{Generation, Image, Relocation};
    ///
    /// let outside = Relocation { kind: RelocationKind::CALL_REL, offset: 0xFFFF };
    /// let image = Image::new(Generation::V3_0).with_answer(Call::HALT, outside);
    /// assert_eq!(image.answer(35, 0xC000_0000).eip.get(), 0xC000_FFFF);
    /// ```
    ///
    /// # Panics
    ///
    /// If the image has no answer for the call, as in 13.0: the test asks for what cannot be.
    #[track_caller]
    pub fn with_answer(&self, call: Call, relocation: Relocation) -> Self {
        let number = self.generation().relocation_number(call);
        let Some(number) = number.filter(|&number| self.relocation(number).is_some()) else {
            panic!("a ROM of generation {} has no answer for {call} to be changed", self.generation());
        };
        self.with_answers(|asked, answer| if asked == number { relocation } else { answer })
    }

    /// The image with every answer as `change` makes it of the number that is asked for, of a call or in 13.3 of
    /// a slot, and the answer so far. In 13.0 there is none.
    pub fn with_answers(&self, mut change: impl FnMut(u32, Relocation) -> Relocation) -> Self {
        let Some(table) = self.parts().relocations else { return self.clone() };
        self.edit_bytes(|bytes| {
            for (number, answer) in self.relocations() {
                let Relocation { kind, offset } = change(number, answer);
                bytes[table::kind_of(table, number as usize)] = kind.0;
                let target = table::target_of(table, number as usize);
                bytes[target..target + 4].copy_from_slice(&offset.to_le_bytes());
            }
        })
    }

    /// The image in which `code` is what `call` does: in 13.x it lies in the call's slot, and in 3.0 behind all else,
    /// to be reached by a call.
    ///
    /// ```
    /// use paravirt_vmi_abi::Call;
    /// use paravirt_vmi_rom_image::{Generation, Image};
    ///
    /// let image = Image::new(Generation::V3_0).with_code(Call::DISABLE_INTERRUPTS, &[0xFA, 0xC3]);
    /// let offset = image.relocation(30).unwrap().offset as usize;
    /// assert_eq!(image.bytes()[offset..offset + 2], [0xFA, 0xC3]); // cli; ret
    /// ```
    ///
    /// # Panics
    ///
    /// If the code is longer than a slot, or if there is no room for it: the test asks for what cannot be.
    #[track_caller]
    pub fn with_code(&self, call: Call, code: &[u8]) -> Self {
        assert!(code.len() <= SLOT_SIZE as usize, "{} bytes of code do not fit into a slot", code.len());
        if let Some(slot) = self.generation().slot(call) {
            let place = SLOT_SIZE as usize * usize::from(slot.number);
            return self.edit_bytes(|bytes| bytes[place..place + code.len()].copy_from_slice(code));
        }
        let place = self.bytes().len();
        let units = (place + UNIT) / UNIT;
        assert!(units <= UNITS_MAX, "an image of {place:#x} bytes cannot grow");
        let longer = self.edit_bytes(|bytes| {
            bytes.extend(code);
            bytes.resize(units * UNIT, 0);
        });
        let longer = longer.edit(|header, pci, _| {
            header.rom_length = units as u8;
            pci.image_length = (units as u16).into();
        });
        longer.with_answer(call, Relocation { kind: RelocationKind::CALL_REL, offset: place as u32 })
    }

    /// The word at a field of the header, as an offset in the image; 0 if it has been cut off.
    pub(crate) fn offset_in_header(&self, field: usize) -> usize {
        field::read_offset(self.bytes(), field).unwrap_or_default()
    }
}

/// Writes a structure, if it lies inside `bytes`.
fn put(bytes: &mut [u8], offset: usize, structure: &(impl IntoBytes + Immutable)) {
    let structure = structure.as_bytes();
    let place = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..structure.len()));
    if let Some(place) = place {
        place.copy_from_slice(structure);
    }
}
