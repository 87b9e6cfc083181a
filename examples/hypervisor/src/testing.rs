//! [`FakeHost`]: a machine for tests, and a guest on it.

use core::fmt;
use std::collections::BTreeMap;

use crate::descriptor::Descriptor;
use crate::device::apic::register;
use crate::fault::Fault;
use crate::frame::{Frame, eflags};
use crate::guest::Guest;
use crate::host::{Flush, Host, Mapping, NotMemory, Table};
use crate::layout::{DESCRIPTORS, ROM};
use crate::physical::{Area, ROM_SIZE, area};
use crate::vcpu::{SystemSegment, TableRegister, Vcpu};

/// RAM of the machine: all that tests use of the guest's.
pub const MEMORY: u32 = 0x20_0000;

/// A machine that remembers what it was told.
pub struct FakeHost {
    pub memory: Vec<u8>,
    pub rom: Vec<u8>,
    pub maps: Vec<(u32, Mapping)>,
    pub flushes: Vec<Flush>,
    /// The shadow tables: GDT and LDT.
    pub descriptors: [Vec<u64>; 2],
    pub open_ports: bool,
    /// What was written to ports.
    pub ports: Vec<(u16, u8, u32)>,
    /// What ports read as; others read as ones.
    pub inputs: BTreeMap<u16, u32>,
    pub apic: Vec<(u16, u32)>,
    pub cycles: u64,
    pub log: Vec<String>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self {
            memory: vec![0; MEMORY as usize],
            rom: vec![0; ROM_SIZE as usize],
            maps: Vec::new(),
            flushes: Vec::new(),
            descriptors: [vec![0; DESCRIPTORS.into()], vec![0; DESCRIPTORS.into()]],
            open_ports: false,
            ports: Vec::new(),
            inputs: BTreeMap::new(),
            apic: Vec::new(),
            cycles: 1000,
            log: Vec::new(),
        }
    }
}

impl FakeHost {
    fn bytes(&mut self, address: u64, length: usize) -> Result<&mut [u8], NotMemory> {
        let missing = NotMemory { address };
        let (first, bytes) = match area(address) {
            Some(Area::Memory) => (0, &mut self.memory),
            Some(Area::Rom) => (u64::from(ROM), &mut self.rom),
            _ => return Err(missing),
        };
        let start = (address - first) as usize;
        bytes.get_mut(start..start + length).ok_or(missing)
    }
}

impl Host for FakeHost {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), NotMemory> {
        let missing = NotMemory { address };
        let (first, source) = match area(address) {
            Some(Area::Memory) => (0, &self.memory),
            Some(Area::Rom) => (u64::from(ROM), &self.rom),
            _ => return Err(missing),
        };
        let start = (address - first) as usize;
        bytes.copy_from_slice(source.get(start..start + bytes.len()).ok_or(missing)?);
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), NotMemory> {
        let is_rom = area(address) == Some(Area::Rom);
        let target = self.bytes(address, bytes.len())?;
        if !is_rom {
            target.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn map(&mut self, linear: u32, mapping: Mapping) {
        self.maps.push((linear, mapping));
    }

    fn flush(&mut self, what: Flush) {
        self.flushes.push(what);
    }

    fn set_descriptor(&mut self, table: Table, index: u16, descriptor: u64) {
        self.descriptors[table as usize][usize::from(index)] = descriptor;
    }

    fn open_ports(&mut self, open: bool) {
        self.open_ports = open;
    }

    fn port_in(&mut self, port: u16, width: u8) -> u32 {
        let value = self.inputs.get(&port).copied().unwrap_or(!0);
        value & !0 >> (32 - 8 * u32::from(width))
    }

    fn port_out(&mut self, port: u16, width: u8, value: u32) {
        self.ports.push((port, width, value));
    }

    fn set_apic_register(&mut self, offset: u16, value: u32) {
        self.apic.push((offset, value));
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }

    fn frequency(&self) -> u64 {
        1_000_000_000
    }

    fn wall_clock(&self) -> u64 {
        self.cycles
    }

    /// A Pentium III with NX.
    fn cpuid(&self, leaf: u32, _subleaf: u32) -> [u32; 4] {
        match leaf {
            1 => [0x6B4, 0, 0, 0x0383_FBFF],
            0x8000_0000 => [0x8000_0001, 0, 0, 0],
            0x8000_0001 => [0, 0, 0, 1 << 20],
            _ => [0; 4],
        }
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        self.log.push(line.to_string());
    }
}

/// Where the guest of [`guest`] has its things.
pub mod place {
    pub const GDT: u32 = 0x1000;
    pub const IDT: u32 = 0x2000;
    pub const TASK: u32 = 0x3000;
    pub const CODE: u32 = 0x1_0000;
    pub const HANDLERS: u32 = 0x2_0000;
    /// The end of the stack that is in use.
    pub const STACK: u32 = 0x4_0000;
    /// ESP0.
    pub const KERNEL_STACK: u32 = 0x5_0000;
    pub const USER_STACK: u32 = 0x6_0000;
}

/// Selectors of the guest of [`guest`], as its kernel names them in ring 0.
pub mod selector {
    pub const CODE: u16 = 0x08;
    pub const DATA: u16 = 0x10;
    pub const USER_CODE: u16 = 0x1B;
    pub const USER_DATA: u16 = 0x23;
    pub const TASK: u16 = 0x28;
    /// Entries that tests fill.
    pub const SPARE: u16 = 0x30;
    pub const ENTRIES: u32 = 16;
}

/// A gate of ring 0.
pub fn gate(kind: u64, selector: u16, offset: u32, dpl: u64) -> u64 {
    let offset = u64::from(offset);
    offset & 0xFFFF | u64::from(selector) << 16 | (0x80 | dpl << 5 | kind) << 40 | offset >> 16 << 48
}

/// A guest whose kernel, in ring 1, is about to execute `code`, with interrupts masked. Its IDT has an interrupt
/// gate for each vector, of which that of 80 is open to ring 3, and trap gates from C0 on.
pub fn guest(code: &[u8]) -> Guest<FakeHost> {
    let frame = Frame {
        cs: (selector::CODE | 1).into(),
        ss: (selector::DATA | 1).into(),
        ds: selector::DATA.into(),
        es: selector::DATA.into(),
        eip: place::CODE,
        esp: place::STACK,
        eflags: eflags::ALWAYS | eflags::INTERRUPT,
        ..Frame::default()
    };
    let mut guest = Guest::new(Vcpu::new(frame), FakeHost::default());
    guest.vcpu.gdt = TableRegister { base: place::GDT, limit: 8 * selector::ENTRIES - 1 };
    guest.vcpu.idt = TableRegister { base: place::IDT, limit: 0x7FF };
    let table = TableRegister { base: place::TASK, limit: 103 };
    guest.vcpu.task = SystemSegment { selector: selector::TASK, table };
    const DPL_3: u64 = 3 << 45;
    set_entry(&mut guest, selector::CODE, Descriptor::FLAT_CODE.0);
    set_entry(&mut guest, selector::DATA, Descriptor::FLAT_DATA.0);
    set_entry(&mut guest, selector::USER_CODE, Descriptor::FLAT_CODE.0 | DPL_3);
    set_entry(&mut guest, selector::USER_DATA, Descriptor::FLAT_DATA.0 | DPL_3);
    set_entry(&mut guest, selector::TASK, 0x0000_8B00_3000_0067);
    poke(&mut guest, place::TASK + 4, &place::KERNEL_STACK.to_le_bytes());
    poke(&mut guest, place::TASK + 8, &selector::DATA.to_le_bytes());
    for vector in 0..=255 {
        let kind = if vector < 0xC0 { 14 } else { 15 };
        let dpl = if vector == 0x80 { 3 } else { 0 };
        set_gate(&mut guest, vector, gate(kind, selector::CODE, handler(vector), dpl));
    }
    poke(&mut guest, place::CODE, code);
    guest.host.flushes.clear();
    guest
}

/// The same guest with a program in ring 3 that is about to execute `code`.
pub fn user(code: &[u8]) -> Guest<FakeHost> {
    let mut guest = guest(code);
    let frame = &mut guest.vcpu.frame;
    frame.cs = selector::USER_CODE.into();
    frame.ss = selector::USER_DATA.into();
    frame.ds = selector::USER_DATA.into();
    frame.es = selector::USER_DATA.into();
    frame.esp = place::USER_STACK;
    guest.vcpu.interrupt_flag = true;
    guest
}

/// Where the handler of a vector begins.
pub fn handler(vector: u8) -> u32 {
    place::HANDLERS + 16 * u32::from(vector)
}

/// Writes the guest's physical memory, which is its linear address space, too.
pub fn poke(guest: &mut Guest<FakeHost>, address: u32, bytes: &[u8]) {
    guest.host.write(address.into(), bytes).expect("tests write to memory");
}

/// Writes double words from an address on.
pub fn poke_words(guest: &mut Guest<FakeHost>, address: u32, words: &[u32]) {
    for (index, word) in words.iter().enumerate() {
        poke(guest, address + 4 * index as u32, &word.to_le_bytes());
    }
}

/// The double word at an address.
pub fn peek(guest: &Guest<FakeHost>, address: u32) -> u32 {
    let mut bytes = [0; 4];
    guest.host.read(address.into(), &mut bytes).expect("tests read memory");
    u32::from_le_bytes(bytes)
}

/// The double words from ESP on.
pub fn stack<const COUNT: usize>(guest: &Guest<FakeHost>) -> [u32; COUNT] {
    core::array::from_fn(|index| peek(guest, guest.vcpu.frame.esp + 4 * index as u32))
}

/// Sets the entry of the GDT that a selector names.
pub fn set_entry(guest: &mut Guest<FakeHost>, selector: u16, descriptor: u64) {
    poke(guest, place::GDT + u32::from(selector & !7), &descriptor.to_le_bytes());
    guest.descriptors_changed();
    guest.sync_descriptors();
}

/// Sets the gate of a vector.
pub fn set_gate(guest: &mut Guest<FakeHost>, vector: u8, gate: u64) {
    poke(guest, place::IDT + 8 * u32::from(vector), &gate.to_le_bytes());
}

/// Leaves the guest with #GP(`code`), and answers that; the exception that it is to get.
pub fn protection_fault(guest: &mut Guest<FakeHost>, code: u32) -> Option<Fault> {
    guest.vcpu.frame.vector = 13;
    guest.vcpu.frame.error_code = code;
    guest.exit().expect("the guest goes on");
    guest.vcpu.exception
}

/// Makes an interrupt of this vector wait: of the local APIC's timer.
pub fn raise_interrupt(guest: &mut Guest<FakeHost>, vector: u8) {
    guest.board.apic.write(register::LVT_TIMER, vector.into());
    guest.board.apic.raise_timer();
}

/// How far EIP has gone.
pub fn advanced(guest: &Guest<FakeHost>) -> u32 {
    guest.vcpu.frame.eip - place::CODE
}
