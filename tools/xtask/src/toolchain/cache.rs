//! The cache directory: one subdirectory for each thing that was unpacked, there whole or not at all.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context as _, Result, anyhow};

/// The suffix of a directory that is being filled.
const PARTIAL: &str = ".partial";

/// The cache directory, shared by all clones of the project.
///
/// `$PARAVIRT_VMI_CACHE`, else `paravirt-vmi` in `$XDG_CACHE_HOME` or `~/.cache`.
pub fn directory() -> Result<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("PARAVIRT_VMI_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|path| path.join("paravirt-vmi")))
        .or_else(|| variable("HOME").map(|path| path.join(".cache/paravirt-vmi")))
        .map(std::path::absolute)
        .ok_or_else(|| anyhow!("no home directory: set PARAVIRT_VMI_CACHE to a directory"))?
        .context("PARAVIRT_VMI_CACHE is not a path")
}

/// The directory of an installation that is complete and that `is_sound` finds usable.
pub fn find(name: &str, is_sound: impl Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    let path = directory()?.join(name);
    Ok(is_sound(&path).then_some(path))
}

/// Makes the installation `name`, unless it is there already, and returns its directory.
///
/// `fill` works in a temporary directory, which gets its final name only when `fill` succeeded; so
/// nothing that `fill` writes may contain the directory's path. Concurrent installations wait for
/// each other; what an interrupted one left behind is deleted.
pub fn install(
    name: &str,
    is_sound: impl Fn(&Path) -> bool,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let cache = directory()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let _lock = lock(&cache)?;
    let path = cache.join(name);
    if is_sound(&path) {
        return Ok(path);
    }
    remove_partial(&cache, name)?;
    if path.exists() {
        // Out of the way first: deleting takes time, and nobody must see half an installation.
        let broken = cache.join(format!("{name}.{}.broken{PARTIAL}", process::id()));
        fs::rename(&path, &broken)?;
        fs::remove_dir_all(&broken)?;
    }
    let partial = cache.join(format!("{name}.{}{PARTIAL}", process::id()));
    fs::create_dir(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    let filled = fill(&partial).and_then(|()| {
        fs::rename(&partial, &path).with_context(|| format!("cannot create {}", path.display()))
    });
    if filled.is_err() {
        // The reason for the failure matters more than a directory that the next run deletes.
        let _ = fs::remove_dir_all(&partial);
    }
    filled?;
    if is_sound(&path) {
        Ok(path)
    } else {
        Err(anyhow!("{} was unpacked but does not run on this machine", path.display()))
    }
}

/// Waits until no other process installs into the cache; ends when the file is dropped.
fn lock(cache: &Path) -> Result<File> {
    let path = cache.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("waiting for another setup that uses {}", cache.display());
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    Ok(file)
}

/// Deletes what interrupted installations of `name` left. Only for the holder of the lock.
fn remove_partial(cache: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let of_name = file_name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        if of_name && file_name.ends_with(PARTIAL) {
            eprintln!("deleting an interrupted installation: {}", entry.path().display());
            fs::remove_dir_all(entry.path())
                .with_context(|| format!("cannot delete {}", entry.path().display()))?;
        }
    }
    Ok(())
}
