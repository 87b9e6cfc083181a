//! Audits of kernels that were made for the purpose.

mod command;
mod elf;
mod hostile;
mod large;
mod records;
mod roms;
mod verdict;

use vmi_audit::allow::AllowList;
use vmi_audit::audit::{Audit, Options};
use vmi_audit::kernel::Kernel;
use vmi_audit::site::Cpu;

/// Shows the audit of an ELF file, with an allow-list, to `look`.
fn audit<T>(data: &[u8], allow: &str, look: impl FnOnce(&Audit<'_>) -> T) -> T {
    let kernel = Kernel::parse(data).unwrap();
    let allow = AllowList::parse(allow).unwrap();
    look(&Audit::new(&kernel, data, Options { cpu: Cpu::I386, allow: &allow }))
}
