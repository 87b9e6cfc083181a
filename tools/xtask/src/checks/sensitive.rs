//! Outside its sites the kernel does nothing to the interrupt flag.
//!
//! Every instruction of the linked kernel is decoded. Left out are boot code, which runs before the
//! sites are patched, the native stubs, which only sites reach that are not patched, the ring-3
//! programs, which may try what they like, and what the kernel keeps to show why it must not be used.

use std::ops::Range;

use anyhow::{Result, ensure};
use iced_x86::{Instruction, Mnemonic};

use crate::artifact::{self, Package};
use crate::disassembly;
use crate::elf::{Kernel, Section};
use crate::suite::Finding;
use crate::toolchain::Compiler;

/// Sections that may hold any instruction.
const EXEMPT: [&str; 4] = [".boot.text", ".native.text", ".user.text", ".sensitive.text"];

/// The section that must be among those that are looked at.
const TEXT: &str = ".text";

/// Looks at the kernel: a finding for each site, and one for each section.
pub fn sensitive(compiler: &Compiler) -> Result<Vec<Finding>> {
    let kernel = Kernel::read(&artifact::build(compiler, Package::KERNEL)?.path)?;
    ensure!(kernel.code.iter().any(|section| section.name == TEXT), "the kernel has no {TEXT}");
    ensure!(!kernel.sites.is_empty(), "the kernel has no sites");
    let mut findings = Vec::new();
    let mut sites = Vec::new();
    for site in &kernel.sites {
        let range = site.range();
        let (call, native) = (site.form.call, site.native());
        let native = native.as_slice();
        let name = format!("{call} site at {:08x} in {}", range.start, kernel.place(range.start));
        let found = bytes(&kernel.code, &range).unwrap_or_default();
        let complaint = (found != native).then(|| format!("found {found:02x?}, expected {native:02x?}"));
        findings.push(Finding::new(name, complaint.as_slice()));
        sites.push(range);
    }
    let symbols: Vec<_> = kernel.symbols.iter().map(|symbol| symbol.address).collect();
    for section in kernel.code.iter().filter(|section| !EXEMPT.contains(&section.name.as_str())) {
        let complaints: Vec<_> = instructions_outside(section, &sites, &symbols)
            .iter()
            .filter(|instruction| is_sensitive(instruction))
            .map(|instruction| {
                let address = instruction.ip32();
                let text = disassembly::text(instruction);
                format!("{address:08x} {text} in {}", kernel.place(address))
            })
            .collect();
        findings.push(Finding::new(format!("section {}", section.name), &complaints));
    }
    Ok(findings)
}

/// The bytes at a range of addresses, if they lie in one of the sections.
fn bytes<'a>(sections: &'a [Section], range: &Range<u32>) -> Option<&'a [u8]> {
    sections.iter().find_map(|section| {
        let start = range.start.checked_sub(section.address)? as usize;
        section.bytes.get(start..start.checked_add(range.len())?)
    })
}

/// The instructions of a section outside its sites.
///
/// Decoding starts anew behind each site and at each symbol, so that it cannot lose step for long.
fn instructions_outside(section: &Section, sites: &[Range<u32>], symbols: &[u32]) -> Vec<Instruction> {
    let end = section.address + section.bytes.len() as u32;
    let inside = section.address..end;
    let mut starts = vec![section.address];
    starts.extend(symbols.iter().filter(|address| inside.contains(*address)));
    starts.extend(sites.iter().map(|site| site.end).filter(|address| inside.contains(address)));
    starts.sort_unstable();
    starts.dedup();
    let mut found = Vec::new();
    for (index, &start) in starts.iter().enumerate() {
        let next = starts.get(index + 1).copied().unwrap_or(end);
        let site = sites.iter().map(|site| site.start).filter(|site| *site >= start).min();
        if sites.iter().any(|site| site.contains(&start)) {
            continue;
        }
        let stop = site.unwrap_or(next).min(next);
        let (from, to) = ((start - section.address) as usize, (stop - section.address) as usize);
        found.extend(disassembly::instructions(&section.bytes[from..to], start));
    }
    found
}

/// Whether an instruction reads or writes the interrupt flag, waits for an interrupt, or is none.
fn is_sensitive(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Cli
            | Mnemonic::Sti
            | Mnemonic::Pushf
            | Mnemonic::Pushfd
            | Mnemonic::Popf
            | Mnemonic::Popfd
            | Mnemonic::Iret
            | Mnemonic::Iretd
            | Mnemonic::Hlt
            | Mnemonic::Sysexit
            | Mnemonic::INVALID
    )
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    /// Addresses of sensitive instructions in `bytes` at 100, where `sites` are.
    fn found(bytes: &[u8], sites: &[Range<u32>], symbols: &[u32]) -> Vec<u32> {
        let section = Section { name: TEXT.to_owned(), address: 100, bytes: bytes.to_owned() };
        instructions_outside(&section, sites, symbols)
            .iter()
            .filter(|instruction| is_sensitive(instruction))
            .map(Instruction::ip32)
            .collect()
    }

    #[test]
    fn each_sensitive_instruction_is_found() {
        for code in [
            &[0xFA][..],
            &[0xFB],
            &[0x9C],
            &[0x66, 0x9C],
            &[0x9D],
            &[0x66, 0x9D],
            &[0xCF],
            &[0x66, 0xCF],
            &[0xF4],
            &[0x0F, 0x35],
            &[0x3E, 0x3E, 0xFA],
        ] {
            let bytes = [&[0x90], code, &[0x90]].concat();
            assert_eq!(found(&bytes, &[], &[]), [101], "{code:02x?}");
        }
        assert!(found(&[0x90, 0xB8, 0xFA, 0xFB, 0xF4, 0x9C, 0xC3], &[], &[]).is_empty());
    }

    #[test]
    fn only_what_lies_outside_the_sites_is_found() {
        let bytes = [0xFA, 0x3E, 0x3E, 0x3E, 0x3E, 0xFA, 0xFB];
        assert_eq!(found(&bytes, &[], &[]), [100, 101, 106]);
        let site = 101..106;
        assert_eq!(found(&bytes, slice::from_ref(&site), &[]), [100, 106]);
        assert_eq!(found(&bytes, slice::from_ref(&site), &[101, 105]), [100, 106]);
        let site = 100..105;
        assert!(found(&bytes[1..6], slice::from_ref(&site), &[]).is_empty());
    }

    #[test]
    fn decoding_finds_its_way_behind_data() {
        // The data byte would swallow the instruction at the symbol.
        let bytes = [0xC3, 0xB8, 0xFA, 0x90, 0x90, 0x90];
        assert!(found(&bytes, &[], &[]).is_empty());
        assert_eq!(found(&bytes, &[], &[102]), [101, 102]);
    }

    #[test]
    fn bytes_are_found_in_their_section_only() {
        let section = Section { name: TEXT.to_owned(), address: 100, bytes: vec![1, 2, 3] };
        let sections = [section];
        assert_eq!(bytes(&sections, &(101..103)), Some(&[2, 3][..]));
        assert_eq!(bytes(&sections, &(102..104)), None);
        assert_eq!(bytes(&sections, &(99..101)), None);
    }
}
