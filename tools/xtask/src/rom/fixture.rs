//! A small ROM for the tests, as bytes and as the ELF file that a linker would make of it.

use std::mem::offset_of;

use object::elf::{
    EM_386, ET_EXEC, R_386_32, R_386_PC32, SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS, SHT_REL, SHT_STRTAB,
    SHT_SYMTAB, STB_GLOBAL,
};
use paravirt_vmi_abi::header::{ROM_SIGNATURE, VROM_SIGNATURE};
use paravirt_vmi_abi::{Call, PciDataStructure, PnpExpansionHeader, RelocationKind, RomHeader};

use super::elf::Symbol;
use super::{Generation, slots, table};

/// Offset of the PnP header.
pub const PNP: usize = 0x90;
/// Offset of the PCI data structure.
pub const PCI: usize = 0xA4;
/// Offset of the licence string.
pub const LICENSE: usize = 0xBC;
/// Offset of the manufacturer's name.
pub const MANUFACTURER: usize = 0xC4;
/// Offset of the status that vmi_init returns.
pub const INIT_STATUS: usize = 0x100;
/// Offset of the relocation table.
pub const RELOCATIONS: usize = 0x104;
/// Offset of the first call's code; each has 16 bytes.
pub const CODE: usize = 0x360;
/// Length of the image without padding.
pub const LENGTH: usize = CODE + 16 * PROVIDED.len();

/// 13.x: the length of the image without padding. The structures lie as far from the end as in 3.0.
pub const LEGACY_LENGTH: usize = 0x1800;
/// 13.3: the offset of the relocation table.
pub const LEGACY_RELOCATIONS: usize = 0xC00;

/// The calls that the ROM provides.
pub const PROVIDED: [Call; 7] = [
    Call::ENABLE_INTERRUPTS,
    Call::DISABLE_INTERRUPTS,
    Call::GET_INTERRUPT_MASK,
    Call::SET_INTERRUPT_MASK,
    Call::IRET,
    Call::SYSEXIT,
    Call::HALT,
];

/// Offset of the code of a provided call.
pub fn code_of(call: Call) -> usize {
    CODE + 16 * PROVIDED.iter().position(|&provided| provided == call).expect("provided")
}

/// The ROM before it is linked. Tests change the fields.
pub struct Fixture {
    /// The image.
    pub bytes: Vec<u8>,
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
    /// A ROM without a fault.
    pub fn new() -> Self {
        let mut fixture = Self {
            bytes: vec![0; LENGTH],
            symbols: Vec::new(),
            relocations: vec![(0x81, R_386_PC32), (0x89, R_386_PC32)],
            section_flags: SHF_ALLOC | SHF_EXECINSTR,
            machine: EM_386,
        };
        fixture.write_header();
        for (name, offset, size) in [
            ("rom_start", 0, 0),
            ("rom_init_status", INIT_STATUS, 4),
            ("rom_relocations", RELOCATIONS, table::ENTRY_SIZE * Call::COUNT),
            ("rom_end", LENGTH, 0),
        ] {
            fixture.symbols.push(Symbol { name: name.to_owned(), offset, size });
        }
        for call in PROVIDED {
            let offset = code_of(call);
            fixture.symbols.push(Symbol { name: format!("vmi_{call}"), offset, size: 2 });
            fixture.write(offset, &[0xFA, 0xC3]);
            let number = call.number() as usize;
            let target = table::target_of(RELOCATIONS, number);
            fixture.write(target, &(offset as u32).to_le_bytes());
            fixture.write(table::kind_of(RELOCATIONS, number), &[RelocationKind::CALL_REL.0]);
            fixture.relocations.push((target, R_386_32));
        }
        fixture
    }

    /// A ROM of the given generation without a fault.
    pub fn of(generation: Generation) -> Self {
        if generation == Generation::V3_0 { Self::new() } else { Self::legacy(generation) }
    }

    /// A ROM of generation 13.x without a fault: all structures behind the slots, the code of each slot in it.
    pub fn legacy(generation: Generation) -> Self {
        let mut fixture = Self::new();
        let moved = LEGACY_LENGTH - LENGTH;
        fixture.resize(LEGACY_LENGTH);
        fixture.bytes.copy_within(PNP..LENGTH, PNP + moved);
        fixture.bytes[PNP..PNP + moved].fill(0xCC);
        fixture.symbols.retain(|symbol| !symbol.name.starts_with("vmi_"));
        fixture.relocations = vec![(0x81, R_386_PC32)];
        fixture.symbol("rom_init_status").offset += moved;
        let minor = if generation == Generation::V13_3 { 3 } else { 0 };
        fixture.write(offset_of!(RomHeader, api_version_minor), &[minor, 13]);
        fixture.write(offset_of!(RomHeader, license_offset), &[0; 2]);
        for (field, place) in [
            (offset_of!(RomHeader, pci_header_offset), PCI),
            (offset_of!(RomHeader, pnp_header_offset), PNP),
            (PNP + moved + offset_of!(PnpExpansionHeader, manufacturer_offset), MANUFACTURER),
        ] {
            fixture.write(field, &((place + moved) as u16).to_le_bytes());
        }
        let count = slots::count(generation);
        fixture.symbol("rom_relocations").offset = LEGACY_RELOCATIONS;
        fixture.symbol("rom_relocations").size = table::ENTRY_SIZE * count;
        fixture.bytes[LEGACY_RELOCATIONS..LEGACY_RELOCATIONS + table::ENTRY_SIZE * count].fill(0);
        for slot in slots::all(generation) {
            let (number, offset) = (usize::from(slot.number), slot.offset());
            fixture.symbols.push(Symbol { name: format!("vmi_{}", slot.name), offset, size: 2 });
            fixture.write(offset, &[0xFA, 0xC3]);
            fixture.write(table::target_of(LEGACY_RELOCATIONS, number), &(offset as u32).to_le_bytes());
            fixture.write(table::kind_of(LEGACY_RELOCATIONS, number), &[RelocationKind::CALL_REL.0]);
        }
        if generation == Generation::V13_0 {
            fixture.symbols.retain(|symbol| symbol.name != "rom_relocations");
        }
        fixture
    }

    /// The symbol with the given name, to be changed.
    pub fn symbol(&mut self, name: &str) -> &mut Symbol {
        self.symbols.iter_mut().find(|symbol| symbol.name == name).expect("a symbol of the fixture")
    }

    fn write_header(&mut self) {
        let offset = |offset: usize| (offset as u16).to_le_bytes();
        self.write(offset_of!(RomHeader, rom_signature), &ROM_SIGNATURE.to_le_bytes());
        self.write(offset_of!(RomHeader, vrom_signature), &VROM_SIGNATURE.to_le_bytes());
        self.write(offset_of!(RomHeader, api_version_major), &[3]);
        self.write(offset_of!(RomHeader, license_offset), &offset(LICENSE));
        self.write(offset_of!(RomHeader, pci_header_offset), &offset(PCI));
        self.write(offset_of!(RomHeader, pnp_header_offset), &offset(PNP));
        self.write(offset_of!(RomHeader, vmi_init), &[0xE9, 0x10, 0x00, 0x00, 0x00]);
        self.write(offset_of!(RomHeader, get_relocation), &[0xE9, 0x20, 0x00, 0x00, 0x00]);
        self.write(PNP, b"$PnP");
        let manufacturer = PNP + offset_of!(PnpExpansionHeader, manufacturer_offset);
        self.write(manufacturer, &offset(MANUFACTURER));
        self.write(PCI, b"PCIR");
        self.write(PCI + offset_of!(PciDataStructure, vendor_id), &0x15AD_u16.to_le_bytes());
        self.write(LICENSE, b"GPL v2\0");
        self.write(MANUFACTURER, b"fixture\0");
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
