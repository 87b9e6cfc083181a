//! The machine code that a relocation puts at a site.

use paravirt_vmi_abi::RelocationKind;

use super::Relocation;
use crate::site::{BRANCH_LENGTH, MAX_SITE_LENGTH, Site, SiteKind};

/// The opcode of `call rel32`.
const CALL_REL32: u8 = 0xe8;
/// The opcode of `jmp rel32`.
const JMP_REL32: u8 = 0xe9;
/// The opcode of `int3`.
const INT3: u8 = 0xcc;

/// Instructions without effect, by length; all of them decode on a 386, which the multi-byte `0F 1F`
/// does not.
const FILLERS: [&[u8]; MAX_SITE_LENGTH + 1] = [
    &[],
    // nop
    &[0x90],
    // mov esi, esi
    &[0x89, 0xf6],
    // lea esi, [esi + disp8]
    &[0x8d, 0x76, 0x00],
    // lea esi, [esi + disp8] with a SIB byte
    &[0x8d, 0x74, 0x26, 0x00],
    // ds lea esi, [esi + disp8] with a SIB byte
    &[0x3e, 0x8d, 0x74, 0x26, 0x00],
    // lea esi, [esi + disp32]
    &[0x8d, 0xb6, 0x00, 0x00, 0x00, 0x00],
    // lea esi, [esi + disp32] with a SIB byte
    &[0x8d, 0xb4, 0x26, 0x00, 0x00, 0x00, 0x00],
    // ds lea esi, [esi + disp32] with a SIB byte
    &[0x3e, 0x8d, 0xb4, 0x26, 0x00, 0x00, 0x00, 0x00],
];

/// The bytes of a site: as many as its native form has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SiteBytes {
    bytes: [u8; MAX_SITE_LENGTH],
    length: u8,
}

impl SiteBytes {
    /// The given bytes; longer runs than a site can have are cut off.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut site = Self { bytes: [0; MAX_SITE_LENGTH], length: 0 };
        for (to, from) in site.bytes.iter_mut().zip(bytes) {
            *to = *from;
            site.length += 1;
        }
        site
    }

    /// The bytes as a slice.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length.into()]
    }

    /// The bytes as a slice that can be read into.
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length.into()]
    }
}

/// Writes the bytes in hexadecimal, separated by blanks.
impl core::fmt::Display for SiteBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (index, byte) in self.as_slice().iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{byte:02x}")?;
        }
        Ok(())
    }
}

impl core::fmt::Debug for SiteBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "[{self}]")
    }
}

/// The bytes that `relocation` puts at `site`; the native form for one that leaves it.
pub(super) fn encode(site: &Site, relocation: Relocation) -> SiteBytes {
    let mut planned = SiteBytes::new(site.form.bytes);
    let bytes = planned.as_mut_slice();
    let opcode = match relocation.kind {
        RelocationKind::CALL_REL => CALL_REL32,
        RelocationKind::JUMP_REL => JMP_REL32,
        RelocationKind::NOP => {
            fill(bytes);
            return planned;
        }
        _ => return planned,
    };
    // The displacement counts from the end of the instruction, modulo 2^32.
    let next = site.address.wrapping_add(BRANCH_LENGTH as u32);
    let (branch, rest) = bytes.split_at_mut(BRANCH_LENGTH);
    branch[0] = opcode;
    branch[1..].copy_from_slice(&relocation.target.wrapping_sub(next).to_le_bytes());
    match site.form.kind {
        SiteKind::NO_RETURN => rest.fill(INT3),
        _ => fill(rest),
    }
    planned
}

/// Fills `bytes` with one instruction without effect.
fn fill(bytes: &mut [u8]) {
    bytes.copy_from_slice(FILLERS[bytes.len()]);
}
