//! A [`Case`] as bytes, for the fuzzer to change and for the corpus to keep.
//!
//! Any bytes are a case: what is missing at the end is 0, or is not there.

use paravirt_vmi::abi::Call;

use super::{Case, Change, Part};
use crate::text::Fault;

/// The bit of the first byte that says that the sites have been patched.
const PATCHED: u8 = 1;
/// The bit of the first byte that says that a write is refused.
const REFUSE: u8 = 2;
/// The bit of the first byte that says that a write is lost.
const LOSE: u8 = 4;

impl Case {
    /// Reads a case.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut reader = Reader { bytes };
        let [flags, number, count] = reader.array();
        let fault = match (flags & REFUSE, flags & LOSE) {
            (0, 0) => None,
            (0, _) => Some((number, Fault::Lose)),
            _ => Some((number, Fault::Refuse)),
        };
        let rom = u32::from_le_bytes(reader.array());
        let rom_length = u16::from_le_bytes(reader.array());
        let text = u32::from_le_bytes(reader.array());
        let sites = reader.take(count.into()).to_vec();
        let mut answers = [(0, 0); Call::COUNT];
        for (kind, offset) in &mut answers {
            [*kind] = reader.array();
            *offset = u32::from_le_bytes(reader.array());
        }
        let mut changes = Vec::new();
        while !reader.bytes.is_empty() {
            let [part, o0, o1, bits] = reader.array();
            let part = [Part::Text, Part::Records, Part::Stubs][usize::from(part % 3)];
            changes.push(Change { part, offset: u16::from_le_bytes([o0, o1]), bits });
        }
        let is_patched = flags & PATCHED != 0;
        Self { rom, rom_length, answers, text, sites, changes, is_patched, fault }
    }

    /// Writes a case; of more than 255 sites the first 255.
    pub fn encode(&self) -> Vec<u8> {
        let (number, fault) = match self.fault {
            None => (0, 0),
            Some((number, Fault::Refuse)) => (number, REFUSE),
            Some((number, Fault::Lose)) => (number, LOSE),
        };
        let flags = fault | if self.is_patched { PATCHED } else { 0 };
        let sites = &self.sites[..self.sites.len().min(255)];
        let mut bytes = vec![flags, number, sites.len() as u8];
        bytes.extend(self.rom.to_le_bytes());
        bytes.extend(self.rom_length.to_le_bytes());
        bytes.extend(self.text.to_le_bytes());
        bytes.extend(sites);
        for (kind, offset) in self.answers {
            bytes.push(kind);
            bytes.extend(offset.to_le_bytes());
        }
        for Change { part, offset, bits } in &self.changes {
            let [o0, o1] = offset.to_le_bytes();
            bytes.extend([*part as u8, o0, o1, *bits]);
        }
        bytes
    }
}

/// Bytes that are taken from the front.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// As many bytes as there are, up to `count`.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        front
    }

    /// The next bytes; those that are not there are 0.
    fn array<const COUNT: usize>(&mut self) -> [u8; COUNT] {
        let mut array = [0; COUNT];
        let front = self.take(COUNT);
        array[..front.len()].copy_from_slice(front);
        array
    }
}
