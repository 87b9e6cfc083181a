//! The machine code that a relocation puts at a site.

use paravirt_vmi_abi::RelocationKind;

use super::{Relocation, RelocationTable};
use crate::site::{BRANCH_LENGTH, CALL_REL32, MAX_SITE_LENGTH, Site, SiteBytes, SiteKind};

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

/// The bytes that the relocation of its call puts at `site`; the native form for one that leaves it.
pub(super) fn encode(site: &Site, relocations: &RelocationTable) -> SiteBytes {
    let call = site.form.call;
    relocations.inline_code(call).unwrap_or_else(|| branch(site, relocations.get(call)))
}

/// The same, of a site that does not hold the ROM's own code.
fn branch(site: &Site, relocation: Relocation) -> SiteBytes {
    let mut planned = site.native();
    match relocation.kind {
        RelocationKind::CALL_REL => {
            planned.put_branch(CALL_REL32, site.address, relocation.target);
        }
        RelocationKind::JUMP_REL => {
            planned.put_branch(JMP_REL32, site.address, relocation.target);
        }
        RelocationKind::NOP => {
            fill(planned.as_mut_slice());
            return planned;
        }
        _ => return planned,
    }
    let rest = &mut planned.as_mut_slice()[BRANCH_LENGTH..];
    match site.form.kind {
        SiteKind::NoReturn => rest.fill(INT3),
        SiteKind::FallThrough => fill(rest),
    }
    planned
}

/// Fills `bytes` with one instruction without effect.
fn fill(bytes: &mut [u8]) {
    bytes.copy_from_slice(FILLERS[bytes.len()]);
}
