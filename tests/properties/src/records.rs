//! The section `vmi_sites`: any bytes give an error, or a plan for sites that are there.

use paravirt_vmi::abi::RelocationKind;
use paravirt_vmi::patch::{Relocation, RelocationTable};

use crate::kernel::Kernel;
use crate::patch::{self, Refusal};

/// Where the ROM lies.
const ROM: core::ops::Range<u32> = 0xc00c_3000..0xc00c_3800;

/// Patches a kernel whose text has each site twice and whose records are `records`, and checks what comes of it; the
/// number of sites.
///
/// # Errors
///
/// If the kernel is not patched.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(records: &[u8]) -> Result<usize, Refusal> {
    let mut kernel = Kernel::of_all_forms(2);
    kernel.records = records.to_vec();
    kernel.allow_sites();
    let relocations = RelocationTable::query(ROM, |call| Relocation {
        kind: RelocationKind::CALL_REL,
        target: ROM.start + 0x100 + 0x10 * call.number(),
    });
    patch::check(&kernel, &relocations.map_err(|error| Refusal::Plan(error.into()))?)
}

/// The records that the kernel has when nothing is wrong.
pub fn sound() -> Vec<u8> {
    Kernel::of_all_forms(2).records
}
