//! The libraries build with the oldest compiler that they promise to build with.

use anyhow::{Context as _, Result};

use crate::packages::{self, Package};
use crate::suite::Finding;
use crate::toolchain::{Install, OldestCompiler, TARGET};

/// The machine that tests run on.
const HOST: &str = "the host";

/// What a library is built for: without `std`, for kernels too.
fn targets(package: &Package) -> Result<Vec<&'static str>> {
    Ok(if package.is_freestanding()? { vec![HOST, TARGET] } else { vec![HOST] })
}

/// Checks every library with each of its features, for the host and for i386.
pub fn oldest(install: Install) -> Result<Vec<Finding>> {
    let (version, libraries) = packages::libraries()?;
    let compiler = OldestCompiler::find(&version, install)?;
    eprintln!("{}", compiler.describe());
    let mut findings = Vec::new();
    for package in &libraries {
        let features = package.features.iter().map(|feature| Some(feature.as_str()));
        for feature in [None].into_iter().chain(features) {
            for target in targets(package)? {
                let mut command = match target {
                    TARGET => compiler.cargo_for_i386("check")?,
                    _ => compiler.cargo("check")?,
                };
                command.args(["--quiet", "--locked", "--package", &package.name]);
                command.args(["--features", feature.unwrap_or_default()]);
                let status = command.status().context("cannot run cargo")?;
                let feature = feature.map(|name| format!(", {name}")).unwrap_or_default();
                let name = format!("Rust {version}: {}{feature} for {target}", package.name);
                let complaint = (!status.success()).then(|| format!("see above ({status})"));
                findings.push(Finding::new(name, complaint.as_slice()));
            }
        }
    }
    Ok(findings)
}
