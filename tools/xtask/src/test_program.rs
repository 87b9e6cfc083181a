//! Test programs: built by cargo, run with a deadline, and what they say.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::process::{Ending, run_until};
use crate::suite::Finding;

/// How long programs may be built.
pub const BUILD_LIMIT: Duration = Duration::from_secs(900);
/// How long a test program may run.
pub const RUN_LIMIT: Duration = Duration::from_secs(180);

/// Runs a cargo that builds programs, in `command`, and returns their paths. What it says goes to files in
/// `directory`, which exists.
pub fn build(mut command: Command, directory: &Path) -> Result<Vec<PathBuf>> {
    let (messages, complaints) = (directory.join("messages"), directory.join("complaints"));
    command.args(["--message-format", "json"]).stdin(Stdio::null());
    command.stdout(File::create(&messages)?).stderr(File::create(&complaints)?);
    let ending = run_until(&mut command, BUILD_LIMIT)?;
    let messages = fs::read_to_string(&messages)?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let (programs, rendered): (Vec<_>, Vec<_>) = messages
        .map(|message| {
            let program = message["executable"].as_str().map(PathBuf::from);
            (program, message["message"]["rendered"].as_str().map(str::to_owned))
        })
        .unzip();
    if ending != Ending::Exited(Some(0)) {
        let rendered: String = rendered.into_iter().flatten().collect();
        let complaints = fs::read_to_string(&complaints)?;
        bail!("{} does not build ({ending:?}): {rendered}{complaints}", directory.display());
    }
    Ok(programs.into_iter().flatten().collect())
}

/// Runs a program until it ends or `limit` has passed: how it ended, and what it wrote to its standard output, which goes
/// through a file in `directory`.
pub fn output(mut command: Command, limit: Duration, directory: &Path) -> Result<(Ending, String)> {
    let output = directory.join("output");
    command.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(Stdio::null());
    let ending = run_until(&mut command, limit)?;
    Ok((ending, fs::read_to_string(&output)?))
}

/// Runs a test program until it ends or [`RUN_LIMIT`] has passed: a finding for the program, and one for each of its
/// tests, by names that begin with `title`.
pub fn run(command: Command, title: &str, directory: &Path) -> Result<Vec<Finding>> {
    let (ending, text) = output(command, RUN_LIMIT, directory)?;
    Ok(findings(ending, &text, title))
}

/// What a test program has found that ended so, having written this.
fn findings(ending: Ending, text: &str, title: &str) -> Vec<Finding> {
    let results: Vec<_> = text.lines().filter_map(test_result).collect();
    let failed = results.iter().any(|result| result.failure.is_some());
    let mut complaint = match ending {
        Ending::TimedOut => Some(format!("no end after {RUN_LIMIT:?}")),
        Ending::Exited(Some(0)) if results.is_empty() => Some("it has no tests".to_owned()),
        Ending::Exited(Some(0)) if failed => Some("a test has failed, and it ends as if none had".to_owned()),
        Ending::Exited(Some(0)) => None,
        Ending::Exited(status) => Some(format!("it ends with {status:?}")),
    };
    if let Some(complaint) = &mut complaint {
        complaint.push('\n');
        complaint.push_str(text);
    }
    let named = results.into_iter().map(|found| Finding { name: format!("{title} {}", found.name), ..found });
    [Finding::new(title, complaint.as_slice())].into_iter().chain(named).collect()
}

/// Reads a line like `test NAME ... ok` of a test program.
pub fn test_result(line: &str) -> Option<Finding> {
    let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    match result {
        "ok" => Some(Finding::new(name, &[])),
        "FAILED" => Some(Finding::new(name, &["see above".to_owned()])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_tests_are_read() {
        assert_eq!(test_result("test a::b ... ok"), Some(Finding::new("a::b", &[])));
        assert!(test_result("test src/lib.rs - irq (line 3) ... FAILED").unwrap().failure.is_some());
        assert_eq!(test_result("test a ... ignored"), None);
        assert_eq!(test_result("test result: ok. 3 passed; 0 failed"), None);
        assert_eq!(test_result("running 3 tests"), None);
    }

    #[test]
    fn a_program_and_each_of_its_tests_are_findings() {
        let text = "running 2 tests\ntest a ... ok\ntest b ... ok\n";
        let found = findings(Ending::Exited(Some(0)), text, "guest");
        let names: Vec<_> = found.iter().map(|finding| finding.name.as_str()).collect();
        assert_eq!(names, ["guest", "guest a", "guest b"]);
        assert!(found.iter().all(|finding| finding.failure.is_none()));
    }

    #[test]
    fn a_program_that_ends_otherwise_than_its_tests_say_has_failed() {
        let (good, bad) = ("test a ... ok\n", "test a ... FAILED\n");
        for (ending, text) in [
            (Ending::TimedOut, good),
            (Ending::Exited(None), good),
            (Ending::Exited(Some(101)), good),
            (Ending::Exited(Some(0)), bad),
            (Ending::Exited(Some(0)), ""),
        ] {
            let failure = findings(ending, text, "guest")[0].failure.clone();
            assert!(failure.is_some_and(|failure| failure.ends_with(text)), "{ending:?} {text:?}");
        }
    }
}
