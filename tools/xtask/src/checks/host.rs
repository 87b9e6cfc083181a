//! The project's host half: formatting, lints, tests, documentation.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::artifact;
use crate::suite::Finding;
use crate::test_program::test_result;
use crate::toolchain::{Compiler, Library, cargo};

/// The packages with a program for i386.
const I386_PACKAGES: [&str; 8] =
    ["vmi-kernel", "vmi-rom", "vmi-hypervisor", "hostile", "siteless", "planted", "codegen", "bench-sizes"];

/// All code is formatted, that of the fuzz targets, a workspace of their own, too; and the lock file of that workspace is
/// that of its packages.
pub fn formatting() -> Result<Vec<Finding>> {
    let mut findings = one("cargo fmt", cargo().args(["fmt", "--all", "--check"]))?;
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    findings.extend(one("cargo fmt, fuzz targets", cargo().args(fuzz))?);
    let locked = ["fetch", "--quiet", "--locked", "--manifest-path", "fuzz/Cargo.toml"];
    findings.extend(one("lock file of the fuzz targets", cargo().args(locked))?);
    Ok(findings)
}

/// The arguments for the guest crate with the feature `critical-section`, which the default members do without.
const CRITICAL_SECTION: [&str; 4] = ["--package", "paravirt-vmi", "--features", "critical-section"];

/// The arguments for the example driver with its planted bug.
const PLANTED_BUG: [&str; 4] = ["--package", "vmi-sampler", "--features", "racy"];

/// The lints have nothing to say about any target of the default members, nor about the guest crate with the
/// feature that it has on a host, nor about the example driver with its planted bug.
pub fn lints() -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (name, arguments) in [
        ("cargo clippy", &[][..]),
        ("cargo clippy, critical-section", &CRITICAL_SECTION),
        ("cargo clippy, planted bug", &PLANTED_BUG),
    ] {
        let mut command = cargo();
        command.args(["clippy", "--all-targets"]).args(arguments).args(["--", "--deny", "warnings"]);
        findings.extend(one(name, &mut command)?);
    }
    Ok(findings)
}

/// The same for the i386 packages and the libraries that they use, in both builds.
pub fn i386_lints(compiler: &Compiler) -> Result<Vec<Finding>> {
    let directory = artifact::target_directory()?;
    let mut arguments = vec!["--profile", artifact::PROFILE];
    arguments.extend(["--target-dir", directory.to_str().context("the target directory is not UTF-8")?]);
    let mut findings = Vec::new();
    for (name, packages, features) in [
        ("cargo clippy for i386", &I386_PACKAGES[..], ""),
        ("cargo clippy for i386, indirect", &["vmi-kernel", "bench-sizes"], "indirect"),
    ] {
        let packages = packages.iter().flat_map(|package| ["--package", *package]);
        let arguments: Vec<_> =
            arguments.iter().copied().chain(packages).chain(["--features", features]).collect();
        findings.extend(one(name, &mut compiler.clippy(Library::Core, &arguments))?);
    }
    Ok(findings)
}

/// The documentation builds without a warning.
pub fn documentation() -> Result<Vec<Finding>> {
    let mut command = cargo();
    command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings");
    one("cargo doc", &mut command)
}

/// The tests on the host; each counts.
pub fn tests() -> Result<Vec<Finding>> {
    test(&[])
}

/// Those of the guest crate with the feature `critical-section`, alone and beside `critical-section/std`.
pub fn tests_with_critical_section() -> Result<Vec<Finding>> {
    let mut findings = test(&CRITICAL_SECTION)?;
    let std = "--features critical-section/std --test guest critical_section:: -- --skip own::";
    let std = std.split_whitespace();
    findings.extend(test(&CRITICAL_SECTION.into_iter().chain(std).collect::<Vec<_>>())?);
    Ok(findings)
}

/// Those of the example driver with its planted bug.
pub fn tests_with_planted_bug() -> Result<Vec<Finding>> {
    test(&PLANTED_BUG)
}

/// What `cargo test` with these arguments finds.
fn test(arguments: &[&str]) -> Result<Vec<Finding>> {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast"]).args(arguments).current_dir(artifact::workspace());
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let findings: Vec<_> = text.lines().filter_map(test_result).collect();
    let failed = findings.iter().any(|finding| finding.failure.is_some());
    if !output.status.success() {
        eprint!("{text}");
        ensure!(failed, "cargo test failed ({})", output.status);
    }
    Ok(findings)
}

/// Runs a command that says itself what is wrong.
pub(super) fn one(name: &str, command: &mut Command) -> Result<Vec<Finding>> {
    let status = command
        .current_dir(artifact::workspace())
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    let complaint = (!status.success()).then(|| format!("see above ({status})"));
    Ok(vec![Finding::new(name, complaint.as_slice())])
}
