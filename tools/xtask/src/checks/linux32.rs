//! i386 code as 32-bit Linux processes, on the processor itself.

use anyhow::Result;

use super::host::one;
use crate::linux32::{Build, Kind, Linux32};
use crate::suite::Finding;
use crate::toolchain::{Compiler, Install};

/// The packages whose own tests run so.
const TESTED: [&str; 4] = ["paravirt-vmi-abi", "paravirt-vmi-rom-image", "paravirt-vmi", "properties"];

/// What of them: the other libraries have unit tests of the mock alone, or none.
const TESTS: [(&str, Kind); 5] = [
    (TESTED[0], Kind::Tests),
    (TESTED[1], Kind::UnitTests),
    (TESTED[1], Kind::Tests),
    (TESTED[2], Kind::Tests),
    (TESTED[3], Kind::Tests),
];

/// The package that executes patched sites.
const SITES: &str = "process";

/// The tests of the libraries, as far as they do not need the mock.
pub fn tests(compiler: &Compiler, install: Install) -> Result<Vec<Finding>> {
    let machine = Linux32::find(compiler, install)?;
    let mut findings = one("cargo clippy, 32-bit", &mut machine.clippy(&TESTED, "")?)?;
    for (package, kind) in TESTS {
        findings.extend(machine.test(&Build { package, features: "", profile: "dev", kind })?);
    }
    Ok(findings)
}

/// Sites that are patched to the hypervisor's ROM and executed, in both builds of the guest crate.
pub fn sites(compiler: &Compiler, install: Install) -> Result<Vec<Finding>> {
    let machine = Linux32::find(compiler, install)?;
    let mut findings = Vec::new();
    for features in ["", "indirect"] {
        let title = Build { package: SITES, features, profile: "release", kind: Kind::Program };
        findings.extend(one(
            &format!("cargo clippy, 32-bit {}", title.title()),
            &mut machine.clippy(&[SITES], features)?,
        )?);
        findings.extend(machine.test(&title)?);
    }
    Ok(findings)
}
