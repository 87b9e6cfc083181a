//! [`Patched`]: the text as it would be after patching, made by the guest crate's own probe and plan.

use std::fmt;

use paravirt_vmi::patch::{
    CallReport, Plan, PlanError, Relocation, RelocationError, SiteReport, TextError, TextErrorReason,
    TextWriter,
};
use paravirt_vmi::rom::{Adapter, Generation, Rom, RomError};
use paravirt_vmi::site::{RecordError, SiteTable};

use crate::kernel::{ADAPTERS, Kernel};
use crate::rom::{self, AskError};
use crate::site::Sites;

/// Where the ROM lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its physical address.
    pub rom: u32,
    /// The linear address at which the kernel maps physical address 0.
    pub physical_offset: u32,
}

/// As where QEMU without other ROMs puts it, in a kernel that maps memory as the example kernel does.
impl Default for Place {
    fn default() -> Self {
        Self { rom: 0xC3000, physical_offset: 0xC000_0000 }
    }
}

/// What a kernel makes of a ROM.
#[derive(Clone, Debug)]
pub struct Patched {
    /// The generation of the ROM.
    pub generation: Generation,
    /// Linear address of the ROM.
    pub base: u32,
    /// What happens to each call.
    pub calls: Vec<CallReport>,
    /// What happens to each site, in order of the records.
    pub sites: Vec<SiteReport>,
}

/// Why a kernel would not be patched, or not so that it can be foreseen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// The ROM is not one that a guest uses.
    Rom(RomError),
    /// The ROM's answer is not known.
    Ask(AskError),
    /// The ROM's answer cannot be acted on.
    Relocation(RelocationError),
    /// The section of site records is not whole.
    Records(RecordError),
    /// A site is not what it must be.
    Plan(PlanError),
    /// A slot of the ROM takes an adapter of the kernel, and no symbol says where that is.
    NoAdapter {
        /// The adapter's symbol.
        symbol: String,
    },
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rom(error) => error.fmt(f),
            Self::Ask(error) => error.fmt(f),
            Self::Relocation(error) => error.fmt(f),
            Self::Records(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::NoAdapter { symbol } => {
                write!(f, "this ROM needs the kernel's {symbol}, and no symbol says where that is")
            }
        }
    }
}

impl std::error::Error for PatchError {}

impl Patched {
    /// Plans what the guest crate in `kernel` does when it finds the ROM `image` at `place`; `inline` is what the kernel
    /// has in `boot::Options`: whether sites may hold the ROM's own code.
    ///
    /// # Errors
    ///
    /// What would keep the kernel from being patched, and what cannot be foreseen.
    pub fn new(
        kernel: &Kernel<'_>,
        sites: &Sites,
        image: &[u8],
        place: Place,
        inline: bool,
    ) -> Result<Self, PatchError> {
        let rom = Rom::parse(image, place.rom).map_err(PatchError::Rom)?;
        let base = place.physical_offset.wrapping_add(place.rom);
        let (mut unknown, mut missing) = (None, None);
        let ask = |entry, number| {
            rom::ask(rom.image(), base, entry, number).unwrap_or_else(|error| {
                unknown.get_or_insert(error);
                Relocation::NONE
            })
        };
        let bind = |adapter, _| {
            let symbol = symbol(adapter);
            let found = kernel.adapters.iter().find(|(name, _)| *name == symbol).map(|(_, address)| *address);
            if found.is_none() {
                missing.get_or_insert(symbol);
            }
            found.unwrap_or_default()
        };
        let relocations = rom.relocations(base, ask);
        if let Some(error) = unknown {
            return Err(PatchError::Ask(error));
        }
        let mut relocations = relocations.map_err(PatchError::Relocation)?;
        rom.bind_adapters(&mut relocations, bind);
        if inline {
            relocations = relocations.with_inline_code(base, rom.image());
        }
        let (address, records) =
            kernel.records.map_or((0, &[][..]), |records| (records.address, records.bytes));
        let table = SiteTable::from_bytes(address, records, &sites.stubs).map_err(PatchError::Records)?;
        let text = Text(kernel);
        let plan = Plan::new(table, relocations, &text).map_err(PatchError::Plan)?;
        let reports = plan.sites(&text).collect::<Result<_, _>>();
        let reports: Vec<SiteReport> = reports.map_err(|error| PatchError::Plan(error.into()))?;
        // A kernel without sites may still be one that calls through a table.
        if let Some(symbol) = missing.filter(|_| !reports.is_empty() || kernel.calls.is_some()) {
            return Err(PatchError::NoAdapter { symbol });
        }
        Ok(Self { generation: rom.generation(), base, calls: plan.calls().collect(), sites: reports })
    }
}

/// The symbol of an adapter: its name in small letters, behind what all of them begin with.
fn symbol(adapter: Adapter) -> String {
    let mut symbol = ADAPTERS.to_owned();
    for (index, letter) in format!("{adapter:?}").char_indices() {
        if letter.is_uppercase() && index > 0 {
            symbol.push('_');
        }
        symbol.push(letter.to_ascii_lowercase());
    }
    symbol
}

/// The kernel's text, to be read.
struct Text<'a>(&'a Kernel<'a>);

impl TextWriter for Text<'_> {
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
        let length = bytes.len();
        let outside = TextError { address, length, reason: TextErrorReason::OutsideText };
        bytes.copy_from_slice(self.0.bytes(address, length).ok_or(outside)?);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        Err(TextError { address, length: bytes.len(), reason: TextErrorReason::NotWritable })
    }

    fn serialize(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_have_the_symbols_of_the_guest_crate() {
        assert_eq!(symbol(Adapter::SetPxe), "__paravirt_vmi_adapter_set_pxe");
        assert_eq!(symbol(Adapter::FlushEverything), "__paravirt_vmi_adapter_flush_everything");
    }
}
