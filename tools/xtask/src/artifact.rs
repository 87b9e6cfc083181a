//! Builds of the i386 packages.
//!
//! They have a target directory of their own, `target/i586`, so that they and the builds for the host
//! do not undo each other.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use crate::rom::{Flavour, Image};
use crate::toolchain::{Compiler, Library};

/// The profile of the freestanding packages, see the workspace's `Cargo.toml`.
pub const PROFILE: &str = "freestanding";

/// A package and the features it is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name of the package.
    pub name: &'static str,
    /// Features to enable, separated by commas.
    pub features: &'static str,
}

impl Package {
    /// The kernel.
    pub const KERNEL: Self = Self { name: "vmi-kernel", features: "" };
    /// The kernel whose sites are indirect calls.
    pub const INDIRECT_KERNEL: Self = Self { name: "vmi-kernel", features: "indirect" };
    /// The hypervisor.
    pub const HYPERVISOR: Self = Self { name: "vmi-hypervisor", features: "" };
    /// A kernel without any site.
    pub const SITELESS: Self = Self { name: "siteless", features: "" };
    /// A guest that tries to break out of the hypervisor.
    pub const HOSTILE: Self = Self { name: "hostile", features: "" };
    /// A kernel with instructions that should be calls.
    pub const PLANTED: Self = Self { name: "planted", features: "" };
    /// Masked sections whose machine code is measured.
    pub const SIZES: Self = Self { name: "bench-sizes", features: "" };
    /// The same with sites that are indirect calls.
    pub const INDIRECT_SIZES: Self = Self { name: "bench-sizes", features: "indirect" };
    /// Functions whose machine code is checked.
    pub const CODEGEN: Self = Self { name: "codegen", features: "" };

    /// The ROM.
    pub const fn rom(flavour: Flavour) -> Self {
        Self { name: "vmi-rom", features: flavour.features() }
    }

    /// Name of the package with its features, for people and for file names.
    pub fn title(&self) -> String {
        let features = self.features.split(',').filter(|feature| !feature.is_empty());
        [self.name].into_iter().chain(features).collect::<Vec<_>>().join("-")
    }
}

/// What became of a build.
#[derive(Clone, Debug)]
pub struct Built {
    /// The executable, or the library if the package has no executable.
    pub path: PathBuf,
    /// The number of warnings in the project's own code.
    pub warnings: u32,
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// The directory for the output of i386 builds and for what is made from it.
pub fn target_directory() -> Result<PathBuf> {
    Ok(output_directory()?.join("i586"))
}

/// The directory for all output.
pub fn output_directory() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    Ok(std::path::absolute(target)?)
}

/// Builds a package for i386.
pub fn build(compiler: &Compiler, package: Package) -> Result<Built> {
    let target = target_directory()?;
    let mut command = compiler.cargo("build", Library::Core);
    command
        .args(["--package", package.name, "--profile", PROFILE])
        .args(["--message-format", "json-diagnostic-rendered-ansi"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(workspace());
    if !package.features.is_empty() {
        command.args(["--features", package.features]);
    }
    let Messages { artifact, warnings } = run(&mut command, package.name)?;
    let artifact = artifact.with_context(|| format!("{} has no artifact", package.name))?;
    // Other features would overwrite it.
    let extension = artifact.extension().map(|extension| format!(".{}", extension.display()));
    let directory = target.join("artifacts");
    fs::create_dir_all(&directory)?;
    let path = directory.join(package.title() + &extension.unwrap_or_default());
    fs::copy(&artifact, &path)
        .with_context(|| format!("cannot copy {} to {}", artifact.display(), path.display()))?;
    Ok(Built { path, warnings })
}

/// Builds the ROM and makes an image of it.
pub fn build_rom(compiler: &Compiler, flavour: Flavour) -> Result<Image> {
    let built = build(compiler, Package::rom(flavour))?;
    let elf = fs::read(&built.path)?;
    Image::from_elf(&elf).with_context(|| format!("{} is not a ROM", built.path.display()))
}

/// What cargo said about a build.
#[derive(Debug, Default)]
struct Messages {
    artifact: Option<PathBuf>,
    warnings: u32,
}

impl Messages {
    /// Takes in one of cargo's messages; returns text that people should see.
    fn read(&mut self, line: &str, package: &str) -> Result<Option<String>> {
        let message: Value = serde_json::from_str(line)
            .map_err(|error| anyhow!("cargo wrote {line:?}, which is not a message: {error}"))?;
        match message["reason"].as_str() {
            Some("compiler-message") => {
                let message = &message["message"];
                // The last message, a summary, has no place in the source.
                let spans = message["spans"].as_array().is_some_and(|spans| !spans.is_empty());
                if message["level"] == "warning" && spans {
                    self.warnings += 1;
                }
                Ok(message["rendered"].as_str().map(str::to_owned))
            }
            Some("compiler-artifact") => {
                let target = &message["target"];
                let is_ours = message["package_id"].as_str().is_some_and(|id| names(id, package));
                let is_script = target["kind"][0] == "custom-build";
                if is_ours && !is_script {
                    let executable = message["executable"].as_str();
                    let file = executable.or_else(|| message["filenames"][0].as_str());
                    self.artifact = file.map(PathBuf::from);
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

/// Whether a package id (`path+file:///DIRECTORY#NAME@VERSION`, or `...DIRECTORY/NAME#VERSION`) is
/// that of the package `name`.
fn names(id: &str, name: &str) -> bool {
    let Some((path, version)) = id.rsplit_once('#') else {
        return false;
    };
    match version.split_once('@') {
        Some((found, _)) => found == name,
        None => path.rsplit('/').next() == Some(name),
    }
}

/// Runs cargo and passes its diagnostics on.
fn run(command: &mut Command, package: &str) -> Result<Messages> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let stdout = child.stdout.take().context("cargo has no standard output")?;
    let mut messages = Messages::default();
    for line in BufReader::new(stdout).lines() {
        if let Some(text) = messages.read(&line?, package)? {
            eprint!("{text}");
        }
    }
    if !child.wait()?.success() {
        bail!("{package} does not build for i386");
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_ids_of_both_shapes_are_recognised() {
        assert!(names("path+file:///src/examples/kernel#vmi-kernel@0.1.0", "vmi-kernel"));
        assert!(names("path+file:///src/tests/siteless#0.1.0", "siteless"));
        assert!(!names("path+file:///src/tests/siteless#0.1.0", "vmi-kernel"));
        assert!(!names("path+file:///src/examples/rom#vmi-rom@0.1.0", "vmi-kernel"));
    }

    #[test]
    fn only_warnings_with_a_place_are_counted() {
        let mut messages = Messages::default();
        let warning = r#"{"reason":"compiler-message","message":
            {"level":"warning","spans":[{}],"rendered":"unused variable\n"}}"#;
        let summary = r#"{"reason":"compiler-message","message":
            {"level":"warning","spans":[],"rendered":"1 warning emitted\n"}}"#;
        let text = messages.read(warning, "vmi-kernel").unwrap();
        assert_eq!(text.as_deref(), Some("unused variable\n"));
        messages.read(summary, "vmi-kernel").unwrap();
        assert_eq!(messages.warnings, 1);
    }

    #[test]
    fn the_executable_is_preferred_to_its_build_script() {
        let mut messages = Messages::default();
        for line in [
            r#"{"reason":"compiler-artifact","package_id":"path+file:///k#vmi-kernel@0.1.0",
                "target":{"kind":["bin"]},"filenames":["/t/kernel"],"executable":"/t/kernel"}"#,
            r#"{"reason":"compiler-artifact","package_id":"path+file:///k#vmi-kernel@0.1.0",
                "target":{"kind":["custom-build"]},"filenames":["/t/build"],"executable":null}"#,
            r#"{"reason":"compiler-artifact","package_id":"registry+https://x#cfg-if@1.0.0",
                "target":{"kind":["lib"]},"filenames":["/t/libcfg_if.rlib"],"executable":null}"#,
        ] {
            assert_eq!(messages.read(line, "vmi-kernel").unwrap(), None);
        }
        assert_eq!(messages.artifact.as_deref(), Some(Path::new("/t/kernel")));
    }

    #[test]
    fn features_are_part_of_the_file_name() {
        assert_eq!(Package::KERNEL.title(), "vmi-kernel");
        assert_eq!(Package::INDIRECT_KERNEL.title(), "vmi-kernel-indirect");
        let flavour = Flavour { trace: true, jump: true, ..Flavour::DEFAULT };
        assert_eq!(Package::rom(flavour).title(), "vmi-rom-trace-jump");
    }
}
