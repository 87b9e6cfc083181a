//! One run of a target: its progress, and what it has found.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::progress::{self, Function, Progress};
use super::{Programs, Target};
use crate::artifact;

/// How often progress is shown.
const INTERVAL: Duration = Duration::from_secs(10);

/// How many lines of a failure are shown.
const LINES: usize = 60;

/// The parts of the guest crate that the targets are for.
const UNDER_TEST: [&str; 4] = ["src/boot/", "src/patch/", "src/rom/", "src/site/"];

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How far it has come.
    pub progress: Progress,
    /// How many edges the program has.
    pub edges: u64,
    /// How long it took.
    pub time: Duration,
    /// The functions under test, if they could be told.
    pub functions: Vec<Function>,
    /// What was found: the last lines, with the file that holds the input.
    pub finding: Option<String>,
}

/// Runs a target for some seconds, or until it finds something.
pub fn run(programs: &Programs, target: Target, seconds: u64) -> Result<Outcome> {
    let fuzz = artifact::workspace().join("fuzz");
    let found = artifact::output_directory()?.join("fuzz/corpus").join(target.name);
    let artifacts = fuzz.join("artifacts").join(target.name);
    for directory in [&found, &artifacts] {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let start = Instant::now();
    let mut child = Command::new(programs.of(target))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={}", target.longest))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_coverage=1")
        .args([found, fuzz.join("corpus").join(target.corpus)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run the target {}", target.name))?;
    let stderr = child.stderr.take().context("the target has no standard error")?;
    let mut outcome = Outcome {
        progress: Progress::default(),
        edges: 0,
        time: Duration::ZERO,
        functions: Vec::new(),
        finding: None,
    };
    let mut last = VecDeque::new();
    let mut shown = start;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if let Some(progress) = Progress::read(&line) {
            outcome.progress = progress;
            if shown.elapsed() >= INTERVAL {
                shown = Instant::now();
                show(target, start.elapsed(), progress);
            }
        } else if let Some(edges) = progress::edges(&line) {
            outcome.edges = edges;
        } else if let Some(function) = Function::read(&line) {
            outcome.functions.extend(is_under_test(&function).then_some(function));
        } else if !line.trim_start().starts_with("NEW_FUNC") {
            last.push_back(line);
            if last.len() > LINES {
                last.pop_front();
            }
        }
    }
    let status = child.wait()?;
    outcome.time = start.elapsed();
    if !status.success() {
        let program = programs.of(target);
        let lines = Vec::from(last).join("\n");
        outcome.finding = Some(format!("{lines}\n({status}; to see it again: {} FILE)", program.display()));
    }
    Ok(outcome)
}

/// Says how far a run has come.
fn show(target: Target, time: Duration, progress: Progress) {
    let Progress { executions, edges, inputs, .. } = progress;
    eprintln!(
        "{:8} {:5} s  {executions:>10} executions  {edges:>5} edges  {inputs:>5} inputs",
        target.name,
        time.as_secs()
    );
}

/// Whether a function is one of those that the targets are for; printing for debugging is not.
fn is_under_test(function: &Function) -> bool {
    let path = Path::new(&function.file).strip_prefix(artifact::workspace());
    let path = path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    UNDER_TEST.iter().any(|part| path.starts_with(part)) && !function.name.contains("core::fmt::Debug")
}
