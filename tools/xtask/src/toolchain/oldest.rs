//! The oldest compiler that the libraries promise to build with, with its source.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::compiler::cargo;
use super::{Install, TARGET, cache, debian};
use crate::artifact;
use crate::process;

/// A compiler of a certain version, and its rustdoc.
#[derive(Clone, Debug)]
pub struct OldestCompiler {
    rustc: PathBuf,
    rustdoc: PathBuf,
    version: String,
}

impl OldestCompiler {
    /// Finds a compiler of the version `version`, such as 1.85: among rustup's toolchains, or in the cache
    /// directory; or installs it there.
    pub fn find(version: &str, install: Install) -> Result<Self> {
        if let Some(found) = of_rustup(version) {
            return Ok(found);
        }
        let name = format!("rustc-{version}");
        let is_sound = |directory: &Path| in_directory(directory, version).is_some();
        let directory = match cache::find(&name, is_sound)? {
            Some(directory) => directory,
            None if install == Install::Refused => bail!(
                "there is no Rust {version} here: run `cargo xtask setup`, or `rustup toolchain install {version}` \
                 and `rustup component add rust-src --toolchain {version}`"
            ),
            None => debian::install_oldest_compiler(&name, version, is_sound)?,
        };
        in_directory(&directory, version).with_context(|| format!("{} does not run", directory.display()))
    }

    /// A cargo that uses this compiler, with a target directory of its own, for the host.
    ///
    /// What is unstable is refused, as it is to everybody.
    pub fn cargo(&self, subcommand: &str) -> Result<Command> {
        let mut command = cargo();
        command.arg(subcommand).env("RUSTC", &self.rustc).env("RUSTDOC", &self.rustdoc);
        command.env("CARGO_TARGET_DIR", self.target_directory()?).current_dir(artifact::workspace());
        Ok(command)
    }

    /// The same for [`TARGET`], with a `core` built from source.
    pub fn cargo_for_i386(&self, subcommand: &str) -> Result<Command> {
        let mut command = self.cargo(subcommand)?;
        command.args(["-Zbuild-std=core", "--target", TARGET]).env("RUSTC_BOOTSTRAP", "1");
        Ok(command)
    }

    /// Where it builds.
    pub fn target_directory(&self) -> Result<PathBuf> {
        Ok(artifact::target_directory()?.with_file_name("oldest"))
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        format!("{}: {}", self.version, self.rustc.display())
    }

    /// The compiler, if it is whole and has the version `version`.
    fn new(rustc: PathBuf, sysroot: &Path, version: &str) -> Option<Self> {
        let rustdoc = rustc.with_file_name("rustdoc");
        let says = |program: &Path| process::output(Command::new(program).arg("--version")).ok();
        let found = says(&rustc)?.trim().to_owned();
        let has_source = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists();
        let is_sound =
            found.starts_with(&format!("rustc {version}.")) && says(&rustdoc).is_some() && has_source;
        is_sound.then_some(Self { rustc, rustdoc, version: found })
    }
}

/// The compiler among rustup's toolchains.
fn of_rustup(version: &str) -> Option<OldestCompiler> {
    let which = ["which", "--toolchain", version, "rustc"];
    let path = process::output(Command::new("rustup").args(which)).ok()?;
    let path = PathBuf::from(path.trim());
    let sysroot = path.ancestors().nth(2)?.to_owned();
    OldestCompiler::new(path, &sysroot, version)
}

/// The compiler unpacked in `directory`.
fn in_directory(directory: &Path, version: &str) -> Option<OldestCompiler> {
    OldestCompiler::new(directory.join("rustc"), &directory.join("root/usr"), version)
}
