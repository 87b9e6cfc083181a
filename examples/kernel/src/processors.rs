//! How many processors there are, as the firmware says: the ACPI table of interrupt controllers has an entry
//! for each. A machine without ACPI tables has one.
//!
//! Source: Advanced Configuration and Power Interface Specification 2.0, sections 5.2.4 to 5.2.10.
//!
//! # Safety
//!
//! Reads physical memory where the firmware and the tables say that there are tables, before anything was
//! written there.
#![allow(unsafe_code)]

use core::ops::Range;

/// Where the firmware keeps the pointer to its tables, besides the area that [`EXTENDED_DATA`] tells.
const FIRMWARE: Range<u32> = 0xE_0000..0x10_0000;
/// Holds the segment of the BIOS's extended data area, at whose start the pointer may lie as well.
const EXTENDED_DATA: u32 = 0x40E;
/// The pointer lies on a boundary of as many bytes.
const ALIGNMENT: usize = 16;
/// Bytes in the first version of the pointer.
const POINTER: u32 = 20;
/// Bytes in the header of each table.
const HEADER: u32 = 36;
/// Offset of the first entry in the table of interrupt controllers.
const CONTROLLERS: u32 = 44;
/// A longer table is none.
const LONGEST: u32 = 0x1_0000;
/// Type of the entry of a processor and its local APIC, and its length.
const LOCAL_APIC: [u8; 2] = [0, 8];
/// The processor can be used.
const ENABLED: u32 = 1;

/// The number of processors.
///
/// # Safety
///
/// Called with paging off.
#[inline(never)]
#[unsafe(link_section = ".boot.text")]
pub unsafe fn count() -> u32 {
    let extended = u32::from(half(EXTENDED_DATA)) << 4;
    let places = [extended..extended + 1024, FIRMWARE];
    let pointer = places.into_iter().flat_map(|place| place.step_by(ALIGNMENT)).find(|&address| {
        (word(address), word(address + 4)) == (tag(*b"RSD "), tag(*b"PTR ")) && sum(address, POINTER) == 0
    });
    let root = pointer.and_then(|pointer| table(word(pointer + 16), *b"RSDT"));
    let entries = root.into_iter().flat_map(|root| (root.start + HEADER..root.end).step_by(4));
    let controllers = entries.filter_map(|entry| table(word(entry), *b"APIC")).next();
    controllers.map_or(1, |controllers| processors(&controllers).max(1))
}

/// The processors in the table of interrupt controllers.
fn processors(table: &Range<u32>) -> u32 {
    let mut at = table.start + CONTROLLERS;
    let mut count = 0;
    while at + 2 <= table.end {
        let [kind, length] = half(at).to_le_bytes();
        if length < 2 {
            break;
        }
        if [kind, length] == LOCAL_APIC && word(at + 4) & ENABLED != 0 {
            count += 1;
        }
        at += u32::from(length);
    }
    count
}

/// The bytes of a table with this signature, if there is one and its sum is right.
fn table(address: u32, signature: [u8; 4]) -> Option<Range<u32>> {
    let end = address.checked_add(LONGEST)?;
    let length = word(address + 4);
    let is_table = word(address) == tag(signature) && (HEADER..LONGEST).contains(&length);
    (is_table && sum(address, length) == 0).then(|| address..end - LONGEST + length)
}

const fn tag(signature: [u8; 4]) -> u32 {
    u32::from_le_bytes(signature)
}

fn sum(address: u32, length: u32) -> u8 {
    (address..address + length).fold(0, |sum, address| sum.wrapping_add(byte(address)))
}

fn word(address: u32) -> u32 {
    u32::from(half(address + 2)) << 16 | u32::from(half(address))
}

fn half(address: u32) -> u16 {
    u16::from_le_bytes([byte(address), byte(address + 1)])
}

fn byte(address: u32) -> u8 {
    let from = core::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: see the module.
    unsafe { from.read_volatile() }
}
