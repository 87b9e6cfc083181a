//! The programs, with the instrumentation that libFuzzer needs.
//!
//! They are built as cargo-fuzz builds them, but by the active toolchain, stable or not: what is not stable of that
//! are options of the compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Target;
use crate::artifact;
use crate::process;
use crate::toolchain::cargo;

/// Options of the compiler: counters at edges, a table of their places, calls at comparisons.
const COVERAGE: [&str; 7] = [
    "--cfg=fuzzing",
    "-Ccodegen-units=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The option that makes an access outside an allocation end the run.
const ADDRESS_SANITIZER: &str = "-Zsanitizer=address";

/// The programs of all targets.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Where they are.
    directory: PathBuf,
    /// Whether accesses outside allocations are noticed.
    pub are_sanitized: bool,
}

impl Programs {
    /// The program of a target.
    pub fn of(&self, target: Target) -> PathBuf {
        self.directory.join(target.name)
    }
}

/// Builds the programs.
pub fn build() -> Result<Programs> {
    if !process::exists("c++") {
        bail!("there is no C++ compiler (`c++`), which builds libFuzzer: install g++");
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = process::output(Command::new(&rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("the Rust compiler does not say what it runs on")?;
    let libraries = process::output(Command::new(&rustc).args(["--print", "target-libdir"]))?;
    let are_sanitized = has_address_sanitizer(Path::new(libraries.trim()));
    let mut flags = COVERAGE.to_vec();
    flags.extend(are_sanitized.then_some(ADDRESS_SANITIZER));
    let target = artifact::output_directory()?.join("fuzz");
    let status = cargo()
        .args(["build", "--release", "--locked", "--target", host])
        .arg("--manifest-path")
        .arg(artifact::workspace().join("fuzz/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("RUSTC_BOOTSTRAP", "1")
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the fuzz targets do not build ({status})");
    }
    Ok(Programs { directory: target.join(host).join("release"), are_sanitized })
}

/// Whether the toolchain has the run-time library of the sanitizer.
fn has_address_sanitizer(libraries: &Path) -> bool {
    let Ok(entries) = fs::read_dir(libraries) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_rt.asan"))
}
