//! A second emulator, which checks what QEMU does not, and what makes images that it can boot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Install, debian};
use crate::process;

/// Bochs, GRUB and xorriso, unpacked.
#[derive(Clone, Debug)]
pub struct Bochs {
    directory: PathBuf,
}

/// Name of the installation.
const INSTALLATION: &str = "bochs";

/// Debian's packages. Bochs draws on a terminal: it needs no display.
const PACKAGES: [&str; 7] =
    ["bochs", "bochs-term", "bochsbios", "vgabios", "grub-pc-bin", "grub-common", "xorriso"];

/// The scripts in the installation, and the programs that they run.
const PROGRAMS: [(&str, &str); 3] = [
    ("bochs", "usr/bin/bochs-bin"),
    ("grub-mkimage", "usr/bin/grub-mkimage"),
    ("xorriso", "usr/bin/xorriso"),
];

impl Bochs {
    /// Finds Bochs in the cache directory, or installs it there.
    pub fn find(install: Install) -> Result<Self> {
        if let Some(directory) = debian::find(INSTALLATION, is_sound)? {
            return Ok(Self { directory });
        }
        if install == Install::Refused {
            bail!("there is no Bochs here: run `cargo xtask setup`");
        }
        let directory = debian::install(INSTALLATION, is_sound, "Bochs and GRUB", &PACKAGES, &PROGRAMS)?;
        Ok(Self { directory })
    }

    /// A command that starts the emulator, so far without arguments.
    pub fn emulator(&self) -> Result<Command> {
        let mut command = self.program("bochs");
        command.env("BXSHARE", self.share("bochs")).env("LTDL_LIBRARY_PATH", plugins(&self.directory)?);
        // Whatever terminal this is: it gets one of its own that nobody looks at.
        command.env("TERM", "xterm").env("LINES", "25").env("COLUMNS", "80");
        Ok(command)
    }

    /// A command that starts GRUB's program for making images, with its modules named.
    pub fn grub_image(&self) -> Command {
        let mut command = self.program("grub-mkimage");
        command.arg("--directory").arg(self.directory.join("root/usr/lib/grub/i386-pc"));
        command
    }

    /// A command that starts the program for making file systems of CDs.
    pub fn cd_image(&self) -> Command {
        self.program("xorriso")
    }

    /// The firmware, that of the display, and the layout of the keyboard.
    pub fn firmware(&self) -> [PathBuf; 3] {
        let share = self.share("bochs");
        ["BIOS-bochs-legacy", "VGABIOS-lgpl-latest", "keymaps/x11-pc-us.map"].map(|name| share.join(name))
    }

    /// One line for people.
    pub fn describe(&self) -> Result<String> {
        let packages = fs::read_to_string(self.directory.join("packages"))?;
        let version = packages.lines().find_map(|line| line.strip_prefix("bochs "));
        Ok(format!("Bochs {}: {}", version.unwrap_or("of unknown version"), self.directory.display()))
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.directory.join(name))
    }

    fn share(&self, name: &str) -> PathBuf {
        self.directory.join("root/usr/share").join(name)
    }
}

/// The directory of the emulator's plugins, which has the name of the machine's architecture in it.
fn plugins(directory: &Path) -> Result<PathBuf> {
    let libraries = directory.join("root/usr/lib");
    for entry in fs::read_dir(&libraries).with_context(|| format!("no {}", libraries.display()))? {
        let path = entry?.path().join("bochs/plugins");
        if path.is_dir() {
            return Ok(path);
        }
    }
    bail!("{} has no plugins of Bochs", libraries.display())
}

/// Whether what lies in `directory` is whole and runs.
fn is_sound(directory: &Path) -> bool {
    let bochs = Bochs { directory: directory.to_owned() };
    let runs = |command: &mut Command, argument: &str| process::succeeds(command.arg(argument));
    bochs.firmware().iter().all(|path| path.exists())
        && bochs.emulator().is_ok_and(|mut emulator| runs(&mut emulator, "--help"))
        && runs(&mut bochs.grub_image(), "--version")
        && runs(&mut bochs.cd_image(), "-version")
}
