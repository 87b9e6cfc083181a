//! [`Elf`]: kernels as ELF files, made for tests.

use paravirt_vmi::abi::Call;
use paravirt_vmi::site::{NativeCode, NativeForm};

/// A section to be.
pub struct Section {
    pub name: &'static str,
    pub kind: u32,
    pub flags: u32,
    pub address: u32,
    pub bytes: Vec<u8>,
}

/// A symbol to be: name, address, size, type, index of the section.
pub type Symbol = (String, u32, u32, u8, u16);

pub const FUNCTION: u8 = 2;
pub const OBJECT: u8 = 1;
pub const LABEL: u8 = 0;
pub const PROGBITS: u32 = 1;
pub const ALLOC: u32 = 2;
pub const CODE: u32 = 2 | 4;

/// An ELF file to be.
#[derive(Default)]
pub struct Elf {
    pub kind: u16,
    pub machine: u16,
    pub sections: Vec<Section>,
    pub symbols: Vec<Symbol>,
}

const HEADER: usize = 52;

impl Elf {
    /// An executable for i386.
    pub fn new() -> Self {
        Self { kind: 2, machine: 3, ..Self::default() }
    }

    /// Adds a section, and returns its index.
    pub fn section(&mut self, name: &'static str, flags: u32, address: u32, bytes: Vec<u8>) -> u16 {
        self.sections.push(Section { name, kind: PROGBITS, flags, address, bytes });
        self.sections.len() as u16
    }

    /// Adds a symbol.
    pub fn symbol(&mut self, name: impl Into<String>, address: u32, size: u32, kind: u8, section: u16) {
        self.symbols.push((name.into(), address, size, kind, section));
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let word = |number: usize| (number as u32).to_le_bytes();
        let mut strings = vec![0];
        let mut table = vec![0; 16];
        for (name, address, size, kind, section) in &self.symbols {
            table.extend(word(strings.len()));
            table.extend(address.to_le_bytes());
            table.extend(size.to_le_bytes());
            table.extend([0x10 | kind, 0]);
            table.extend(section.to_le_bytes());
            strings.extend(name.bytes().chain([0]));
        }
        let symbols = self.sections.len() + 1;
        let mut names = vec![0];
        let mut headers = vec![0; 40];
        let mut contents = vec![0; HEADER];
        let mut add = |name: &str,
                       kind: u32,
                       flags: u32,
                       address: u32,
                       bytes: &[u8],
                       [link, info, size]: [usize; 3]| {
            headers.extend(word(names.len()));
            for number in [kind, flags, address, contents.len() as u32, bytes.len() as u32] {
                headers.extend(number.to_le_bytes());
            }
            headers.extend([word(link), word(info), word(1), word(size)].concat());
            names.extend(name.bytes().chain([0]));
            contents.extend(bytes);
        };
        for Section { name, kind, flags, address, bytes } in &self.sections {
            add(name, *kind, *flags, *address, bytes, [0; 3]);
        }
        add(".symtab", 2, 0, 0, &table, [symbols + 1, 1, 16]);
        add(".strtab", 3, 0, 0, &strings, [0; 3]);
        // The name of this one is known before it is added.
        let mut all = names.clone();
        all.extend(b".shstrtab\0");
        headers.extend(word(names.len()));
        for number in [3, 0, 0, contents.len() as u32, all.len() as u32, 0, 0, 1, 0] {
            headers.extend(number.to_le_bytes());
        }
        contents.extend(&all);
        let start = contents.len();
        contents.extend(headers);
        contents[..HEADER].copy_from_slice(&self.header(start, symbols + 3));
        contents
    }

    fn header(&self, sections: usize, count: usize) -> [u8; HEADER] {
        let mut header = vec![0x7F, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend([self.kind, self.machine].map(u16::to_le_bytes).concat());
        header.extend([1, 0, 0, sections as u32, 0].map(u32::to_le_bytes).concat());
        header.extend(
            [HEADER as u16, 32, 0, 40, count as u16, count as u16 - 1].map(u16::to_le_bytes).concat(),
        );
        header.try_into().unwrap()
    }
}

pub const TEXT: u32 = 0x0010_0000;
pub const RECORDS: u32 = 0x0800_0000;
pub const TABLE: u32 = 0x0900_0000;
pub const STUBS: u32 = 0x0A00_0000;
/// The bytes in front of each site, and their length: `nop; popf; ret` are there where something is planted.
pub const GAP: u32 = 3;

/// A kernel with sites.
pub struct Kernel {
    pub text: Vec<u8>,
    pub records: Vec<u8>,
    /// The address of each site.
    pub sites: Vec<u32>,
    pub stubs: Vec<u32>,
}

impl Kernel {
    /// A kernel with a site for each of `calls`, each in a function of its own, behind three bytes: `nop; nop; nop`,
    /// or where `is_planted` says so `nop; popf; nop`.
    pub fn new(calls: impl IntoIterator<Item = Call>, is_planted: impl Fn(usize) -> bool) -> Self {
        let stubs: Vec<_> = Call::all().map(|call| STUBS + 4 * call.number()).collect();
        let mut kernel = Self { text: Vec::new(), records: Vec::new(), sites: Vec::new(), stubs };
        for (index, call) in calls.into_iter().enumerate() {
            let form = NativeForm::of(call);
            kernel.text.extend([0x90, if is_planted(index) { 0x9D } else { 0x90 }, 0x90]);
            let address = TEXT + kernel.text.len() as u32;
            match form.code {
                NativeCode::Inline(bytes) => kernel.text.extend(bytes),
                NativeCode::Stub => {
                    let target = kernel.stubs[call.number() as usize];
                    kernel.text.push(0xE8);
                    kernel.text.extend(target.wrapping_sub(address + 5).to_le_bytes());
                }
            }
            let record = RECORDS + kernel.records.len() as u32;
            kernel.records.extend(address.wrapping_sub(record).to_le_bytes());
            kernel.records.push(call.number() as u8);
            kernel.sites.push(address);
        }
        kernel
    }

    /// One with a site of each call.
    pub fn of_all() -> Self {
        Self::new(Call::all(), |_| false)
    }

    /// As an ELF file, with a function around each site.
    pub fn elf(&self) -> Elf {
        let mut elf = Elf::new();
        let text = elf.section(".text", CODE, TEXT, self.text.clone());
        elf.section("vmi_sites", ALLOC, RECORDS, self.records.clone());
        let table = self.stubs.iter().flat_map(|stub| stub.to_le_bytes()).collect();
        let table = elf.section(".rodata", ALLOC, TABLE, table);
        // Each stub is `mov cr0, eax; ret`.
        let code = self.stubs.iter().flat_map(|_| [0x0F, 0x22, 0xC0, 0xC3]).collect();
        let stubs = elf.section(".native.text", CODE, STUBS, code);
        elf.symbol("__paravirt_vmi_native", TABLE, 0, LABEL, table);
        for stub in &self.stubs {
            elf.symbol(format!("stub_{stub:x}"), *stub, 4, FUNCTION, stubs);
        }
        for (index, address) in self.sites.iter().enumerate() {
            let start = address - GAP;
            let end = self.sites.get(index + 1).map_or(TEXT + self.text.len() as u32, |next| next - GAP);
            elf.symbol(format!("function_{index}"), start, end - start, FUNCTION, text);
        }
        elf
    }
}
