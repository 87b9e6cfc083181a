//! [`Rom`]: a ROM image in which everything has been checked.

use core::ffi::CStr;
use core::ops::Range;

use paravirt_vmi_abi::header::{LICENSES, ROM_INIT_OFFSET, ROM_SIGNATURE, VROM_SIGNATURE};
use paravirt_vmi_abi::{Call, Generation, PciDataStructure, PnpExpansionHeader, RomHeader, pci, pnp};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::error::{RomDefect, RomError};
use super::generation::{self, Adapter};
use crate::patch::{Relocation, RelocationError, RelocationTable};

/// A VMI ROM: signatures, length, checksum, version, the bounds of every offset in its headers, and in 13.x
/// those of its slots are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rom<'a> {
    address: u32,
    image: &'a [u8],
    header: &'a RomHeader,
    generation: Generation,
    pci: Option<&'a PciDataStructure>,
    pnp: Option<&'a PnpExpansionHeader>,
    license: Option<&'a CStr>,
    manufacturer: Option<&'a CStr>,
    product: Option<&'a CStr>,
}

impl<'a> Rom<'a> {
    /// Checks the ROM that starts at physical address `address`, where `bytes` begin.
    ///
    /// Bytes behind the ROM's own length are not looked at.
    ///
    /// # Errors
    ///
    /// The first defect found; nothing is trusted before it has been checked.
    pub fn parse(bytes: &'a [u8], address: u32) -> Result<Self, RomError> {
        Self::check(bytes, address).map_err(|defect| RomError { address, defect })
    }

    fn check(bytes: &'a [u8], address: u32) -> Result<Self, RomDefect> {
        let Ok((header, _)) = RomHeader::ref_from_prefix(bytes) else {
            return Err(RomDefect::Truncated { available: bytes.len() });
        };
        let found = header.rom_signature.get();
        if found != ROM_SIGNATURE {
            return Err(RomDefect::Signature { found });
        }
        let found = header.vrom_signature.get();
        if found != VROM_SIGNATURE {
            return Err(RomDefect::VmiSignature { found });
        }
        let length = header.length() as usize;
        if length < size_of::<RomHeader>() {
            return Err(RomDefect::TooShort { length });
        }
        let available = bytes.len();
        let image = bytes.get(..length).ok_or(RomDefect::BeyondWindow { length, available })?;
        let sum = image.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        if sum != 0 {
            return Err(RomDefect::Checksum { sum });
        }
        let (major, minor) = (header.api_version_major, header.api_version_minor);
        let generation = Generation::of_version(major, minor).ok_or(RomDefect::Version { major, minor })?;
        let fields = Fields { image };
        let found = header.license_offset.get();
        if generation != Generation::V3_0 && fields.is_license(found) {
            return Err(RomDefect::LicenseOfOtherGeneration { major, minor, found });
        }
        let end = generation.fixed_length();
        if end > length {
            return Err(RomDefect::SlotsOutside { end, length });
        }
        let pci =
            fields.structure::<PciDataStructure>("pci_header_offset", header.pci_header_offset.get())?;
        if pci.is_none() && generation == Generation::V3_0 {
            return Err(RomDefect::NoPciHeader);
        }
        if let Some(pci) = pci.filter(|pci| pci.signature != pci::SIGNATURE) {
            let offset = header.pci_header_offset.get();
            return Err(RomDefect::PciSignature { offset, found: pci.signature });
        }
        let pnp =
            fields.structure::<PnpExpansionHeader>("pnp_header_offset", header.pnp_header_offset.get())?;
        if let Some(pnp) = pnp.filter(|pnp| pnp.signature != pnp::SIGNATURE) {
            let offset = header.pnp_header_offset.get();
            return Err(RomDefect::PnpSignature { offset, found: pnp.signature });
        }
        let string = |field, offset: Option<u16>| fields.string(field, offset.unwrap_or(0));
        // In 13.x these bytes are reserved.
        let license_offset = Some(header.license_offset.get()).filter(|_| generation == Generation::V3_0);
        Ok(Self {
            address,
            image,
            header,
            generation,
            pci,
            pnp,
            license: string("license_offset", license_offset)?,
            manufacturer: string("manufacturer_offset", pnp.map(|p| p.manufacturer_offset.get()))?,
            product: string("product_offset", pnp.map(|p| p.product_offset.get()))?,
        })
    }

    /// Physical address of the ROM's first byte.
    pub fn address(&self) -> u32 {
        self.address
    }

    /// The bytes of the ROM, as many as its header says.
    pub fn image(&self) -> &'a [u8] {
        self.image
    }

    /// Physical addresses of the ROM's bytes.
    pub fn range(&self) -> Range<u32> {
        self.address..self.address.saturating_add(self.image.len() as u32)
    }

    /// The header. In 13.x `jump_slots`, `virtual_top`, `license_offset` and what follows `rom_pad3` have no
    /// meaning.
    pub fn header(&self) -> &'a RomHeader {
        self.header
    }

    /// Major and minor version of the interface.
    pub fn api_version(&self) -> (u8, u8) {
        (self.header.api_version_major, self.header.api_version_minor)
    }

    /// The generation of the interface.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Lowest linear address that belongs to the hypervisor; 0 claims nothing, and in 13.x nothing is said.
    ///
    /// The kernel owes the hypervisor everything from here up: it must not map anything there.
    pub fn virtual_top(&self) -> u32 {
        match self.generation {
            Generation::V3_0 => self.header.virtual_top.get(),
            Generation::V13_0 | Generation::V13_3 => 0,
        }
    }

    /// The PCI data structure; a ROM of 13.x may have none. Its vendor and device are not checked: 15AD:0801
    /// is VMware's.
    pub fn pci(&self) -> Option<&'a PciDataStructure> {
        self.pci
    }

    /// The plug-and-play expansion header, if there is one.
    pub fn pnp(&self) -> Option<&'a PnpExpansionHeader> {
        self.pnp
    }

    /// The licence string, if there is one; 13.x has none. Linux takes `GPL` and `GPL v2` only.
    pub fn license(&self) -> Option<&'a CStr> {
        self.license
    }

    /// Who made the ROM, if its plug-and-play header says so.
    pub fn manufacturer(&self) -> Option<&'a CStr> {
        self.manufacturer
    }

    /// What the ROM calls itself, if its plug-and-play header says so.
    pub fn product(&self) -> Option<&'a CStr> {
        self.product
    }

    /// Physical address of vmi_init.
    pub(crate) fn init_entry(&self) -> u32 {
        self.address.wrapping_add(ROM_INIT_OFFSET)
    }

    /// How the ROM, which is mapped at linear address `base`, wants each call to be reached. `ask` is
    /// GetRelocationInfo: the linear address of its entry point, and the number to ask for.
    ///
    /// Where [adapters](Self::bind_adapters) stand in front of calls is still to be filled in.
    ///
    /// # Errors
    ///
    /// The first answer that no guest can act on.
    pub fn relocations(
        &self,
        base: u32,
        mut ask: impl FnMut(u32, u32) -> Relocation,
    ) -> Result<RelocationTable, RelocationError> {
        let range = base..base.saturating_add(self.image.len() as u32);
        RelocationTable::query_kinds(range, self.generation.relocation_kinds(), |call| {
            self.relocation(call, base, &mut ask)
        })
    }

    /// Puts the kernel's adapters in front of the calls that this ROM wants to be reached otherwise than by the
    /// conventions of 3.0. `bind` makes one lead to a linear address in the ROM, and returns the adapter's own:
    /// sites call that instead.
    pub fn bind_adapters(
        &self,
        relocations: &mut RelocationTable,
        mut bind: impl FnMut(Adapter, u32) -> u32,
    ) {
        for call in Call::all() {
            if let Some(adapter) = self.adapter(call) {
                relocations.put_in_front(call, adapter, |target| bind(adapter, target));
            }
        }
    }

    /// How one call is to be reached, unchecked.
    pub(crate) fn relocation(
        &self,
        call: Call,
        base: u32,
        ask: impl FnMut(u32, u32) -> Relocation,
    ) -> Relocation {
        generation::relocation(self.generation, call, base, ask)
    }

    /// What stands between the sites of `call` and the ROM.
    pub(crate) fn adapter(&self, call: Call) -> Option<Adapter> {
        generation::adapter(self.generation, call)
    }
}

/// Follows the offsets of a header.
struct Fields<'a> {
    image: &'a [u8],
}

impl<'a> Fields<'a> {
    /// What lies behind `offset`, which the header field `field` holds; `None` for offset 0, which
    /// means that there is nothing.
    fn behind(&self, field: &'static str, offset: u16) -> Result<Option<&'a [u8]>, RomDefect> {
        match usize::from(offset) {
            0 => Ok(None),
            start => self.image.get(start..).map(Some).ok_or(self.outside(field, offset)),
        }
    }

    /// The structure at `offset`.
    fn structure<T: FromBytes + Immutable + KnownLayout + Unaligned>(
        &self,
        field: &'static str,
        offset: u16,
    ) -> Result<Option<&'a T>, RomDefect> {
        let Some(bytes) = self.behind(field, offset)? else { return Ok(None) };
        match T::ref_from_prefix(bytes) {
            Ok((structure, _)) => Ok(Some(structure)),
            Err(_) => Err(self.outside(field, offset)),
        }
    }

    /// The string at `offset`.
    fn string(&self, field: &'static str, offset: u16) -> Result<Option<&'a CStr>, RomDefect> {
        let Some(bytes) = self.behind(field, offset)? else { return Ok(None) };
        match CStr::from_bytes_until_nul(bytes) {
            Ok(string) => Ok(Some(string)),
            Err(_) => Err(RomDefect::UnterminatedString { field, offset }),
        }
    }

    /// Whether a licence string of 3.0 lies at `offset`.
    fn is_license(&self, offset: u16) -> bool {
        let license = self.string("license_offset", offset).ok().flatten();
        license.is_some_and(|license| LICENSES.iter().any(|known| known.as_bytes() == license.to_bytes()))
    }

    fn outside(&self, field: &'static str, offset: u16) -> RomDefect {
        RomDefect::OffsetOutside { field, offset, length: self.image.len() }
    }
}
