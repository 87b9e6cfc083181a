//! The Rust compiler for the i386 packages, and where its `core` comes from.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Install, TARGET, debian, linker};
use crate::process;

/// Where `core` for [`TARGET`] comes from. The routes are tried in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The target is installed in the active toolchain.
    InstalledTarget,
    /// The active toolchain has the source of `core`, which is built with `-Zbuild-std`.
    ToolchainSource,
    /// Debian's packages, unpacked in the cache directory, built with `-Zbuild-std`.
    Debian,
}

/// What of the standard library a build for [`TARGET`] uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `core`: freestanding programs.
    Core,
    /// `std`, with the harness for tests: 32-bit Linux programs.
    Std,
}

impl Library {
    /// The argument that has it built from source.
    const fn build_argument(self) -> &'static str {
        match self {
            Self::Core => "-Zbuild-std=core",
            Self::Std => "-Zbuild-std=std,panic_unwind,test",
        }
    }
}

/// A compiler that can build the i386 packages.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Where its `core` comes from.
    pub route: Route,
    /// The program, for the variable `RUSTC`.
    rustc: OsString,
    /// What the program says of itself.
    version: String,
}

impl Compiler {
    /// Finds a compiler, or installs one; makes sure that programs can be linked too.
    pub fn find(install: Install) -> Result<Self> {
        linker::check()?;
        let active = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        if installed_target(&active)? {
            return Self::new(Route::InstalledTarget, active);
        }
        if toolchain_source(&active)? {
            return Self::new(Route::ToolchainSource, active);
        }
        if let Some(rustc) = debian::compiler()? {
            return Self::new(Route::Debian, rustc.into());
        }
        if install == Install::Refused {
            bail!(
                "no Rust compiler here has `core` for {TARGET}: \
                 run `cargo xtask setup` or `rustup target add {TARGET}`"
            );
        }
        Self::new(Route::Debian, debian::install_compiler()?.into())
    }

    fn new(route: Route, rustc: OsString) -> Result<Self> {
        let version = process::output(Command::new(&rustc).arg("--version"))?.trim().to_owned();
        Ok(Self { route, rustc, version })
    }

    /// A cargo that lints for [`TARGET`] and takes every warning for an error.
    pub fn clippy(&self, library: Library, arguments: &[&str]) -> Command {
        if self.route == Route::Debian {
            // What `cargo clippy` does, with the driver that fits the compiler.
            let mut command = self.cargo("check", library);
            command.args(arguments);
            command.env("RUSTC_WORKSPACE_WRAPPER", debian::clippy(Path::new(&self.rustc)));
            command.env("CLIPPY_ARGS", "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
            command
        } else {
            let mut command = self.cargo("clippy", library);
            command.args(arguments).args(["--", "--deny", "warnings"]);
            command
        }
    }

    /// A cargo that uses this compiler for [`TARGET`]; `arguments` begin with the subcommand.
    pub fn cargo(&self, subcommand: &str, library: Library) -> Command {
        let mut command = cargo();
        command.arg(subcommand).args(["--target", TARGET]);
        if self.route != Route::InstalledTarget {
            command.arg(library.build_argument()).env("RUSTC_BOOTSTRAP", "1");
        }
        if self.route == Route::Debian {
            command.env("RUSTC", &self.rustc);
        }
        command
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        let Self { version, .. } = self;
        match self.route {
            Route::InstalledTarget => format!("{version}, target {TARGET} installed"),
            Route::ToolchainSource => format!("{version}, `core` built from its rust-src"),
            Route::Debian => {
                format!("{version}, `core` built from source: {}", Path::new(&self.rustc).display())
            }
        }
    }
}

/// The cargo that runs this program, without what it told this program about itself.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Whether `rustc` comes with a compiled `core` for [`TARGET`].
fn installed_target(rustc: &OsString) -> Result<bool> {
    let arguments = ["--print", "target-libdir", "--target", TARGET];
    let directory = process::output(Command::new(rustc).args(arguments))
        .context("the Rust compiler does not know the target")?;
    let Ok(entries) = fs::read_dir(directory.trim()) else {
        return Ok(false);
    };
    Ok(entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    }))
}

/// Whether `rustc` comes with the source of `core`.
fn toolchain_source(rustc: &OsString) -> Result<bool> {
    let sysroot = process::output(Command::new(rustc).args(["--print", "sysroot"]))?;
    let source = PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs");
    Ok(source.exists())
}
