//! The emulator that boots the i386 packages.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::{Install, debian};
use crate::process;

/// The program's name.
const PROGRAM: &str = "qemu-system-i386";

/// A QEMU for i386.
#[derive(Clone, Debug)]
pub struct Emulator {
    program: OsString,
    version: String,
}

impl Emulator {
    /// Finds QEMU in `PATH` or in the cache directory, or installs it there.
    pub fn find(install: Install) -> Result<Self> {
        if process::exists(PROGRAM) {
            return Self::new(PROGRAM.into());
        }
        if let Some(path) = debian::emulator()? {
            return Self::new(path.into());
        }
        if install == Install::Refused {
            bail!("there is no {PROGRAM} here: run `cargo xtask setup` or install QEMU");
        }
        Self::new(debian::install_emulator()?.into())
    }

    fn new(program: OsString) -> Result<Self> {
        let output = process::output(Command::new(&program).arg("--version"))?;
        let version = output.lines().next().unwrap_or(PROGRAM).to_owned();
        Ok(Self { program, version })
    }

    /// A command that starts the emulator, so far without arguments.
    pub fn command(&self) -> Command {
        Command::new(&self.program)
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        format!("{}: {}", self.version, Path::new(&self.program).display())
    }
}
