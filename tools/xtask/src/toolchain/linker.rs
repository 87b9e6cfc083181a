//! The C compiler: Rust programs are linked with it.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::{env, process};

use anyhow::{Context as _, Result, bail};

/// The name by which rustc calls it.
const PROGRAM: &str = "cc";

/// Makes sure that the C compiler links 32-bit freestanding programs.
pub fn check() -> Result<()> {
    let output = env::temp_dir().join(format!("paravirt-vmi-{}", process::id()));
    let child = Command::new(PROGRAM)
        .args(["-m32", "-nostdlib", "-static", "-no-pie", "-x", "c", "-", "-o"])
        .arg(&output)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        bail!("there is no C compiler (`{PROGRAM}`): install gcc");
    };
    let mut stdin = child.stdin.take().context("the C compiler has no standard input")?;
    let written = stdin.write_all(b"void _start(void) {}\n");
    drop(stdin);
    let links = child.wait()?.success() && written.is_ok();
    if output.exists() {
        fs::remove_file(&output)?;
    }
    if !links {
        bail!("the C compiler (`{PROGRAM}`) does not link 32-bit programs (-m32): install gcc");
    }
    Ok(())
}

/// One line for people.
pub fn describe() -> Result<String> {
    let version = crate::process::output(Command::new(PROGRAM).arg("--version"))?;
    let version = version.lines().next().unwrap_or(PROGRAM);
    Ok(format!("{version}, links 32-bit programs"))
}
