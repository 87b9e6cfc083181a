//! Every package builds for i386 without a warning.

use anyhow::Result;

use crate::artifact::{self, Package};
use crate::rom::Flavour;
use crate::suite::Finding;
use crate::toolchain::Compiler;

/// The packages and features that are built.
fn packages() -> Vec<Package> {
    let library = Package { name: "paravirt-vmi", features: "" };
    let mut packages = vec![
        Package { name: "paravirt-vmi-abi", features: "" },
        library,
        Package { features: "indirect", ..library },
        Package { features: "critical-section", ..library },
        Package { name: "vmi-sampler", features: "" },
        Package::KERNEL,
        Package::INDIRECT_KERNEL,
        Package::HYPERVISOR,
        Package::HOSTILE,
        Package::SITELESS,
        Package::PLANTED,
        Package::CODEGEN,
    ];
    packages.extend(Flavour::all().into_iter().map(Package::rom));
    packages
}

/// Builds each package.
pub fn builds(compiler: &Compiler) -> Result<Vec<Finding>> {
    let finding = |package| match artifact::build(compiler, package) {
        Ok(built) if built.warnings > 0 => {
            Finding::new(package.title(), &[format!("{} warnings", built.warnings)])
        }
        result => Finding::from_result(package.title(), result.map(|_| ())),
    };
    Ok(packages().into_iter().map(finding).collect())
}
