//! Packages built with `std` for [`TARGET`], and run as 32-bit Linux processes: i386 code on the real processor.
//!
//! They have a target directory of their own, `target/linux32`: the flags differ from those of the freestanding
//! packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::artifact;
use crate::packages;
use crate::process::Ending;
use crate::suite::Finding;
use crate::test_program;
use crate::toolchain::{CLibrary, Compiler, Install, Library, TARGET};

/// What is built of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The tests in the source of its library.
    UnitTests,
    /// Its integration tests, each a program.
    Tests,
    /// Its program.
    Program,
}

/// A package, and how it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The package.
    pub package: &'static str,
    /// Features to enable, separated by commas.
    pub features: &'static str,
    /// The profile, such as `dev`.
    pub profile: &'static str,
    /// What of it.
    pub kind: Kind,
}

impl Build {
    /// The name with the features, for people and for directories.
    pub fn title(&self) -> String {
        artifact::Package { name: self.package, features: self.features }.title()
    }
}

/// A machine that builds and runs 32-bit Linux programs.
#[derive(Clone, Debug)]
pub struct Linux32 {
    compiler: Compiler,
    library: CLibrary,
}

impl Linux32 {
    /// Finds or installs what is missing besides the compiler.
    pub fn find(compiler: &Compiler, install: Install) -> Result<Self> {
        Ok(Self { compiler: compiler.clone(), library: CLibrary::find(install)? })
    }

    /// Builds; the programs.
    pub fn build(&self, build: &Build) -> Result<Vec<PathBuf>> {
        let mut command = match build.kind {
            Kind::UnitTests | Kind::Tests => self.compiler.cargo("test", Library::Std),
            Kind::Program => self.compiler.cargo("build", Library::Std),
        };
        match build.kind {
            Kind::UnitTests => command.args(["--no-run", "--lib"]),
            Kind::Tests => command.args(["--no-run", "--test", "*"]),
            Kind::Program => command.arg("--bins"),
        };
        command.args(["--package", build.package, "--profile", build.profile, "--features", build.features]);
        command.args(self.flags()?).current_dir(artifact::workspace());
        let programs = test_program::build(command, &self.directory(build)?)?;
        ensure!(!programs.is_empty(), "{} has no program", build.title());
        Ok(programs)
    }

    /// Builds tests and runs them; findings for each program and each test. A program that is no test harness of Rust's
    /// must write the same lines.
    pub fn test(&self, build: &Build) -> Result<Vec<Finding>> {
        let package = packages::all()?.into_iter().find(|package| package.name == build.package);
        let package = package.with_context(|| format!("there is no package {}", build.package))?;
        let mut findings = Vec::new();
        for program in self.build(build)? {
            let mut command = Command::new(&program);
            // As cargo does it.
            command.current_dir(package.manifest.parent().context("a manifest without a directory")?);
            let title = format!("32-bit {} {}", build.title(), name(&program));
            findings.extend(test_program::run(command, &title, &self.directory(build)?)?);
        }
        Ok(findings)
    }

    /// Builds a program and runs it, with these arguments, for no longer than `limit`; what it writes.
    pub fn run(&self, build: &Build, arguments: &[&str], limit: Duration) -> Result<String> {
        let [program] = &self.build(build)?[..] else { bail!("{} is not one program", build.title()) };
        let mut command = Command::new(program);
        command.args(arguments);
        match test_program::output(command, limit, &self.directory(build)?)? {
            (Ending::Exited(Some(0)), text) => Ok(text),
            (Ending::TimedOut, text) => bail!("{}: no end after {limit:?}\n{text}", build.title()),
            (Ending::Exited(status), text) => bail!("{}: it ends with {status:?}\n{text}", build.title()),
        }
    }

    /// A cargo that lints `packages` and their tests, and takes every warning for an error.
    pub fn clippy(&self, packages: &[&str], features: &str) -> Result<Command> {
        let flags = self.flags()?;
        let mut arguments = vec!["--all-targets", "--features", features];
        arguments.extend(packages.iter().flat_map(|package| ["--package", *package]));
        arguments.extend(flags.iter().map(String::as_str));
        let mut command = self.compiler.clippy(Library::Std, &arguments);
        command.current_dir(artifact::workspace());
        Ok(command)
    }

    /// Arguments of cargo: the target directory, and static linking with the C library.
    fn flags(&self) -> Result<Vec<String>> {
        let linker =
            self.library.linker_arguments().into_iter().map(|argument| format!("-Clink-arg={argument}"));
        let flags: Vec<_> = ["-Ctarget-feature=+crt-static".to_owned()].into_iter().chain(linker).collect();
        let target = artifact::output_directory()?.join("linux32");
        Ok(vec![
            "--target-dir".to_owned(),
            target.display().to_string(),
            "--config".to_owned(),
            // A list of strings is written alike in Rust and in TOML. It is added to that of .cargo/config.toml.
            format!("target.{TARGET}.rustflags={flags:?}"),
        ])
    }

    /// Where the logs of a build and of its programs go.
    fn directory(&self, build: &Build) -> Result<PathBuf> {
        let directory = artifact::output_directory()?.join("linux32/logs").join(build.title());
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }
}

/// The name of a program without the hash that cargo gives to those of tests.
fn name(program: &Path) -> String {
    let stem = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_has_no_hash() {
        assert_eq!(name(Path::new("/t/guest-af18e244187728d4")), "guest");
        assert_eq!(name(Path::new("/t/paravirt-vmi")), "paravirt-vmi");
    }

    #[test]
    fn features_are_part_of_the_title() {
        let build = Build { package: "process", features: "indirect", profile: "dev", kind: Kind::Program };
        assert_eq!(build.title(), "process-indirect");
    }
}
