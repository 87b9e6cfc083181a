//! The steps of `cargo xtask test` and their results.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

use vmi_audit::table::Table;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: String,
    /// What is wrong with it; empty if nothing is.
    pub failure: Option<String>,
}

impl Finding {
    /// A finding with a list of complaints, of which there are none if all is well.
    pub fn new(name: impl Into<String>, complaints: &[String]) -> Self {
        let failure = (!complaints.is_empty()).then(|| complaints.join("\n"));
        Self { name: name.into(), failure }
    }

    /// A finding from a result.
    pub fn from_result(name: impl Into<String>, result: Result<()>) -> Self {
        Self { name: name.into(), failure: result.err().map(|error| format!("{error:#}")) }
    }
}

/// The results of all steps so far.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    steps: Vec<Step>,
    only: Option<String>,
}

#[derive(Clone, Debug)]
struct Step {
    name: String,
    passed: usize,
    failed: usize,
    time: Duration,
}

impl Suite {
    /// A suite that leaves out the steps without `only` in their names.
    pub fn new(only: Option<String>) -> Self {
        Self { steps: Vec::new(), only }
    }

    /// Runs a step, says how it went, and counts its findings.
    ///
    /// A step that cannot be carried out, or that finds nothing to look at, has failed.
    pub fn step(&mut self, name: &str, run: impl FnOnce() -> Result<Vec<Finding>>) {
        if self.only.as_ref().is_some_and(|only| !name.contains(only)) {
            return;
        }
        eprintln!("=== {name}");
        let start = Instant::now();
        let findings = run().and_then(|findings| {
            anyhow::ensure!(!findings.is_empty(), "there was nothing to look at");
            Ok(findings)
        });
        let findings = findings.unwrap_or_else(|error| {
            vec![Finding { name: name.to_owned(), failure: Some(format!("{error:#}")) }]
        });
        let failures: Vec<_> = findings.iter().filter(|found| found.failure.is_some()).collect();
        for finding in &failures {
            let failure = finding.failure.as_deref().unwrap_or_default();
            eprintln!("FAILED {}: {failure}", finding.name);
        }
        let (passed, failed) = (findings.len() - failures.len(), failures.len());
        let time = start.elapsed();
        eprintln!("    {passed} passed, {failed} failed, {:.1} s", time.as_secs_f64());
        self.steps.push(Step { name: name.to_owned(), passed, failed, time });
    }

    /// The number of findings without a failure, and with one.
    pub fn totals(&self) -> (usize, usize) {
        let passed = self.steps.iter().map(|step| step.passed).sum();
        let failed = self.steps.iter().map(|step| step.failed).sum();
        (passed, failed)
    }
}

/// Writes the table of steps, and behind it one line with the totals.
impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["step", "passed", "failed", "seconds", "result"]);
        for step in &self.steps {
            table.row([
                step.name.clone(),
                step.passed.to_string(),
                step.failed.to_string(),
                format!("{:.1}", step.time.as_secs_f64()),
                if step.failed == 0 { "ok" } else { "FAIL" }.to_owned(),
            ]);
        }
        let (passed, failed) = self.totals();
        write!(f, "{table}\n{passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn findings_are_counted_and_a_broken_step_is_a_failure() {
        let mut suite = Suite::default();
        suite.step("mixed", || Ok(vec![Finding::new("a", &[]), Finding::new("b", &["wrong".to_owned()])]));
        suite.step("broken", || bail!("no compiler"));
        suite.step("empty", || Ok(vec![]));
        assert_eq!(suite.totals(), (1, 3));
        let text = suite.to_string();
        assert!(text.ends_with("\n1 passed, 3 failed"), "{text}");
        assert_eq!(text.matches("FAIL").count(), 3, "{text}");
    }

    #[test]
    fn only_the_steps_that_were_asked_for_are_made() {
        let mut suite = Suite::new(Some("bare".to_owned()));
        suite.step("bare metal", || Ok(vec![Finding::new("a", &[])]));
        suite.step("hypervisor", || bail!("not asked for"));
        assert_eq!(suite.totals(), (1, 0));
    }

    #[test]
    fn a_finding_keeps_all_complaints() {
        let finding = Finding::new("a", &["one".to_owned(), "two".to_owned()]);
        assert_eq!(finding.failure.as_deref(), Some("one\ntwo"));
        assert_eq!(Finding::from_result("a", Ok(())).failure, None);
    }
}
