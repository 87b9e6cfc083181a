//! The image's bytes and symbols, from the ELF file that the linker made.

use std::ops::Range;

use object::elf::{R_386_32, R_386_PC32, SHF_WRITE};
use object::{
    Architecture, File, Object, ObjectSection, ObjectSymbol, RelocationFlags, Section, SectionFlags,
};

use super::error::Error;

/// A symbol inside the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Name.
    pub name: String,
    /// Offset in the image.
    pub offset: usize,
    /// Size in bytes, 0 if it has none.
    pub size: usize,
}

/// What the linker made: the bytes from `rom_start` to `rom_end` and the named symbols in them.
#[derive(Debug)]
pub struct Linked {
    /// The image without padding, length and checksum.
    pub bytes: Vec<u8>,
    /// The global symbols inside the image, by offset.
    pub symbols: Vec<Symbol>,
}

impl Linked {
    /// Reads an ELF file.
    ///
    /// Besides finding the image this makes sure that it can lie in a ROM: its section is not
    /// writable, and apart from the relocation table no field depends on the address at which it was linked.
    pub fn read(elf: &[u8]) -> Result<Self, Error> {
        let file = File::parse(elf).map_err(unreadable)?;
        if file.architecture() != Architecture::I386 {
            return Err(Error::WrongMachine { machine: format!("{:?}", file.architecture()) });
        }
        let address = |name| Ok(global(&file, name)?.address());
        let image = address("rom_start")?..address("rom_end")?;
        let section = file
            .sections()
            .find(|section| contains(&(section.address()..end(section)), &image))
            .ok_or(Error::NoContents { start: image.start, end: image.end })?;
        let contents = section.data().map_err(unreadable)?;
        let first = (image.start - section.address()) as usize;
        let bytes = contents
            .get(first..first + (image.end - image.start) as usize)
            .ok_or(Error::NoContents { start: image.start, end: image.end })?
            .to_vec();
        let symbols = symbols(&file, &image)?;
        // A ROM that answers no question has no table.
        let table = match global(&file, "rom_relocations") {
            Ok(table) => table.address()..table.address().saturating_add(table.size()),
            Err(_) => 0..0,
        };
        check_section(&section, image.start, &table)?;
        Ok(Self { bytes, symbols })
    }
}

/// The symbol with the given name.
pub fn find<'a>(symbols: &'a [Symbol], name: &str) -> Option<&'a Symbol> {
    symbols.iter().find(|symbol| symbol.name == name)
}

/// The error of a reader, as ours.
fn unreadable(error: object::Error) -> Error {
    Error::Unreadable { reason: error.to_string() }
}

/// The address behind a section.
fn end(section: &Section<'_, '_>) -> u64 {
    section.address().saturating_add(section.size())
}

/// Whether `inner` is not empty and lies inside `outer`.
fn contains(outer: &Range<u64>, inner: &Range<u64>) -> bool {
    outer.start <= inner.start && inner.start < inner.end && inner.end <= outer.end
}

/// The symbol with the given name.
fn global<'data, 'file>(file: &'file File<'data>, name: &str) -> Result<object::Symbol<'data, 'file>, Error> {
    file.symbols()
        .find(|symbol| !symbol.is_undefined() && symbol.is_global() && symbol.name() == Ok(name))
        .ok_or_else(|| Error::SymbolMissing { name: name.to_owned() })
}

/// The symbols of the image. Every global symbol of the ROM has to lie inside it.
fn symbols(file: &File<'_>, image: &Range<u64>) -> Result<Vec<Symbol>, Error> {
    let mut symbols = Vec::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_global() && !symbol.is_undefined()) {
        let name = symbol.name().map_err(unreadable)?.to_owned();
        let (address, size) = (symbol.address(), symbol.size());
        if address < image.start || address.saturating_add(size) > image.end {
            return Err(Error::SymbolOutside { name, address, size });
        }
        let offset = (address - image.start) as usize;
        symbols.push(Symbol { name, offset, size: size as usize });
    }
    symbols.sort_by(|a, b| (a.offset, &a.name).cmp(&(b.offset, &b.name)));
    Ok(symbols)
}

/// Checks that the section is read-only and position independent outside `table`.
fn check_section(section: &Section<'_, '_>, start: u64, table: &Range<u64>) -> Result<(), Error> {
    if let SectionFlags::Elf { sh_flags } = section.flags()
        && sh_flags & u64::from(SHF_WRITE) != 0
    {
        return Err(Error::Writable { section: section.name().unwrap_or_default().to_owned() });
    }
    let mut relocations = section.relocations().peekable();
    if relocations.peek().is_none() {
        return Err(Error::NoRelocations);
    }
    for (address, relocation) in relocations {
        let kind = match relocation.flags() {
            RelocationFlags::Elf { r_type } => r_type,
            _ => u32::MAX,
        };
        if kind != R_386_PC32 && !(kind == R_386_32 && table.contains(&address)) {
            let offset = address.wrapping_sub(start);
            return Err(Error::NotPositionIndependent { offset, kind });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use object::elf::{EM_X86_64, SHF_ALLOC};
    use paravirt_vmi_abi::Call;

    #[test]
    fn the_image_is_what_lies_between_its_two_symbols() {
        let mut fixture = Fixture::new();
        let expected = fixture.bytes.clone();
        fixture.bytes.extend([0xEE; 64]);
        let linked = Linked::read(&fixture.elf()).unwrap();
        assert_eq!(linked.bytes, expected);
    }

    #[test]
    fn symbols_have_their_offset_and_size() {
        let fixture = Fixture::new();
        let linked = Linked::read(&fixture.elf()).unwrap();
        let iret = linked.symbols.iter().find(|symbol| symbol.name == "vmi_IRET").unwrap();
        assert_eq!((iret.offset, iret.size), (fixture.code_of(Call::IRET), 1));
    }

    #[test]
    fn a_file_that_is_not_elf_is_refused() {
        let error = Linked::read(b"not an object file").unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
    }

    #[test]
    fn a_file_for_another_machine_is_refused() {
        let mut fixture = Fixture::new();
        fixture.machine = EM_X86_64;
        let error = Linked::read(&fixture.elf()).unwrap_err();
        assert!(matches!(error, Error::WrongMachine { .. }), "{error:?}");
    }

    #[test]
    fn a_missing_symbol_is_named() {
        for name in ["rom_start", "rom_end"] {
            let mut fixture = Fixture::new();
            fixture.symbols.retain(|symbol| symbol.name != name);
            let error = Linked::read(&fixture.elf()).unwrap_err();
            assert_eq!(error, Error::SymbolMissing { name: name.to_owned() });
        }
    }

    #[test]
    fn a_symbol_outside_the_image_is_refused() {
        let mut fixture = Fixture::new();
        let (name, offset) = ("vmi_Stray".to_owned(), fixture.bytes.len() - 1);
        fixture.symbols.push(Symbol { name: name.clone(), offset, size: 2 });
        let error = Linked::read(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::SymbolOutside { name, address: offset as u64, size: 2 });
    }

    #[test]
    fn an_image_that_no_section_holds_is_refused() {
        let mut fixture = Fixture::new();
        fixture.bytes.pop();
        let error = Linked::read(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::NoContents { start: 0, end: fixture.bytes.len() as u64 + 1 });
    }

    #[test]
    fn a_writable_image_is_refused() {
        let mut fixture = Fixture::new();
        fixture.section_flags = SHF_ALLOC | SHF_WRITE;
        let error = Linked::read(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::Writable { section: ".rom".to_owned() });
    }

    #[test]
    fn an_absolute_address_outside_the_relocation_table_is_refused() {
        let mut fixture = Fixture::new();
        fixture.relocations.push((0x370, R_386_32));
        let error = Linked::read(&fixture.elf()).unwrap_err();
        assert_eq!(error, Error::NotPositionIndependent { offset: 0x370, kind: R_386_32 });
    }

    #[test]
    fn an_image_without_relocations_is_refused() {
        let mut fixture = Fixture::new();
        fixture.relocations.clear();
        assert_eq!(Linked::read(&fixture.elf()).unwrap_err(), Error::NoRelocations);
    }

    #[test]
    fn no_damaged_file_makes_the_reader_panic() {
        let elf = Fixture::new().elf();
        for length in 0..elf.len() {
            let _ = Linked::read(&elf[..length]);
        }
        for place in 0..elf.len() {
            for value in [0x00, 0x01, 0x7F, 0x80, 0xFF] {
                let mut damaged = elf.clone();
                damaged[place] = value;
                let _ = Linked::read(&damaged);
            }
        }
    }
}
