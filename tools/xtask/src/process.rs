//! Running other programs: their output, or one line that says why there is none.

use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Runs a program to its end and returns what it wrote to standard output.
///
/// A failure names the program and quotes its last line of complaint.
pub fn output(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name} failed ({}): {}", output.status, complaint(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be started at all with these arguments, and ends with success.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program of this name can be started (`PATH` is searched).
pub fn exists(program: &str) -> bool {
    let started = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !matches!(started, Err(error) if error.kind() == ErrorKind::NotFound)
}

/// How a program with a deadline ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ended by itself, with this exit status (none when a signal ended it).
    Exited(Option<i32>),
    /// It was still running at the deadline, and was killed.
    TimedOut,
}

/// Runs a program that gets killed when it is still running at the end of `limit`.
///
/// The program must not leave children behind: only the process itself is killed.
pub fn run_until(command: &mut Command, limit: Duration) -> Result<Ending> {
    let name = name(command);
    let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ending::Exited(status.code()));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(Ending::TimedOut);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The last line that a failed program wrote, preferring one that calls itself an error.
fn complaint(output: &Output) -> String {
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines()
        .rfind(|line| line.starts_with("E:") || line.starts_with("error"))
        .or_else(|| lines().next_back())
        .unwrap_or("it said nothing")
        .to_owned()
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that surely exists where these tests run.
    fn cargo(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments);
        command
    }

    #[test]
    fn the_output_of_a_program_is_returned() {
        assert!(output(&mut cargo(&["--version"])).unwrap().starts_with("cargo "));
    }

    #[test]
    fn a_failing_program_is_quoted() {
        let error = output(&mut cargo(&["no-such-command"])).unwrap_err().to_string();
        assert!(error.contains("no-such-command"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = output(&mut Command::new("no-such-program-here")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run no-such-program-here");
        assert!(!exists("no-such-program-here"));
        assert!(exists(env!("CARGO")));
    }

    #[test]
    fn a_program_past_its_deadline_is_killed() {
        // `rustc -` reads its program from a pipe that nobody ever closes.
        let start = Instant::now();
        let mut command = Command::new("rustc");
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let ending = run_until(&mut command, Duration::from_millis(100)).unwrap();
        assert_eq!(ending, Ending::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_exit_status_of_a_program_in_time_is_returned() {
        let mut command = cargo(&["--version"]);
        command.stdout(Stdio::null());
        assert_eq!(run_until(&mut command, Duration::from_secs(60)).unwrap(), Ending::Exited(Some(0)));
    }
}
