//! i386 code as 32-bit Linux processes, on the processor itself.

use std::time::Duration;

use anyhow::Result;
use paravirt_vmi_abi::Call;

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

/// The packages that measure, and their features: their lints are looked at, and no more.
const BENCHES: [(&str, &str); 3] =
    [("bench-sections", ""), ("bench-sections", "indirect"), ("bench-patching", "")];

/// The package that executes patched sites.
const SITES: &str = "process";

/// How long it may take to try all calls.
const TABLE_LIMIT: Duration = Duration::from_secs(30);

/// The tests of the libraries, as far as they do not need the mock.
pub fn tests(compiler: &Compiler, install: Install) -> Result<Vec<Finding>> {
    let machine = Linux32::find(compiler, install)?;
    let mut findings = one("cargo clippy, 32-bit", &mut machine.clippy(&TESTED, "")?)?;
    for (package, kind) in TESTS {
        findings.extend(machine.test(&Build { package, features: "", profile: "dev", kind })?);
    }
    Ok(findings)
}

/// The lints of the programs that measure.
pub fn benches(compiler: &Compiler, install: Install) -> Result<Vec<Finding>> {
    let machine = Linux32::find(compiler, install)?;
    let mut findings = Vec::new();
    for (package, features) in BENCHES {
        let title = format!("cargo clippy, 32-bit {package} {features}");
        findings.extend(one(title.trim_end(), &mut machine.clippy(&[package], features)?)?);
    }
    Ok(findings)
}

/// Sites that are patched to the hypervisor's ROM and executed, in both builds of the guest crate; and what becomes of
/// each call in ring 3.
pub fn sites(compiler: &Compiler, install: Install) -> Result<Vec<Finding>> {
    let machine = Linux32::find(compiler, install)?;
    let mut findings = Vec::new();
    for features in ["", "indirect"] {
        let build = Build { package: SITES, features, profile: "release", kind: Kind::Program };
        let name = format!("cargo clippy, 32-bit {}", build.title());
        findings.extend(one(&name, &mut machine.clippy(&[SITES], features)?)?);
        findings.extend(machine.test(&build)?);
    }
    let build = Build { package: SITES, features: "", profile: "release", kind: Kind::Program };
    let table = machine.run(&build, &["calls"], TABLE_LIMIT)?;
    eprint!("{table}");
    findings.push(Finding::new("table of calls in ring 3", missing(&table).as_slice()));
    Ok(findings)
}

/// What is wrong with a table that must have a row for every call.
fn missing(table: &str) -> Option<String> {
    let names: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let missing: Vec<_> = Call::all().filter(|call| !names.contains(&call.name())).collect();
    (!missing.is_empty()).then(|| format!("no row for {missing:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_every_call() {
        let rows: Vec<_> = Call::all().map(|call| format!("{:2}  {call}  runs", call.number())).collect();
        assert_eq!(missing(&rows.join("\n")), None);
        assert_eq!(missing(&rows[1..].join("\n")), Some("no row for [CPUID(0)]".to_owned()));
    }
}
