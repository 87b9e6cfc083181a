//! The packages of the workspace, as their manifests describe them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::artifact;
use crate::process;
use crate::toolchain::cargo;

/// A package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its `Cargo.toml`.
    pub manifest: PathBuf,
    /// The source of its library, or of its program.
    pub root: PathBuf,
    /// The oldest compiler that it promises to build with: only the libraries do.
    pub rust_version: Option<String>,
    /// The names of its features, that of the default ones left out.
    pub features: Vec<String>,
}

impl Package {
    /// The name by which other crates use the library.
    pub fn crate_name(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Whether it does without `std`, and so can be built for kernels.
    pub fn is_freestanding(&self) -> Result<bool> {
        let source = fs::read_to_string(&self.root)?;
        Ok(source.lines().any(|line| line.starts_with("#![") && line.contains("no_std")))
    }
}

/// All packages of the workspace, by name.
pub fn all() -> Result<Vec<Package>> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(artifact::workspace());
    let metadata: Value = serde_json::from_str(&process::output(&mut command)?)?;
    let packages = metadata["packages"].as_array().context("cargo lists no packages")?;
    let mut packages = packages.iter().map(package).collect::<Result<Vec<_>>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// The packages that promise to build with an old compiler, and that compiler's version.
pub fn libraries() -> Result<(String, Vec<Package>)> {
    let mut libraries = all()?;
    libraries.retain(|package| package.rust_version.is_some());
    let version = libraries.first().and_then(|package| package.rust_version.clone());
    let version = version.context("no package has a `rust-version`")?;
    for package in &libraries {
        let found = package.rust_version.as_ref();
        ensure!(found == Some(&version), "{}: rust-version {found:?}, elsewhere {version}", package.name);
    }
    Ok((version, libraries))
}

/// Reads a package from cargo's metadata.
fn package(value: &Value) -> Result<Package> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = text(&value["name"]).context("a package without a name")?;
    let targets = value["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let root = targets
        .iter()
        .find(|target| matches!(target["kind"][0].as_str(), Some("lib" | "bin")))
        .and_then(|target| text(&target["src_path"]));
    let features = value["features"].as_object().into_iter().flat_map(|features| features.keys());
    Ok(Package {
        manifest: text(&value["manifest_path"]).with_context(|| format!("{name}: no manifest"))?.into(),
        root: root.with_context(|| format!("{name}: no source"))?.into(),
        rust_version: text(&value["rust_version"]),
        features: features.filter(|feature| *feature != "default").cloned().collect(),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_are_those_that_are_published() {
        let (version, libraries) = libraries().unwrap();
        let names: Vec<_> = libraries.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["paravirt-vmi", "paravirt-vmi-abi", "paravirt-vmi-rom-image"]);
        assert_eq!(version.split('.').count(), 2, "{version}");
        assert_eq!(libraries[0].features, ["critical-section", "indirect"]);
        let freestanding = libraries.iter().map(|package| package.is_freestanding().unwrap());
        assert_eq!(freestanding.collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(libraries[0].root, artifact::workspace().join("src/lib.rs"));
    }
}
