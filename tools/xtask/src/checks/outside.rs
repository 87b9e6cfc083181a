//! Crates outside the workspace that use the guest crate in their tests, as its users do.
//!
//! They are made in a temporary directory, with a path dependency and a copy of the workspace's `Cargo.lock`, and
//! built without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::{env, process};

use anyhow::{Context as _, Result, ensure};

use crate::artifact;
use crate::suite::Finding;
use crate::test_program;
use crate::toolchain::cargo;

/// The section of the README whose examples are taken over.
const SECTION: &str = "## Test it on the host";

/// The most lines that an example of the mock may have.
const MOST_LINES: usize = 14;

/// A file of a crate: its path, and what is in it.
type Source<'a> = (&'a str, &'a str);

/// Makes the crates and runs their tests.
pub fn outside() -> Result<Vec<Finding>> {
    let readme = fs::read_to_string(artifact::workspace().join("README.md"))?;
    let examples = examples(&readme)?;
    let lengths = examples.iter().map(|example| example.lines().count());
    let complaint = (lengths.clone().max() > Some(MOST_LINES))
        .then(|| format!("{:?} lines, expected at most {MOST_LINES} each", lengths.collect::<Vec<_>>()));
    let mut findings = vec![Finding::new("the README's examples of the mock", complaint.as_slice())];

    let directory = Directory::new()?;
    let library = artifact::workspace().display().to_string();
    let user = manifest("user", &format!("paravirt-vmi = {{ path = {library:?} }}\n"));
    let tests = [
        ("Cargo.toml", user.as_str()),
        ("src/lib.rs", ""),
        ("tests/readme.rs", &as_tests(&examples)),
        ("tests/race.rs", include_str!("../../../../tests/outside/race.rs")),
    ];
    findings.extend(test(&directory.0.join("user"), &tests, &[])?);

    let sections = manifest(
        "sections",
        &format!(
            "critical-section = \"1.2\"\nother = {{ path = \"other\" }}\n\
             paravirt-vmi = {{ path = {library:?}, features = [\"critical-section\"] }}\n"
        ),
    );
    let other = package("other", "critical-section = { version = \"1.2\", features = [\"std\"] }\n");
    let test_of_sections = include_str!("../../../../tests/outside/sections.rs");
    let tests = [
        ("Cargo.toml", sections.as_str()),
        ("src/lib.rs", ""),
        ("tests/sections.rs", test_of_sections),
        ("tests/pulled/main.rs", include_str!("../../../../tests/outside/pulled.rs")),
        ("tests/pulled/sections.rs", test_of_sections),
        ("other/Cargo.toml", &other),
        ("other/src/lib.rs", include_str!("../../../../tests/outside/other.rs")),
    ];
    for profile in [&[][..], &["--release"]] {
        findings.extend(test(&directory.0.join("sections"), &tests, profile)?);
    }
    Ok(findings)
}

/// A `Cargo.toml` with these dependencies.
fn package(name: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}"
    )
}

/// The same of a crate that belongs to no workspace.
fn manifest(name: &str, dependencies: &str) -> String {
    format!("{}\n[workspace]\n", package(name, dependencies))
}

/// The examples in the README's section about the mock.
fn examples(readme: &str) -> Result<Vec<String>> {
    let (_, section) =
        readme.split_once(SECTION).with_context(|| format!("README.md has no section {SECTION:?}"))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("\n```").collect::<Vec<_>>();
    // What stands between two fences; the rest of the first one's line says what language it is.
    let examples: Vec<_> = blocks
        .chunks(2)
        .filter_map(|pair| pair.get(1)?.split_once('\n'))
        .filter(|(language, _)| language.is_empty() || language.starts_with("rust"))
        .map(|(_, example)| example.to_owned())
        .collect();
    ensure!(!examples.is_empty(), "README.md has no example in {SECTION:?}");
    let uses_the_mock = examples.iter().any(|example| example.contains("mock::run"));
    ensure!(uses_the_mock, "no example in {SECTION:?} of README.md uses mock::run");
    Ok(examples)
}

/// A test for each example.
fn as_tests(examples: &[String]) -> String {
    let test = |(index, example): (usize, &String)| {
        // What rustdoc hides is code too.
        let lines = example.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        format!("#[test]\nfn example_{}_of_the_readme() {{\n{body}}}\n\n", index + 1)
    };
    examples.iter().enumerate().map(test).collect()
}

/// Makes a crate, builds its tests and runs them; a finding for each.
fn test(directory: &Path, sources: &[Source], profile: &[&str]) -> Result<Vec<Finding>> {
    let lock = fs::read_to_string(artifact::workspace().join("Cargo.lock"))?;
    for (path, text) in sources.iter().chain(&[("Cargo.lock", lock.as_str())]) {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut findings = Vec::new();
    for program in build(directory, profile)? {
        let mut command = process::Command::new(&program);
        command.current_dir(directory).env_remove("PARAVIRT_VMI_SCHEDULE");
        let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let title = format!("outside {}{}", name.split('-').next().unwrap_or(&name), profile.concat());
        findings.extend(test_program::run(command, &title, directory)?);
    }
    ensure!(!findings.is_empty(), "{} has no test programs", directory.display());
    Ok(findings)
}

/// Builds the tests of the crate in `directory`; the programs.
fn build(directory: &Path, profile: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command.args(["test", "--no-run", "--offline", "--test", "*"]).args(profile);
    command.env("CARGO_TARGET_DIR", target_directory()?).current_dir(directory);
    test_program::build(command, directory)
}

/// Where the crates are built. Kept, since most of it is the same next time.
fn target_directory() -> Result<PathBuf> {
    let i386 = artifact::target_directory()?;
    Ok(i386.parent().context("the target directory is at the root")?.join("outside"))
}

/// A temporary directory that is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("paravirt-vmi-outside-{}", process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "## A\n\n```\na();\n```\n\n## Test it on the host\n\n```\n# let x = 1;\nmock::run(f);\n```\n\n\
                          ```text\nno\n```\n\n```rust\nb();\n```\n\n## B\n\n```\nc();\n```\n";

    #[test]
    fn the_examples_are_those_of_the_section_in_rust() {
        assert_eq!(examples(README).unwrap(), ["# let x = 1;\nmock::run(f);", "b();"]);
    }

    #[test]
    fn a_readme_without_an_example_of_the_mock_is_refused() {
        for readme in ["", "## Test it on the host\n", "## Test it on the host\n\n```\na();\n```\n"] {
            assert!(examples(readme).is_err(), "{readme:?}");
        }
    }

    #[test]
    fn examples_become_tests_with_what_is_hidden_in_them() {
        let tests = as_tests(&examples(README).unwrap());
        assert!(tests.contains("fn example_1_of_the_readme() {\nlet x = 1;\nmock::run(f);\n}"), "{tests}");
        assert!(tests.contains("fn example_2_of_the_readme() {\nb();\n}"), "{tests}");
    }
}
