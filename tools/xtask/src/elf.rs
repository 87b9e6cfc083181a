//! A linked kernel: its code, its symbols and its sites.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SymbolKind, elf};
use paravirt_vmi::site::{Site, SiteTable, StubTable};
use paravirt_vmi_abi::Call;
use sha2::{Digest as _, Sha256};

/// The section that holds the site records.
const SITES: &str = "vmi_sites";

/// The table of the guest crate's native stubs: one address for each call.
const NATIVE_STUBS: &str = "__paravirt_vmi_native";

/// A kernel's ELF file, read.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where it lies.
    pub path: PathBuf,
    /// The start of the SHA-256 of the file, in hexadecimal.
    pub hash: String,
    /// The sections with instructions.
    pub code: Vec<Section>,
    /// The sites that its records name, in the order of the records.
    pub sites: Vec<Site>,
    /// Functions and labels in sections with instructions, by address.
    pub symbols: Vec<Symbol>,
}

/// A section with instructions.
#[derive(Clone, Debug)]
pub struct Section {
    /// Name.
    pub name: String,
    /// Linear address.
    pub address: u32,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// A named place in the code.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Demangled name.
    pub name: String,
    /// Linear address.
    pub address: u32,
    /// Whether it is known to be a function.
    pub is_function: bool,
}

impl Kernel {
    /// Reads a kernel.
    pub fn read(path: &Path) -> Result<Self> {
        let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(path, &data).with_context(|| format!("{} is not a kernel", path.display()))
    }

    fn parse(path: &Path, data: &[u8]) -> Result<Self> {
        let file = File::parse(data)?;
        let is_code = |flags: SectionFlags| matches!(flags, SectionFlags::Elf { sh_flags } if sh_flags & u64::from(elf::SHF_EXECINSTR) != 0);
        let mut code = Vec::new();
        let mut indices = Vec::new();
        for section in file.sections().filter(|section| is_code(section.flags())) {
            indices.push(section.index());
            code.push(Section {
                name: section.name()?.to_owned(),
                address: u32::try_from(section.address())?,
                bytes: section.data()?.to_vec(),
            });
        }
        let mut symbols = Vec::new();
        for symbol in file.symbols() {
            let in_code = symbol.section_index().is_some_and(|index| indices.contains(&index));
            let is_place =
                matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown);
            let name = symbol.name().unwrap_or_default();
            if in_code && is_place && !name.is_empty() && !name.starts_with(".L") {
                let name = format!("{:#}", rustc_demangle::demangle(name));
                let is_function = symbol.kind() == SymbolKind::Text;
                symbols.push(Symbol { name, address: u32::try_from(symbol.address())?, is_function });
            }
        }
        // Of several at one address the last is taken: a function rather than a label.
        symbols.sort_by_key(|symbol| (symbol.address, symbol.is_function));
        let mut sites = Vec::new();
        if let Some(section) = file.section_by_name(SITES) {
            let stubs = native_stubs(&file)?;
            let table = SiteTable::from_bytes(u32::try_from(section.address())?, section.data()?, &stubs);
            for site in table.map_err(|error| anyhow!("{error}"))?.iter() {
                sites.push(site.map_err(|error| anyhow!("{error}"))?);
            }
        }
        Ok(Self { path: path.to_owned(), hash: hash(data), code, sites, symbols })
    }

    /// The place that an address belongs to: `name+offset` of the symbol at or before it.
    pub fn place(&self, address: u32) -> String {
        let index = self.symbols.partition_point(|symbol| symbol.address <= address);
        match index.checked_sub(1).map(|index| &self.symbols[index]) {
            Some(symbol) if symbol.address == address => symbol.name.clone(),
            Some(symbol) => format!("{}+{:#x}", symbol.name, address - symbol.address),
            None => "no symbol".to_owned(),
        }
    }
}

/// The addresses of the native stubs; zeros if the kernel has no site, and so no table.
fn native_stubs(file: &File<'_>) -> Result<StubTable> {
    let mut stubs: StubTable = [0; Call::COUNT];
    let Some(symbol) = file.symbol_by_name(NATIVE_STUBS) else { return Ok(stubs) };
    let index = symbol.section_index().with_context(|| format!("{NATIVE_STUBS} lies in no section"))?;
    let section = file.section_by_index(index)?;
    let bytes = section.data_range(symbol.address(), size_of::<StubTable>() as u64)?;
    let bytes = bytes.with_context(|| format!("{NATIVE_STUBS} is not whole"))?;
    for (stub, bytes) in stubs.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *stub = u32::from_le_bytes(*bytes);
    }
    Ok(stubs)
}

/// The first 6 bytes of the SHA-256 of `data`, in hexadecimal: enough to tell files apart.
pub fn hash(data: &[u8]) -> String {
    Sha256::digest(data).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_start_of_the_sha_256() {
        assert_eq!(hash(b"abc"), "ba7816bf8f01");
    }

    #[test]
    fn an_address_belongs_to_the_symbol_before_it() {
        let symbol = |name: &str, address| Symbol { name: name.to_owned(), address, is_function: true };
        let kernel = Kernel {
            path: PathBuf::new(),
            hash: String::new(),
            code: Vec::new(),
            sites: Vec::new(),
            symbols: vec![symbol("first", 0x100), symbol("second", 0x110)],
        };
        assert_eq!(kernel.place(0xFF), "no symbol");
        assert_eq!(kernel.place(0x100), "first");
        assert_eq!(kernel.place(0x10F), "first+0xf");
        assert_eq!(kernel.place(0x110), "second");
    }

    #[test]
    fn a_file_that_is_no_elf_is_refused_by_name() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Kernel::read(&manifest).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not a kernel", manifest.display()));
        let error = Kernel::read(Path::new("no/such/kernel")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read no/such/kernel");
    }
}
