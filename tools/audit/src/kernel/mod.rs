//! [`Kernel`]: what an ELF file says about a kernel's code, symbols and sites.

mod error;
mod read;

use std::ops::Range;

use paravirt_vmi::site::StubTable;

pub use error::ReadError;
pub use read::{ADAPTERS, SITES};

/// A kernel's ELF file, read.
#[derive(Clone, Debug)]
pub struct Kernel<'data> {
    /// The sections with instructions, by address; no two have an address in common. Where the file has no
    /// section headers, the segments with instructions.
    pub code: Vec<Section<'data>>,
    /// The named places in them, by address; of several at one address a function is the last.
    pub symbols: Vec<Symbol<'data>>,
    /// The site records; `None` for a kernel without.
    pub records: Option<Records<'data>>,
    /// The addresses of the native stubs; `None` where no symbol tells where their table is.
    pub stubs: Option<StubTable>,
    /// Linear address of the table through which the sites of an `indirect` build call.
    pub calls: Option<u32>,
    /// The symbols of the adapters in front of slots of 13.x, and their linear addresses.
    pub adapters: Vec<(&'data str, u32)>,
}

/// A section with instructions.
#[derive(Clone, Debug)]
pub struct Section<'data> {
    /// Name.
    pub name: &'data str,
    /// Linear address.
    pub address: u32,
    /// Contents.
    pub bytes: &'data [u8],
}

/// A named place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'data> {
    /// Name, as it stands in the file.
    pub name: &'data str,
    /// Linear address.
    pub address: u32,
    /// Size in bytes; 0 if the file does not say.
    pub size: u32,
    /// What is there.
    pub kind: SymbolKind,
}

/// What a symbol names. In order of preference as the name of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SymbolKind {
    /// Data.
    Object,
    /// A label: code begins here.
    Label,
    /// A function.
    Function,
}

/// The section `vmi_sites`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records<'data> {
    /// Linear address.
    pub address: u32,
    /// Contents.
    pub bytes: &'data [u8],
}

impl Section<'_> {
    /// The linear addresses of the section's bytes. They end below the top of the address space.
    pub fn range(&self) -> Range<u32> {
        self.address..self.address + self.bytes.len() as u32
    }
}

impl Symbol<'_> {
    /// The name as a person would write it.
    pub fn demangled(&self) -> String {
        format!("{:#}", rustc_demangle::demangle(self.name))
    }
}

impl<'data> Kernel<'data> {
    /// The index of the section that an address lies in.
    pub fn section_at(&self, address: u32) -> Option<usize> {
        let index = self.code.partition_point(|section| section.address <= address).checked_sub(1)?;
        self.code[index].range().contains(&address).then_some(index)
    }

    /// The bytes at a range of addresses, if they lie in one section.
    pub fn bytes(&self, address: u32, length: usize) -> Option<&'data [u8]> {
        let section = &self.code[self.section_at(address)?];
        section.bytes.get((address - section.address) as usize..)?.get(..length)
    }

    /// The index of the function or label that an address belongs to: one in the same section that has the address
    /// inside, or one without a size and nothing with a size between.
    pub fn symbol_at(&self, address: u32) -> Option<usize> {
        let start = self.code[self.section_at(address)?].address;
        let end = self.symbols.partition_point(|symbol| symbol.address <= address);
        let mut has_passed = false;
        for index in (end.saturating_sub(NEAR)..end).rev() {
            let symbol = &self.symbols[index];
            let is_inside = match symbol.size {
                0 => !has_passed,
                size => address - symbol.address < size,
            };
            match symbol.kind {
                _ if symbol.address < start => break,
                SymbolKind::Function | SymbolKind::Label if is_inside => return Some(index),
                SymbolKind::Function | SymbolKind::Label => has_passed = true,
                SymbolKind::Object => {}
            }
        }
        None
    }

    /// The place that an address belongs to: `name+offset` of the symbol at or before it, else of the section.
    pub fn place(&self, address: u32) -> String {
        let (name, start) = match (self.symbol_at(address), self.section_at(address)) {
            (Some(index), _) => (self.symbols[index].demangled(), self.symbols[index].address),
            (None, Some(index)) => (self.code[index].name.to_owned(), self.code[index].address),
            (None, None) => return "no section".to_owned(),
        };
        match address - start {
            0 => name,
            offset => format!("{name}+{offset:#x}"),
        }
    }
}

/// How many symbols are passed over, looking for the name of a place: no search is long.
const NEAR: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Kernel<'static> {
        let symbol = |name, address, kind| Symbol { name, address, size: 0, kind };
        let section = |name, address, bytes| Section { name, address, bytes };
        Kernel {
            code: vec![section(".text", 0x100, &[0x90; 0x20]), section(".other", 0x200, &[1, 2, 3])],
            symbols: vec![
                symbol("first", 0x104, SymbolKind::Label),
                symbol("table", 0x108, SymbolKind::Object),
                symbol("label", 0x110, SymbolKind::Label),
                symbol("_ZN6kernel6second17h0123456789abcdefE", 0x110, SymbolKind::Function),
                Symbol { size: 8, ..symbol("third", 0x112, SymbolKind::Function) },
            ],
            records: None,
            stubs: None,
            calls: None,
            adapters: Vec::new(),
        }
    }

    #[test]
    fn an_address_belongs_to_the_symbol_before_it_or_to_its_section() {
        let kernel = kernel();
        for (address, place) in [
            (0xFF, "no section"),
            (0x100, ".text"),
            (0x103, ".text+0x3"),
            (0x104, "first"),
            (0x10F, "first+0xb"),
            (0x110, "kernel::second"),
            (0x111, "kernel::second+0x1"),
            (0x119, "third+0x7"),
            (0x11A, ".text+0x1a"),
            (0x120, "no section"),
            (0x201, ".other+0x1"),
        ] {
            assert_eq!(kernel.place(address), place, "{address:x}");
        }
    }

    #[test]
    fn bytes_are_found_in_their_section_only() {
        let kernel = kernel();
        assert_eq!(kernel.bytes(0x201, 2), Some(&[2, 3][..]));
        assert_eq!(kernel.bytes(0x202, 2), None);
        assert_eq!(kernel.bytes(0x1FF, 2), None);
        assert_eq!(kernel.bytes(0x202, usize::MAX), None);
    }
}
