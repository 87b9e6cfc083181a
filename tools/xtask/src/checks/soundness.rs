//! Every package keeps the project's rules for unsafe code.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::packages::{self, Package};
use crate::suite::Finding;

/// Looks at the manifest and the source of every package.
pub fn soundness() -> Result<Vec<Finding>> {
    packages::all()?.iter().map(|package| Ok(Finding::new(&package.name, &complaints(package)?))).collect()
}

/// What is wrong with a package.
fn complaints(package: &Package) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    if !inherits_lints(&read(&package.manifest)?) {
        complaints.push("its Cargo.toml does not have `workspace = true` under [lints]".to_owned());
    }
    if !says_something(&read(&package.root)?) {
        let root = package.root.display();
        complaints.push(format!("{root} neither forbids, nor denies, nor allows unsafe code"));
    }
    let mut files = Vec::new();
    sources(package.root.parent().context("a source without a directory")?, &mut files)?;
    for file in files {
        if !is_explained(&read(&file)?) {
            complaints.push(format!("{} allows unsafe code without a `# Safety` paragraph", file.display()));
        }
    }
    Ok(complaints)
}

/// Whether a manifest takes over the lints of the workspace.
fn inherits_lints(manifest: &str) -> bool {
    let lines = manifest.lines().map(str::trim);
    let mut section = lines.skip_while(|line| *line != "[lints]").skip(1);
    section.by_ref().take_while(|line| !line.starts_with('[')).any(|line| line == "workspace = true")
}

/// Whether the source of a crate's root says what becomes of unsafe code.
fn says_something(source: &str) -> bool {
    let levels = ["forbid", "deny", "allow"];
    source.lines().any(|line| levels.iter().any(|level| line == format!("#![{level}(unsafe_code)]")))
}

/// Whether a file says why it allows unsafe code, if it does.
fn is_explained(source: &str) -> bool {
    let allows = source.lines().any(|line| line == "#![allow(unsafe_code)]");
    !allows || source.lines().any(|line| line == "//! # Safety")
}

/// Collects the source files in a directory.
fn sources(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_of_the_workspace_are_found_in_their_section_alone() {
        assert!(inherits_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
        assert!(!inherits_lints("[package]\nversion.workspace = true\n"));
        assert!(!inherits_lints("[lints]\n[dependencies.a]\nworkspace = true\n"));
    }

    #[test]
    fn roots_have_to_decide_and_files_to_explain() {
        assert!(says_something("//! A.\n#![forbid(unsafe_code)]\n"));
        assert!(!says_something("//! A.\n//! `#![deny(unsafe_code)]`\n"));
        assert!(is_explained("//! A.\n"));
        assert!(is_explained("//! A.\n//!\n//! # Safety\n//!\n//! B.\n#![allow(unsafe_code)]\n"));
        assert!(!is_explained("//! A.\n#![allow(unsafe_code)]\n"));
    }
}
