//! Decoding a kernel's code from start to end, without its sites.

use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, Instruction};

use crate::kernel::Kernel;
use crate::map::{Content, Map};

/// The longest instruction, in bytes.
const LENGTH_MAX: u32 = 15;

/// What one byte or more turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// An instruction.
    Instruction(&'a Instruction),
    /// No instruction begins with the byte at this linear address.
    Undecodable(u32),
}

/// Shows `visit` every instruction outside `sites`, which are in order of address, and what surrounds it.
///
/// Decoding begins anew at each region and behind each site, so that it cannot lose step for long. An instruction
/// that begins in one region of code may end in the next; none reaches into a site.
pub fn scan(kernel: &Kernel<'_>, map: &Map, sites: &[Range<u32>], mut visit: impl FnMut(Item<'_>, Content)) {
    let mut sites = sites.iter().peekable();
    let mut covered = 0;
    for (index, region) in
        map.regions.iter().enumerate().filter(|(_, region)| region.content != Content::Data)
    {
        let mut from = region.range.start;
        loop {
            while let Some(site) = sites.next_if(|site| site.start <= from.max(covered)) {
                covered = covered.max(site.end);
            }
            from = from.max(covered);
            if from >= region.range.end {
                break;
            }
            let site = sites.peek().map_or(u32::MAX, |site| site.start);
            let until = region.range.end.min(site);
            let limit = code_end(map, index, until).min(site);
            // What is one region is one section.
            let bytes = kernel.bytes(from, (limit - from) as usize).unwrap_or_default();
            decode(bytes, from, until, |item| visit(item, region.content));
            from = until;
        }
    }
}

/// Where the code ends that an instruction in front of `until`, in a region, can be part of.
fn code_end(map: &Map, index: usize, until: u32) -> u32 {
    let region = &map.regions[index];
    let mut end = region.range.end;
    for next in &map.regions[index + 1..] {
        let is_enough = end >= until.saturating_add(LENGTH_MAX);
        if is_enough || next.section != region.section || next.content == Content::Data {
            break;
        }
        end = next.range.end;
    }
    end
}

/// Decodes `bytes`, which lie at `from`, as far as instructions begin before `until`.
fn decode(bytes: &[u8], from: u32, until: u32, mut visit: impl FnMut(Item<'_>)) {
    let mut decoder = Decoder::with_ip(32, bytes, from.into(), OPTIONS);
    let mut instruction = Instruction::default();
    while decoder.can_decode() && decoder.ip() < u64::from(until) {
        let (position, address) = (decoder.position(), decoder.ip() as u32);
        decoder.decode_out(&mut instruction);
        if !instruction.is_invalid() {
            visit(Item::Instruction(&instruction));
            continue;
        }
        visit(Item::Undecodable(address));
        if decoder.set_position(position + 1).is_err() {
            break;
        }
        decoder.set_ip(u64::from(address) + 1);
    }
}

/// Test registers are decoded too: the 386 and the 486 have them.
const OPTIONS: u32 = DecoderOptions::MOV_TR;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disassembly;
    use crate::kernel::{Section, Symbol, SymbolKind};

    /// What is found in `bytes` at 100, with `sites` and `labels`.
    fn found(bytes: &[u8], sites: &[Range<u32>], labels: &[u32]) -> Vec<String> {
        let symbol = |&address| Symbol { name: "label", address, size: 0, kind: SymbolKind::Label };
        let kernel = Kernel {
            code: vec![Section { name: ".text", address: 100, bytes }],
            symbols: labels.iter().map(symbol).collect(),
            records: None,
            stubs: None,
            calls: None,
            adapters: Vec::new(),
        };
        let mut found = Vec::new();
        scan(&kernel, &Map::new(&kernel), sites, |item, _| {
            found.push(match item {
                Item::Instruction(instruction) => {
                    format!("{} {}", instruction.ip32(), disassembly::text(instruction))
                }
                Item::Undecodable(address) => format!("{address} (bad)"),
            });
        });
        found
    }

    /// The addresses of a site, as they are.
    fn site(addresses: Range<u32>) -> Range<u32> {
        addresses
    }

    #[test]
    fn only_what_lies_outside_the_sites_is_found() {
        let bytes = [0xFA, 0x3E, 0x3E, 0x3E, 0x3E, 0xFA, 0xFB];
        assert_eq!(found(&bytes, &[], &[]), ["100 cli", "101 cli", "106 sti"]);
        assert_eq!(found(&bytes, &[site(101..106)], &[]), ["100 cli", "106 sti"]);
        assert_eq!(found(&bytes, &[site(101..106)], &[101, 105]), ["100 cli", "106 sti"]);
        assert_eq!(found(&bytes, &[site(100..106), site(101..106)], &[]), ["106 sti"]);
        assert!(found(&bytes[1..6], &[site(100..105)], &[]).is_empty());
        assert_eq!(found(&bytes, &[100..101, 106..107], &[]), ["101 cli"]);
    }

    #[test]
    fn no_instruction_reaches_into_a_site() {
        // Decoded without a break, `mov eax, imm32` would swallow the site.
        let bytes = [0xB8, 0xFA, 0x90, 0x90, 0x90, 0xFB];
        assert_eq!(found(&bytes, &[site(101..105)], &[]), ["100 (bad)", "105 sti"]);
    }

    #[test]
    fn decoding_finds_its_way_behind_data_and_loses_nothing() {
        let bytes = [0xC3, 0xB8, 0xFA, 0x90, 0x90, 0x90];
        assert_eq!(found(&bytes, &[], &[]), ["100 ret", "101 mov eax, 0x909090fa"]);
        let expected = ["100 ret", "101 mov eax, 0x909090fa", "102 cli", "103 nop", "104 nop", "105 nop"];
        assert_eq!(found(&bytes, &[], &[102]), expected);
    }

    #[test]
    fn a_byte_that_begins_no_instruction_costs_one_byte() {
        assert_eq!(found(&[0x0F, 0x04, 0xFA], &[], &[]), ["100 (bad)", "101 add al, 0xfa"]);
        assert_eq!(found(&[0xE8, 0xFA], &[], &[]), ["100 (bad)", "101 cli"]);
    }

    #[test]
    fn test_registers_are_decoded() {
        assert_eq!(found(&[0x0F, 0x24, 0xF0], &[], &[]), ["100 mov eax, tr6"]);
    }
}
