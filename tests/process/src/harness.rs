//! Each test in a process of its own, whose text has never been patched, and which may not run for long.
//!
//! # Safety
//!
//! `alarm` and `prctl` have no effect but a signal that ends the process.
#![allow(unsafe_code)]

use std::io::{self, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::{env, thread};

use crate::machine::SharedPage;
use crate::tests;

/// A test: its name, and its body, which panics if something does not hold.
pub type Test = (&'static str, fn());

/// The seconds that a test may take.
const LIMIT: u32 = 60;

/// The exit status of a process in whose address space there was no room: where the stack lies is random.
const NO_ROOM: i32 = 75;
/// How often a process is started until there is room. About one in six has none.
const ATTEMPTS: usize = 40;

/// What the command line asks for.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run_all(""),
        ["calls"] => run_here(("calls", tests::report::print)),
        ["--filter", text] => run_all(text),
        ["--child", name] => match tests::all().into_iter().find(|test| test.0 == name) {
            Some(test) => run_here(test),
            None => ExitCode::from(2),
        },
        _ => {
            println!(
                "process               run all tests\nprocess --filter TEXT those with TEXT in their names"
            );
            println!("process calls         what becomes of each call");
            ExitCode::from(2)
        }
    }
}

/// Runs the tests with `filter` in their names, and writes what became of them.
fn run_all(filter: &str) -> ExitCode {
    let tests: Vec<_> = tests::all().into_iter().filter(|test| test.0.contains(filter)).collect();
    println!("running {} tests", tests.len());
    let mut failed = 0;
    for (name, _) in &tests {
        let complaint = run_alone(name).err();
        println!("test {name} ... {}", if complaint.is_none() { "ok" } else { "FAILED" });
        if let Some(complaint) = complaint {
            failed += 1;
            println!("{complaint}");
        }
        _ = io::stdout().flush();
    }
    println!("test result: {} passed; {failed} failed", tests.len() - failed);
    if failed == 0 && !tests.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a test in a process of its own.
///
/// # Errors
///
/// What that has written, and how it has ended.
fn run_alone(name: &str) -> Result<(), String> {
    let program = env::current_exe().map_err(|error| format!("this program has no name: {error}"))?;
    for _ in 0..ATTEMPTS {
        let mut command = Command::new(&program);
        command.args(["--child", name]).stdin(Stdio::null()).stdout(Stdio::null());
        let output = command.output().map_err(|error| format!("it cannot be started: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        if output.status.code() != Some(NO_ROOM) {
            return Err(format!("{}({})", String::from_utf8_lossy(&output.stderr), output.status));
        }
    }
    Err(format!("no room at {:08x} in {ATTEMPTS} processes", vmi_hypervisor::layout::SHARED))
}

/// Runs a test in this process, which it has to itself.
fn run_here((name, test): Test) -> ExitCode {
    // SAFETY: see the module.
    unsafe { libc::alarm(LIMIT) };
    // Nor longer than the process that waits for it.
    // SAFETY: see the module.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // First of all, so that nothing else is put there.
    if let Err(error) = SharedPage::map() {
        eprintln!("{error}");
        return ExitCode::from(NO_ROOM as u8);
    }
    // A thread, so that the stack is not one that grows towards the page.
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(1 << 20).spawn(test);
    match thread.map(thread::JoinHandle::join) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
