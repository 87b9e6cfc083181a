//! The C compiler: Rust programs are linked with it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

use anyhow::{Context as _, Result, bail};

/// The name by which rustc calls it.
const PROGRAM: &str = "cc";

/// A small program that the C compiler has linked; it is removed in the end.
pub struct Probe(PathBuf);

impl Probe {
    /// Compiles and links a 32-bit static program; nothing if the C compiler refuses.
    pub fn link(source: &str, arguments: &[String]) -> Result<Option<Self>> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let probe = Self(env::temp_dir().join(format!("paravirt-vmi-{}-{number}", process::id())));
        let child = Command::new(PROGRAM)
            .args(["-m32", "-static", "-no-pie", "-x", "c", "-", "-o"])
            .arg(&probe.0)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            bail!("there is no C compiler (`{PROGRAM}`): install gcc");
        };
        let mut stdin = child.stdin.take().context("the C compiler has no standard input")?;
        let written = stdin.write_all(source.as_bytes());
        drop(stdin);
        Ok((child.wait()?.success() && written.is_ok()).then_some(probe))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // A compiler that has failed leaves none.
        _ = fs::remove_file(&self.0);
    }
}

/// Makes sure that the C compiler links 32-bit freestanding programs.
pub fn check() -> Result<()> {
    if Probe::link("void _start(void) {}\n", &["-nostdlib".to_owned()])?.is_none() {
        bail!("the C compiler (`{PROGRAM}`) does not link 32-bit programs (-m32): install gcc");
    }
    Ok(())
}

/// The major version of the C compiler: its libraries are in packages named after it.
pub fn major_version() -> Result<u32> {
    let version = crate::process::output(Command::new(PROGRAM).arg("-dumpversion"))?;
    parse_major(&version).with_context(|| format!("`{PROGRAM} -dumpversion` says {version:?}"))
}

/// The first number of a version.
fn parse_major(version: &str) -> Option<u32> {
    version.trim().split('.').next()?.parse().ok()
}

/// One line for people.
pub fn describe() -> Result<String> {
    let version = crate::process::output(Command::new(PROGRAM).arg("--version"))?;
    let version = version.lines().next().unwrap_or(PROGRAM);
    Ok(format!("{version}, links 32-bit programs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_that_say_their_whole_version_and_those_that_do_not_have_a_major_one() {
        assert_eq!(parse_major("12\n"), Some(12));
        assert_eq!(parse_major("14.2.0\n"), Some(14));
        assert_eq!(parse_major("unknown"), None);
    }

    #[test]
    fn what_a_probe_has_left_is_removed() {
        let probe = Probe::link("void _start(void) {}\n", &["-nostdlib".to_owned()]).unwrap().unwrap();
        let path = probe.path().to_owned();
        assert!(path.exists());
        drop(probe);
        assert!(!path.exists());
        assert!(Probe::link("this is not C\n", &[]).unwrap().is_none());
    }
}
