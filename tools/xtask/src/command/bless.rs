//! `cargo xtask bless`: writes the generated files anew.

use std::fs;

use anyhow::{Context as _, Result};
use paravirt_vmi_abi::render;

use crate::artifact;

/// Writes each generated file and says which of them changed.
pub fn bless() -> Result<()> {
    for (name, render) in render::FILES {
        let path = artifact::workspace().join(name);
        let mut contents = String::new();
        render(&mut contents).with_context(|| format!("cannot generate {name}"))?;
        let state = if fs::read_to_string(&path).is_ok_and(|found| found == contents) {
            "unchanged"
        } else {
            fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
            "changed"
        };
        println!("{state:<9}  {name}");
    }
    Ok(())
}
