//! Reading the ELF file. Whatever the file claims, no more is looked at than it has bytes.

use object::elf::{self, FileHeader32};
use object::read::elf::ElfFile;
use object::{
    Endianness, FileKind, Object as _, ObjectKind, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _,
    SectionFlags, SegmentFlags,
};
use paravirt_vmi::site::StubTable;
use paravirt_vmi_abi::Call;

use super::{Kernel, ReadError, Records, Section, Symbol, SymbolKind};

/// The section that holds the site records.
pub const SITES: &str = "vmi_sites";

/// The bounds of the site records, which linkers define, or linker scripts.
const SITES_BOUNDS: [&str; 2] = ["__start_vmi_sites", "__stop_vmi_sites"];

/// The table of the guest crate's native stubs: one address for each call.
const NATIVE_STUBS: &str = "__paravirt_vmi_native";

/// The table through which the sites of the `indirect` build call.
const CALLS: &str = "__paravirt_vmi_calls";

/// What the names of the adapters in front of slots of 13.x begin with.
pub const ADAPTERS: &str = "__paravirt_vmi_adapter_";

/// The most bytes that the names of all symbols may have together.
const NAMES: usize = 1 << 28;

type Elf<'data> = ElfFile<'data, FileHeader32<Endianness>>;

impl<'data> Kernel<'data> {
    /// Reads a kernel's ELF file.
    ///
    /// # Errors
    ///
    /// If it is none for i386, if it has not been linked, or if it contradicts itself.
    pub fn parse(data: &'data [u8]) -> Result<Self, ReadError> {
        let file = open(data)?;
        let mut code = sections(&file)?;
        if code.is_empty() && file.sections().next().is_none() {
            code = segments(&file)?;
        }
        check(&mut code, data.len())?;
        let symbols = all_symbols(&file)?;
        let find = |name: &str| symbols.iter().find(|symbol| symbol.name == name);
        let records = records(&file, SITES_BOUNDS.map(|name| find(name).map(|symbol| symbol.address)))?;
        let stubs = match find(NATIVE_STUBS) {
            Some(table) => Some(native_stubs(&file, table.address)?),
            None => None,
        };
        let calls = find(CALLS).map(|table| table.address);
        let adapters = symbols.iter().filter(|symbol| symbol.name.starts_with(ADAPTERS));
        let adapters = adapters.map(|symbol| (symbol.name, symbol.address)).collect();
        let mut kernel = Self { code, symbols: Vec::new(), records, stubs, calls, adapters };
        let mut symbols: Vec<_> =
            symbols.into_iter().filter(|symbol| kernel.section_at(symbol.address).is_some()).collect();
        // Names decide at last, so that the order does not depend on that of the file.
        symbols.sort_by_key(|symbol| (symbol.address, symbol.kind, symbol.name));
        kernel.symbols = symbols;
        Ok(kernel)
    }
}

/// Opens the file, if it is one that can be audited.
fn open(data: &[u8]) -> Result<Elf<'_>, ReadError> {
    let kind = FileKind::parse(data).map_err(|error| unreadable("the file", error))?;
    if kind != FileKind::Elf32 {
        let found = match kind {
            FileKind::Elf64 => "an ELF file of 64 bits".to_owned(),
            other => format!("{other:?}"),
        };
        return Err(ReadError::WrongMachine { found });
    }
    let file = Elf::parse(data).map_err(|error| unreadable("the file", error))?;
    let machine = file.elf_header().e_machine.get(file.endian());
    if machine != elf::EM_386 || !file.is_little_endian() {
        return Err(ReadError::WrongMachine { found: format!("an ELF file for machine {machine}") });
    }
    match file.kind() {
        ObjectKind::Relocatable => Err(ReadError::Relocatable),
        _ => Ok(file),
    }
}

/// The error of a reader, as ours.
fn unreadable(part: impl Into<String>, error: object::Error) -> ReadError {
    ReadError::Unreadable { part: part.into(), reason: error.to_string() }
}

/// The sections with instructions.
fn sections<'data>(file: &Elf<'data>) -> Result<Vec<Section<'data>>, ReadError> {
    let is_code = |flags| matches!(flags, SectionFlags::Elf { sh_flags } if sh_flags & u64::from(elf::SHF_EXECINSTR) != 0);
    let mut code = Vec::new();
    for section in file.sections().filter(|section| is_code(section.flags())) {
        let name = section
            .name()
            .map_err(|error| unreadable(format!("the name of section {}", section.index()), error))?;
        let bytes = section.data().map_err(|error| unreadable(format!("section {name}"), error))?;
        code.push(Section { name, address: address(name, section.address(), bytes.len())?, bytes });
    }
    Ok(code)
}

/// The segments with instructions, of a file without section headers.
fn segments<'data>(file: &Elf<'data>) -> Result<Vec<Section<'data>>, ReadError> {
    let is_code = |flags| matches!(flags, SegmentFlags::Elf { p_flags } if p_flags & elf::PF_X != 0);
    let mut code = Vec::new();
    for segment in file.segments().filter(|segment| is_code(segment.flags())) {
        let name = "segment";
        let bytes = segment.data().map_err(|error| unreadable("a segment", error))?;
        code.push(Section { name, address: address(name, segment.address(), bytes.len())?, bytes });
    }
    Ok(code)
}

/// A section's address, if all of the section lies below 4 GiB.
fn address(name: &str, address: u64, length: usize) -> Result<u32, ReadError> {
    let error = || ReadError::BeyondTop { section: name.to_owned(), address, size: length as u64 };
    let end = address.checked_add(length as u64).ok_or_else(error)?;
    u32::try_from(end).map_err(|_| error())?;
    u32::try_from(address).map_err(|_| error())
}

/// Sorts the sections, and refuses what no linker makes.
fn check(code: &mut Vec<Section<'_>>, file: usize) -> Result<(), ReadError> {
    code.retain(|section| !section.bytes.is_empty());
    code.sort_by_key(|section| section.address);
    if code.is_empty() {
        return Err(ReadError::NoCode);
    }
    for pair in code.windows(2) {
        if pair[1].address < pair[0].range().end {
            let [first, second] = [&pair[0], &pair[1]].map(|section| section.name.to_owned());
            return Err(ReadError::Overlap { first, second, address: pair[1].address });
        }
    }
    let sum = code.iter().map(|section| section.bytes.len() as u64).sum();
    if sum > file as u64 {
        return Err(ReadError::MoreCodeThanFile { code: sum, file: file as u64 });
    }
    Ok(())
}

/// All symbols that name a place.
fn all_symbols<'data>(file: &Elf<'data>) -> Result<Vec<Symbol<'data>>, ReadError> {
    let mut symbols = Vec::new();
    let mut length = 0;
    for symbol in file.symbols() {
        let kind = match symbol.elf_symbol().st_info & 0xF {
            elf::STT_NOTYPE => SymbolKind::Label,
            elf::STT_OBJECT => SymbolKind::Object,
            elf::STT_FUNC | elf::STT_GNU_IFUNC => SymbolKind::Function,
            _ => continue,
        };
        if symbol.section_index().is_none() {
            continue;
        }
        let name = symbol
            .name()
            .map_err(|error| unreadable(format!("the name of symbol {}", symbol.index()), error))?;
        length += name.len();
        if length > NAMES {
            return Err(ReadError::LongNames { limit: NAMES });
        }
        if !name.is_empty() && !name.starts_with(".L") {
            let (address, size) = (symbol.address() as u32, symbol.size() as u32);
            symbols.push(Symbol { name, address, size, kind });
        }
    }
    Ok(symbols)
}

/// The site records: the section, or what lies between its bounds.
fn records<'data>(file: &Elf<'data>, bounds: [Option<u32>; 2]) -> Result<Option<Records<'data>>, ReadError> {
    let mut sections = file.sections();
    if let Some(section) = sections.find(|section| section.name_bytes() == Ok(SITES.as_bytes())) {
        let bytes = section.data().map_err(|error| unreadable(format!("section {SITES}"), error))?;
        return Ok(Some(Records { address: address(SITES, section.address(), bytes.len())?, bytes }));
    }
    let [Some(address), Some(end)] = bounds else { return Ok(None) };
    match end.wrapping_sub(address) {
        0 => Ok(None),
        length => Ok(Some(Records { address, bytes: contents(file, SITES, address, length)? })),
    }
}

/// The addresses of the native stubs, whose table lies at `address`.
fn native_stubs(file: &Elf<'_>, address: u32) -> Result<StubTable, ReadError> {
    let bytes = contents(file, NATIVE_STUBS, address, size_of::<StubTable>() as u32)?;
    let mut stubs: StubTable = [0; Call::COUNT];
    for (stub, bytes) in stubs.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *stub = u32::from_le_bytes(*bytes);
    }
    Ok(stubs)
}

/// The bytes at an address, which something called `name` is said to have.
fn contents<'data>(
    file: &Elf<'data>,
    name: &str,
    address: u32,
    length: u32,
) -> Result<&'data [u8], ReadError> {
    let (address, length) = (u64::from(address), u64::from(length));
    // What is not loaded, debug information for example, has the address 0.
    let is_loaded =
        |flags| matches!(flags, SectionFlags::Elf { sh_flags } if sh_flags & u64::from(elf::SHF_ALLOC) != 0);
    let loaded = file.sections().filter(|section| is_loaded(section.flags()));
    let mut found = loaded.filter_map(|section| section.data_range(address, length).ok().flatten());
    found.next().ok_or_else(|| ReadError::Unreadable {
        part: name.to_owned(),
        reason: format!("no section has the {length} bytes at {address:08x}"),
    })
}
