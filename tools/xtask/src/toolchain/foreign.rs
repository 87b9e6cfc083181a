//! A kernel that has nothing to do with this project: GNU Mach, from Debian's packages.

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::read::GzDecoder;

use super::{Install, debian};

/// Name of the installation.
const INSTALLATION: &str = "gnumach";

/// The package, and the kernel in it: with symbols and debug information.
const PACKAGE: &str = "gnumach-image-1.8-486-dbg";
const KERNEL: &str = "root/boot/gnumach-1.8-486-dbg.gz";

/// How long it is at most, unpacked.
const LENGTH_MAX: u64 = 1 << 26;

/// The kernel, packed, in the cache directory, where it is put if need be.
pub fn find(install: Install) -> Result<PathBuf> {
    let is_sound = |path: &Path| path.join(KERNEL).exists();
    let installation = match debian::find(INSTALLATION, is_sound)? {
        Some(found) => found,
        None if install == Install::Refused => bail!("there is no {PACKAGE} here: run `cargo xtask setup`"),
        None => debian::install_i386(INSTALLATION, is_sound, "GNU Mach", PACKAGE)?,
    };
    Ok(installation.join(KERNEL))
}

/// The kernel's ELF file, in `directory`.
pub fn kernel(install: Install, directory: &Path) -> Result<PathBuf> {
    let packed = find(install)?;
    let file = File::open(&packed).with_context(|| format!("cannot open {}", packed.display()))?;
    let mut bytes = Vec::new();
    GzDecoder::new(BufReader::new(file)).take(LENGTH_MAX).read_to_end(&mut bytes)?;
    let path = directory.join("gnumach");
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
