//! `cargo xtask bench`: measures, beside the peers, and says which goals hold.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::artifact;
use crate::bench::{BOOT_FILE, Bench, Boot, HEADINGS, Outcome, markdown, svg};
use crate::environment::Roms;
use crate::linux32::Linux32;
use crate::toolchain::{Install, Toolchain};
use vmi_audit::table::Table;

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only the parts with this in their names; nothing is written then unless a directory is named.
    pub only: Option<String>,
    /// Where the table and the plot go.
    pub output: Option<PathBuf>,
    /// Whether the figures of booting are to be kept as they are found.
    pub bless: bool,
}

/// Where the table and the plot go unless something else is said.
const OUTPUT: &str = "docs/bench";

/// Measures, prints and writes.
///
/// # Errors
///
/// If something cannot be measured, or booting takes more than a tenth more instructions than those that are kept. A goal
/// that does not hold is no error.
pub fn bench(selection: &Selection, install: Install) -> Result<()> {
    let toolchain = Toolchain::find(install)?;
    let machine = Linux32::find(&toolchain.compiler, install)?;
    let mut bench = Bench { toolchain: &toolchain, machine: &machine, roms: Roms::default() };
    let outcome = bench.run(selection.only.as_deref())?;

    let circumstances = [
        format!("processor: {}", processor()?),
        format!("compiler: {}", toolchain.compiler.describe()),
        format!("emulator: {}", toolchain.emulator.describe()),
    ];
    for line in &circumstances {
        println!("{line}");
    }
    println!("\n{}", table(&outcome));
    println!("{}", verdict(&outcome));
    let whole = selection.only.is_none().then(|| artifact::workspace().join(OUTPUT));
    if let Some(directory) = selection.output.clone().or(whole) {
        // Where a compiler lies says something of this machine alone.
        let circumstances = circumstances.map(|line| line.split(": /").next().unwrap_or_default().to_owned());
        write(&directory, "table.md", &markdown(&outcome.rows, &circumstances))?;
        write(&directory, "plot.svg", &svg(&outcome.plot))?;
    }
    outcome.boot.as_ref().map_or(Ok(()), |boot| judge(boot, selection.bless))
}

/// Compares the figures of booting with those that are kept, or keeps them.
fn judge(boot: &Boot, bless: bool) -> Result<()> {
    match Boot::kept()? {
        Some(kept) if !bless => boot.compare(&kept),
        None if !bless => anyhow::bail!("there is no {BOOT_FILE}: `cargo xtask bench --bless` writes it"),
        _ => write(artifact::workspace(), BOOT_FILE, &boot.text()),
    }
}

/// Writes a file, and says so.
fn write(directory: &Path, name: &str, text: &str) -> Result<()> {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap_or(directory))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}

/// All rows.
fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new(HEADINGS);
    for row in &outcome.rows {
        table.row(row.cells());
    }
    table
}

/// How many goals hold, and which do not.
fn verdict(outcome: &Outcome) -> String {
    let judged = outcome.rows.iter().filter_map(|row| Some((row, row.holds()?)));
    let (held, missed): (Vec<_>, Vec<_>) = judged.partition(|(_, holds)| *holds);
    let mut text = format!("{} goals hold, {} do not", held.len(), missed.len());
    for (row, _) in missed {
        text += &format!("\n  does not hold: {} against {}", row.what, row.against);
    }
    text
}

/// What the processor calls itself.
fn processor() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(model.map_or("of unknown model", |(_, name)| name).trim().to_owned())
}
