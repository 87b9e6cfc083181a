//! Compiler and emulator out of Debian's packages, unpacked into the cache directory.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::apt::{self, Apt, Package};
use super::cache;
use crate::process;

/// Name of the compiler's installation, and of the script in it that runs the compiler.
const COMPILER: &str = "rustc";

/// Name of the script in the compiler's installation that runs clippy in the compiler's place.
const CLIPPY: &str = "clippy-driver";

/// Name of the emulator's installation, and of the script in it that runs the emulator.
const EMULATOR: &str = "qemu-system-i386";

/// Packages with a recent compiler and the source of `core`, the preferred ones first.
const COMPILER_PACKAGES: [&[&str]; 2] = [
    &["rustc-web", "rust-web-src", "libstd-rust-web-dev", "rust-web-clippy"],
    &["rustc", "rust-src", "libstd-rust-dev", "rust-clippy"],
];

/// The oldest compiler that builds the i386 packages.
const OLDEST_COMPILER: [u32; 2] = [1, 95];

/// What to do where Debian's packages do not help.
const COMPILER_OTHERWISE: &str = "otherwise run `rustup target add i586-unknown-linux-gnu`";

/// What to do where Debian's packages do not help.
const EMULATOR_OTHERWISE: &str = "otherwise install QEMU's emulator for i386 (`qemu-system-i386`)";

/// Where firmware lies in Debian's packages.
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// The unpacked compiler, if it is there and runs.
pub fn compiler() -> Result<Option<PathBuf>> {
    Ok(cache::find(COMPILER, is_compiler)?.map(|path| path.join(COMPILER)))
}

/// The unpacked emulator, if it is there and runs.
pub fn emulator() -> Result<Option<PathBuf>> {
    Ok(cache::find(EMULATOR, is_emulator)?.map(|path| path.join(EMULATOR)))
}

/// Downloads and unpacks the compiler, clippy and the source of `core`.
pub fn install_compiler() -> Result<PathBuf> {
    let path = cache::install(COMPILER, is_compiler, |directory| {
        unpack(directory, "a Rust compiler and the source of `core`", |apt| {
            let mut errors = Vec::new();
            for names in COMPILER_PACKAGES {
                match apt.resolve(names).and_then(recent_enough) {
                    Ok(packages) => return Ok(packages),
                    Err(error) => errors.push(format!("{error:#}")),
                }
            }
            errors.dedup();
            bail!("{}", errors.join("; "))
        })?;
        for (name, program) in [(COMPILER, "root/usr/bin/rustc"), (CLIPPY, "root/usr/bin/clippy-driver")] {
            write_script(directory, name, &directory.join(program), &[])?;
        }
        Ok(())
    });
    Ok(otherwise(path, COMPILER_OTHERWISE)?.join(COMPILER))
}

/// Downloads and unpacks a compiler of a certain version, its rustdoc and the source of `core`.
pub fn install_oldest_compiler(
    name: &str,
    version: &str,
    is_sound: impl Fn(&Path) -> bool,
) -> Result<PathBuf> {
    let path = cache::install(name, is_sound, |directory| {
        unpack(directory, &format!("Rust {version}"), |apt| {
            let packages = oldest_packages(apt, version)?;
            apt.resolve(&packages.iter().map(String::as_str).collect::<Vec<_>>())
        })?;
        for program in ["rustc", "rustdoc"] {
            write_script(directory, program, &directory.join("root/usr/bin").join(program), &[])?;
        }
        Ok(())
    });
    otherwise(path, &format!("otherwise run `rustup toolchain install {version} --component rust-src`"))
}

/// The packages of a compiler of a certain version, each in the form NAME=VERSION.
fn oldest_packages(apt: &Apt, version: &str) -> Result<Vec<String>> {
    for names in COMPILER_PACKAGES {
        let prefix = format!("{version}.");
        if let Some(found) = apt.versions(names[0])?.iter().find(|found| found.starts_with(&prefix)) {
            return Ok(names[..3].iter().map(|name| format!("{name}={found}")).collect());
        }
    }
    bail!("the archive has no Rust {version}")
}

/// Downloads and unpacks the emulator.
pub fn install_emulator() -> Result<PathBuf> {
    let path = cache::install(EMULATOR, is_emulator, |directory| {
        unpack(directory, "QEMU", |apt| apt.resolve(&["qemu-system-x86", "seabios"]))?;
        let root = directory.join("root");
        // The file in usr/bin may be a script that names the real program by its absolute path.
        let candidates = ["usr/libexec/qemu-system-i386", "usr/bin/qemu-system-i386"];
        let program = candidates.iter().map(|path| root.join(path)).find(|path| path.exists());
        let program = program.context("the package qemu-system-x86 has no qemu-system-i386")?;
        let firmware: Vec<_> = FIRMWARE.into_iter().filter(|path| root.join(path).exists()).collect();
        write_script(directory, EMULATOR, &program, &firmware)
    });
    Ok(otherwise(path, EMULATOR_OTHERWISE)?.join(EMULATOR))
}

/// An unpacked installation, if it is there and `is_sound`.
pub fn find(name: &str, is_sound: impl Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    cache::find(name, is_sound)
}

/// Downloads and unpacks packages, with a script for each of `programs`: its name, and a path in the packages.
pub fn install(
    name: &str,
    is_sound: impl Fn(&Path) -> bool,
    what: &str,
    packages: &[&str],
    programs: &[(&str, &str)],
) -> Result<PathBuf> {
    cache::install(name, is_sound, |directory| {
        unpack(directory, what, |apt| apt.resolve(packages))?;
        for (script, program) in programs {
            write_script(directory, script, &directory.join("root").join(program), &[])?;
        }
        Ok(())
    })
}

/// Downloads and unpacks a package of i386 without what it depends on: it is looked at, not run.
pub fn install_i386(
    name: &str,
    is_sound: impl Fn(&Path) -> bool,
    what: &str,
    package: &str,
) -> Result<PathBuf> {
    cache::install(name, is_sound, |directory| {
        ensure!(Apt::exists(), "there is no apt-get on this machine");
        eprintln!("setting up {what}: Debian's package {package}, reading the package lists");
        let state = directory.join("apt");
        let apt = Apt::of_architecture(state.clone(), "i386")?;
        let name = format!("{package}:i386");
        let versions = apt.versions(&name)?;
        let version = versions.first().with_context(|| format!("the archive has no {name}"))?.clone();
        apt.unpack(&[Package { name, version }], &directory.join("root"))?;
        fs::remove_dir_all(state)?;
        Ok(())
    })
}

/// Downloads and unpacks packages, and nothing of what they depend on.
pub fn install_alone(
    name: &str,
    is_sound: impl Fn(&Path) -> bool,
    what: &str,
    packages: &[&str],
) -> Result<PathBuf> {
    cache::install(name, is_sound, |directory| {
        unpack(directory, what, |apt| {
            let mut found = apt.resolve(packages)?;
            found.retain(|package| packages.contains(&package.name.as_str()));
            Ok(found)
        })
    })
}

/// Adds to an error what else the user can do.
pub fn otherwise<T>(result: Result<T>, advice: &str) -> Result<T> {
    result.map_err(|error| anyhow!("{error:#}; {advice}"))
}

/// Whether `core` can be built with what lies in `directory`.
fn is_compiler(directory: &Path) -> bool {
    directory.join("root/usr/lib/rustlib/src/rust/library/core/src/lib.rs").exists()
        && [COMPILER, CLIPPY]
            .iter()
            .all(|name| process::succeeds(Command::new(directory.join(name)).arg("--version")))
}

/// The script that runs clippy, beside the one that runs the compiler.
pub fn clippy(compiler: &Path) -> PathBuf {
    compiler.with_file_name(CLIPPY)
}

/// Whether the emulator in `directory` runs.
fn is_emulator(directory: &Path) -> bool {
    process::succeeds(Command::new(directory.join(EMULATOR)).arg("--version"))
}

/// Resolves, downloads and unpacks into `directory`/root, and keeps a list of the packages.
fn unpack(directory: &Path, what: &str, resolve: impl FnOnce(&Apt) -> Result<Vec<Package>>) -> Result<()> {
    ensure!(Apt::exists(), "there is no apt-get on this machine");
    let cache = cache::directory()?;
    eprintln!("setting up {what}: Debian's packages, unpacked in {}", cache.display());
    eprintln!("reading the package lists");
    let state = directory.join("apt");
    let apt = Apt::new(state.clone())?;
    let packages = resolve(&apt)?;
    let root = directory.join("root");
    apt.unpack(&packages, &root)?;
    fs::remove_dir_all(state)?;
    for unused in ["usr/share/doc", "usr/share/man", "usr/share/lintian"] {
        let path = root.join(unused);
        if path.exists() {
            fs::remove_dir_all(path)?;
        }
    }
    let list: String =
        packages.iter().map(|package| format!("{} {}\n", package.name, package.version)).collect();
    fs::write(directory.join("packages"), list)?;
    Ok(())
}

/// Refuses a set of packages whose compiler is too old.
fn recent_enough(packages: Vec<Package>) -> Result<Vec<Package>> {
    let compiler = packages.iter().find(|package| package.name.starts_with("rustc"));
    let version = &compiler.context("no compiler among the packages")?.version;
    if apt::upstream(version)?.as_slice() < OLDEST_COMPILER.as_slice() {
        bail!("the archive's Rust compiler is too old: {version}");
    }
    Ok(packages)
}

/// Writes a script that runs `program` with the unpacked libraries, wherever `directory` lies.
///
/// The variable that names the libraries is set for the program alone.
fn write_script(directory: &Path, name: &str, program: &Path, firmware: &[&str]) -> Result<()> {
    let root = directory.join("root");
    let relative = |path: &Path| -> Result<String> {
        let path = path.strip_prefix(directory).context("a path outside the installation")?;
        Ok(format!("$here/{}", path.display()))
    };
    let mut libraries = Vec::new();
    for parent in ["lib", "usr/lib"] {
        find_libraries(&root.join(parent), 2, &mut libraries)?;
    }
    let libraries: Vec<_> = libraries.iter().map(|path| relative(path)).collect::<Result<_, _>>()?;
    let firmware: Vec<_> = firmware
        .iter()
        .map(|path| Ok(format!(" -L \"{}\"", relative(&root.join(path))?)))
        .collect::<Result<_>>()?;
    let script = format!(
        "#!/bin/sh\nhere=${{0%/*}}\nLD_LIBRARY_PATH=\"{}\" exec \"{}\"{} \"$@\"\n",
        libraries.join(":"),
        relative(program)?,
        firmware.concat(),
    );
    let path = directory.join(name);
    fs::write(&path, script)?;
    // As executable as the program itself.
    let permissions = fs::metadata(program)
        .with_context(|| format!("no {} in the packages", program.display()))?
        .permissions();
    fs::set_permissions(&path, permissions)?;
    Ok(())
}

/// Collects the directories that hold shared libraries, down to `depth` levels below `directory`.
fn find_libraries(directory: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(());
    };
    let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    let is_library = |path: &PathBuf| {
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        name.starts_with("lib") && name.contains(".so")
    };
    if paths.iter().any(is_library) {
        found.push(directory.to_owned());
    }
    if depth > 0 {
        for path in paths.iter().filter(|path| path.is_dir() && !path.is_symlink()) {
            find_libraries(path, depth - 1, found)?;
        }
    }
    Ok(())
}
