//! `cargo xtask bless`: writes the generated files anew.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use paravirt_vmi_abi::render;
use properties::corpus;

use crate::api;
use crate::artifact;
use crate::toolchain::Install;

/// Writes each generated file and says which of them changed.
pub fn bless(install: Install) -> Result<()> {
    for (name, render) in render::FILES {
        let mut contents = String::new();
        render(&mut contents).with_context(|| format!("cannot generate {name}"))?;
        write(name, contents.as_bytes())?;
    }
    for listing in api::listings(install)? {
        write(&listing.name, listing.text.as_bytes())?;
    }
    for input in corpus::made() {
        write(&format!("{CORPUS}/{input}"), &input.bytes)?;
    }
    let directory = artifact::workspace().join(CORPUS);
    let inputs = corpus::kept(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    write(&format!("{CORPUS}/README.md"), corpus::table(&inputs).as_bytes())
}

/// Where the inputs for fuzzing are kept.
const CORPUS: &str = "fuzz/corpus";

/// Writes a file of the repository, and says whether it changed.
fn write(name: &str, contents: &[u8]) -> Result<()> {
    let path = artifact::workspace().join(name);
    let state = if fs::read(&path).is_ok_and(|found| found == contents) {
        "unchanged"
    } else {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        "changed"
    };
    println!("{state:<9}  {name}");
    Ok(())
}
