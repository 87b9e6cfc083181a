//! The public interface of each library as a list, one item a line, kept in `docs/api`.
//!
//! A change of the interface is a change of a file that somebody has to look at. The lists are made by rustdoc of the
//! oldest compiler that the libraries build with: a certain version, so that they do not depend on whose machine it
//! is. Left out are implementations that follow from others, and the auto traits but `Send` and `Sync`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::artifact;
use crate::packages::{self, Package};
use crate::process;
use crate::toolchain::{Install, OldestCompiler, TARGET};

/// The directory of the lists.
const DIRECTORY: &str = "docs/api";

/// The most differences that are shown of a list.
const MOST_SHOWN: usize = 20;

/// What is part of every type and says nothing of it.
const COMMON: [&str; 5] = ["Freeze", "UnwindSafe", "RefUnwindSafe", "Unpin", "StructuralPartialEq"];

/// A list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its file, in the workspace.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Makes the list of every library; for those that kernels use, on i386 too.
pub fn listings(install: Install) -> Result<Vec<Listing>> {
    let (version, libraries) = packages::libraries()?;
    let compiler = OldestCompiler::find(&version, install)?;
    let mut listings = Vec::new();
    for package in &libraries {
        listings.push(listing(&compiler, package, None)?);
        if package.is_freestanding()? {
            listings.push(listing(&compiler, package, Some(TARGET))?);
        }
    }
    Ok(listings)
}

/// Makes a list, of everything that features can add on the target.
fn listing(compiler: &OldestCompiler, package: &Package, target: Option<&str>) -> Result<Listing> {
    let mut command = match target {
        None => compiler.cargo("rustdoc")?,
        Some(_) => compiler.cargo_for_i386("rustdoc")?,
    };
    // What rustdoc writes for programs is not stable, but that of one version stays what it is.
    command.env("RUSTC_BOOTSTRAP", "1").args(["--quiet", "--locked", "--lib", "--package", &package.name]);
    command.args(["--features", &package.features.join(",")]);
    command.args(["--", "-Zunstable-options", "--output-format", "json", "--cap-lints", "allow"]);
    process::output(&mut command).with_context(|| format!("{}: no documentation", package.name))?;
    let directory = compiler.target_directory()?.join(target.unwrap_or_default()).join("doc");
    let documentation = directory.join(package.crate_name() + ".json");
    let text = render(&documentation)?;
    let target = target.map(|_| ".i386").unwrap_or_default();
    Ok(Listing { name: format!("{DIRECTORY}/{}{target}.txt", package.name), text })
}

/// The list of what rustdoc has written.
fn render(documentation: &Path) -> Result<String> {
    let text = fs::read_to_string(documentation)
        .with_context(|| format!("cannot read {}", documentation.display()))?;
    let mut value = serde_json::from_str(&text)?;
    spell_captures(&mut value);
    let prepared = documentation.with_extension("prepared.json");
    fs::write(&prepared, value.to_string())?;
    let api = public_api::Builder::from_rustdoc_json(&prepared).omit_blanket_impls(true).build()?;
    ensure!(api.items().next().is_some(), "{}: there is nothing in it", documentation.display());
    let lines = api.items().map(ToString::to_string).filter(|line| !is_common(line));
    Ok(lines.map(|line| line + "\n").collect())
}

/// Whether a line is an implementation of one of [`COMMON`].
fn is_common(line: &str) -> bool {
    let implemented = line.strip_prefix("impl").and_then(|line| line.split_once(" for "));
    implemented
        .is_some_and(|(implemented, _)| COMMON.iter().any(|name| implemented.ends_with(&format!("::{name}"))))
}

/// Writes the bound `use<...>`, which the list's maker does not know, as one that it writes as it stands.
fn spell_captures(value: &mut Value) {
    match value {
        Value::Object(fields) if fields.len() == 1 && fields.get("use").is_some_and(Value::is_array) => {
            let captured = fields["use"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let bound = format!("use<{}>", captured.collect::<Vec<_>>().join(", "));
            *value = serde_json::json!({ "outlives": bound });
        }
        Value::Object(fields) => fields.values_mut().for_each(spell_captures),
        Value::Array(values) => values.iter_mut().for_each(spell_captures),
        _ => {}
    }
}

impl Listing {
    /// The file.
    pub fn path(&self) -> PathBuf {
        artifact::workspace().join(&self.name)
    }

    /// How the interface differs from the list that is kept: lines that begin with `-` and `+`.
    pub fn differences(&self) -> Result<Vec<String>> {
        let kept = fs::read_to_string(self.path()).with_context(|| format!("cannot read {}", self.name))?;
        Ok(differences(&kept, &self.text))
    }
}

/// The lines of only one of two lists, as many as are worth showing.
fn differences(kept: &str, found: &str) -> Vec<String> {
    let only = |in_one: &str, in_other: &str, sign: char| -> Vec<String> {
        let mut others: Vec<_> = in_other.lines().collect();
        let mut lines = Vec::new();
        for line in in_one.lines() {
            match others.iter().position(|other| *other == line) {
                Some(index) => drop(others.swap_remove(index)),
                None => lines.push(format!("{sign} {line}")),
            }
        }
        lines
    };
    let mut lines = only(kept, found, '-');
    lines.extend(only(found, kept, '+'));
    if lines.is_empty() && kept != found {
        lines.push("the order of the lines".to_owned());
    }
    if lines.len() > MOST_SHOWN {
        let more = lines.len() - MOST_SHOWN;
        lines.truncate(MOST_SHOWN);
        lines.push(format!("and {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_away_and_what_was_added_is_shown() {
        assert_eq!(differences("a\nb\nb\n", "a\nb\nc\n"), ["- b", "+ c"]);
        assert_eq!(differences("a\nb\n", "b\na\n"), ["the order of the lines"]);
        assert!(differences("a\nb\n", "a\nb\n").is_empty());
        let long: String = (0..30).map(|number| format!("{number}\n")).collect();
        let shown = differences("", &long);
        assert_eq!((shown.len(), shown[20].as_str()), (21, "and 10 more"));
    }

    #[test]
    fn only_what_every_type_has_is_left_out() {
        assert!(is_common("impl core::marker::Freeze for paravirt_vmi::irq::State"));
        assert!(is_common("impl<'a> core::panic::unwind_safe::UnwindSafe for paravirt_vmi::patch::Plan<'a>"));
        assert!(!is_common("impl !core::marker::Send for paravirt_vmi::irq::Guard"));
        assert!(!is_common("impl core::marker::Copy for paravirt_vmi::irq::State"));
        assert!(!is_common("pub fn a::Unpin(&self)"));
    }

    #[test]
    fn a_bound_that_captures_is_spelled() {
        let mut value = serde_json::json!({ "bounds": [{ "use": ["'a", "Self"] }, { "outlives": "'b" }] });
        spell_captures(&mut value);
        let bounds = serde_json::json!([{ "outlives": "use<'a, Self>" }, { "outlives": "'b" }]);
        assert_eq!(value["bounds"], bounds);
    }
}
