//! What `vmi-audit --patched` foretells is what the kernel's patcher has written.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _};
use vmi_audit::patched::{Patched, Place};
use vmi_audit::site::{Cpu, Sites};
use vmi_hypervisor::rom::{Code, Image, Leave, Windows};

use crate::kernel::Kernel;
use crate::protocol::Report;

/// The word by which the hypervisor wants IRET and SYSEXIT to be jumps.
const JUMP: &str = "jump";

/// Compares the forecast for the ROM `image` with what the kernel reports that it has done; `inline` says whether it lets
/// sites hold the ROM's own code.
pub fn compare(kernel: &Kernel, image: &[u8], inline: bool, report: &Report) -> Result<()> {
    let address = report.backend_value("rom").context("the kernel does not say where the ROM is")?;
    let place = Place { rom: u32::from_str_radix(address, 16)?, ..Place::default() };
    let parsed = kernel.parse()?;
    let forecast = Patched::new(&parsed, &Sites::new(&parsed, Cpu::default()), image, place, inline)?;
    ensure!(report.calls.len() == forecast.calls.len(), "{} calls reported", report.calls.len());
    for (found, expected) in report.calls.iter().zip(&forecast.calls) {
        let foretold =
            (expected.call, expected.relocation.kind.to_string(), expected.relocation.branch_target());
        let found = (found.call, found.kind.clone(), found.target);
        ensure!(found == foretold, "the kernel reports {found:x?}, foretold was {foretold:x?}");
    }
    for found in &report.sites {
        let foretold = forecast.sites.iter().find(|site| site.address == found.address);
        let foretold = foretold.with_context(|| format!("no site foretold at {:08x}", found.address))?;
        let (before, after) = (foretold.native.as_slice(), foretold.planned.as_slice());
        ensure!(
            found.call == foretold.call && found.before == before && found.after == after,
            "the kernel reports {found:x?}, foretold was {foretold:x?}"
        );
    }
    ensure!(report.sites.is_empty() == kernel.sites.is_empty(), "{} sites reported", report.sites.len());
    Ok(())
}

/// The ROM that the hypervisor makes when it is started with `words`, from the code in its program.
pub fn hypervisor_rom(path: &Path, words: &str) -> Result<Vec<u8>> {
    let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = File::parse(&*data)?;
    let symbol = |name: &str| -> Result<u64> {
        let symbol = file.symbol_by_name(name).with_context(|| format!("the hypervisor has no {name}"))?;
        Ok(symbol.address())
    };
    let start = symbol("rom_code")?;
    let length = symbol("rom_code_length")?;
    let mut sections = file.sections().filter(|section| section.address() != 0);
    let bytes = sections.find_map(|section| section.data_range(start, length).ok().flatten());
    let offset = |name: &str| -> Result<usize> { Ok((symbol(name)? - start) as usize) };
    let code = Code {
        bytes: bytes.context("the ROM's code is in no section")?,
        init: offset("rom_init")?,
        get_relocation: offset("rom_get_relocation")?,
        relocations: offset("rom_relocations")?,
        calls: offset("rom_calls")?,
        enable: offset("rom_enable")?,
        disable: offset("rom_disable")?,
        get_mask: offset("rom_get_mask")?,
        set_mask: offset("rom_set_mask")?,
        iret: offset("rom_iret")?,
        iret_by_jump: offset("rom_iret_by_jump")?,
        sysexit: offset("rom_sysexit")?,
        windows: Windows {
            iret_start: offset("rom_window")? as u32,
            iret_asked: offset("rom_window_asked")? as u32,
            iret_or: offset("rom_window_flag")? as u32,
            iret_end: offset("rom_window_end")? as u32,
        },
    };
    let leave = if words.contains(JUMP) { Leave::ByJump } else { Leave::ByCall };
    Ok(Image::new(&code, leave).context("the code makes no ROM")?.bytes.to_vec())
}
