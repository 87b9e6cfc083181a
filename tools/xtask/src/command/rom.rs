//! `cargo xtask rom`: builds a ROM image and lists it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::artifact;
use crate::rom::{self, Flavour};
use crate::toolchain::{Compiler, Install};

/// Builds an image, writes it to a file and prints what is in it.
pub fn rom(flavour: Flavour, output: Option<PathBuf>, install: Install) -> Result<()> {
    let compiler = Compiler::find(install)?;
    let image = artifact::build_rom(&compiler, flavour)?;
    let path = match output {
        Some(path) => path,
        None => artifact::target_directory()?.join("artifacts").join(format!("vmi-rom-{flavour}.rom")),
    };
    fs::write(&path, image.bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}\n\n{}", path.display(), rom::listing(&image).trim_end());
    Ok(())
}
