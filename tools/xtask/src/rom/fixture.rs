//! A small ROM for the tests, as the ELF file that a linker would make of it.

use object::elf::{
    EM_386, ET_EXEC, R_386_32, R_386_PC32, SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS, SHT_REL, SHT_STRTAB,
    SHT_SYMTAB, STB_GLOBAL,
};
use paravirt_vmi_abi::{Call, RelocationInfo};
use paravirt_vmi_rom_image::{Generation, Image, Parts, Provision, Relocation, Style, slots};

use super::elf::Symbol;

/// The ROM before it is linked. Tests change the fields.
pub struct Fixture {
    /// The image.
    pub bytes: Vec<u8>,
    /// Where its data are.
    pub parts: Parts,
    /// The symbols.
    pub symbols: Vec<Symbol>,
    /// Offset and type of each relocation.
    pub relocations: Vec<(usize, u32)>,
    /// Flags of the image's section.
    pub section_flags: u32,
    /// The machine in the ELF header.
    pub machine: u16,
}

impl Fixture {
    /// A ROM of 3.0 without a fault, in the minimal style.
    pub fn new() -> Self {
        Self::of(Generation::V3_0)
    }

    /// A ROM of the given generation without a fault. 13.x is in the full style: every slot has its code.
    pub fn of(generation: Generation) -> Self {
        let style = if generation == Generation::V3_0 { Style::Minimal } else { Style::Full };
        let image = Image::providing(Provision::new(generation, style));
        let parts = image.parts();
        let mut bytes = image.clone().into_bytes();
        // The checksum is not the linker's.
        bytes.pop();
        let symbol = |name: &str, offset, size| Symbol { name: name.to_owned(), offset, size };
        let mut symbols = vec![
            symbol("rom_start", 0, 0),
            symbol("rom_init_status", parts.init_status, 4),
            symbol("rom_end", bytes.len(), 0),
        ];
        let mut relocations = vec![(0x81, R_386_PC32), (0x89, R_386_PC32)];
        if let Some(table) = parts.relocations {
            let size = size_of::<RelocationInfo>() * generation.relocations() as usize;
            symbols.push(symbol("rom_relocations", table, size));
        }
        if generation == Generation::V3_0 {
            for (number, entry) in image.relocations().filter(|(_, entry)| entry.is_branch()) {
                let call = image.call(number).expect("a call of 3.0");
                symbols.push(symbol(&format!("vmi_{call}"), entry.offset as usize, 1));
                let table = parts.relocations.expect("3.0 has a table");
                relocations.push((table + size_of::<RelocationInfo>() * number as usize, R_386_32));
            }
        }
        symbols.extend(
            slots(generation).iter().map(|slot| symbol(&format!("vmi_{}", slot.name), slot.offset(), 1)),
        );
        let section_flags = SHF_ALLOC | SHF_EXECINSTR;
        Self { bytes, parts, symbols, relocations, section_flags, machine: EM_386 }
    }

    /// Offset of the code of a provided call.
    pub fn code_of(&self, call: Call) -> usize {
        let name = format!("vmi_{call}");
        self.symbols.iter().find(|symbol| symbol.name == name).expect("provided").offset
    }

    /// Changes an entry of the relocation table.
    pub fn answer(&mut self, number: u32, change: impl Fn(Relocation) -> Relocation) {
        let image = Image::from_linked(self.bytes.clone(), self.parts).expect("a sound image");
        let changed = image.with_answers(|asked, entry| if asked == number { change(entry) } else { entry });
        let length = self.bytes.len();
        self.bytes.copy_from_slice(&changed.bytes()[..length]);
    }

    /// The symbol with the given name, to be changed.
    pub fn symbol(&mut self, name: &str) -> &mut Symbol {
        self.symbols.iter_mut().find(|symbol| symbol.name == name).expect("a symbol of the fixture")
    }

    /// Overwrites bytes of the image.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Changes the length of the image, and `rom_end` with it.
    pub fn resize(&mut self, length: usize) {
        self.bytes.resize(length, 0);
        self.symbol("rom_end").offset = length;
    }

    /// The ELF file.
    pub fn elf(&self) -> Vec<u8> {
        let mut symbol_table = vec![0; 16];
        let mut names = vec![0];
        for symbol in &self.symbols {
            push_words(&mut symbol_table, &[names.len(), symbol.offset, symbol.size]);
            symbol_table.extend([STB_GLOBAL << 4, 0, 1, 0]);
            names.extend(symbol.name.bytes().chain([0]));
        }
        let mut relocations = Vec::new();
        for &(offset, kind) in &self.relocations {
            push_words(&mut relocations, &[offset, 1 << 8 | kind as usize]);
        }
        let section_names = b"\0.rom\0.rel.rom\0.symtab\0.strtab\0.shstrtab\0";
        let section = |name, kind, contents| Section { name, kind, contents, ..Section::default() };
        let sections = [
            Section { flags: self.section_flags, ..section(1, SHT_PROGBITS, &self.bytes[..]) },
            Section { link: 3, info: 1, entry: 8, ..section(6, SHT_REL, &relocations) },
            Section { link: 4, info: 1, entry: 16, ..section(15, SHT_SYMTAB, &symbol_table) },
            section(23, SHT_STRTAB, &names),
            section(31, SHT_STRTAB, section_names),
        ];
        let mut file = vec![0; 52];
        let mut headers = vec![0; 40];
        for section in &sections {
            let [kind, flags] = [section.kind, section.flags].map(|field| field as usize);
            push_words(&mut headers, &[section.name, kind, flags, 0, file.len()]);
            push_words(&mut headers, &[section.contents.len(), section.link, section.info, 1, section.entry]);
            file.extend(section.contents);
        }
        let mut header = vec![0x7F, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        push_halves(&mut header, &[ET_EXEC, self.machine]);
        push_words(&mut header, &[1, 0, 0, file.len(), 0]);
        push_halves(&mut header, &[52, 0, 0, 40, sections.len() as u16 + 1, 5]);
        file[..52].copy_from_slice(&header);
        file.extend(headers);
        file
    }
}

/// One section of the ELF file.
#[derive(Default)]
struct Section<'a> {
    name: usize,
    kind: u32,
    flags: u32,
    contents: &'a [u8],
    link: usize,
    info: usize,
    entry: usize,
}

fn push_words(bytes: &mut Vec<u8>, words: &[usize]) {
    bytes.extend(words.iter().flat_map(|&word| (word as u32).to_le_bytes()));
}

fn push_halves(bytes: &mut Vec<u8>, halves: &[u16]) {
    bytes.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
}
