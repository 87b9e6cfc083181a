//! The example kernel in QEMU: instructions of masking natively and under the hypervisor, patched or not.
//!
//! The emulator counts instructions, so that these figures are exact. Its time is that of an emulator: it is reported
//! as such.

use anyhow::{Result, ensure};

use super::row::{Goal, Row};
use super::samples::Measured;
use super::{Bench, Outcome};
use crate::artifact::{self, Package};
use crate::environment::{self, Environment};
use crate::protocol::Report;
use crate::qemu::Stop;

/// The words for a kernel that measures.
const BENCH: &str = "checks=bench";

/// Boots the kernel in one of the known environments, with more words on its command line; its report.
pub fn boot(bench: &mut Bench, name: &str, words: &str, counts: bool) -> Result<Report> {
    let compiler = &bench.toolchain.compiler;
    let kernel = artifact::build(compiler, Package::KERNEL)?.path;
    let known = environment::all().into_iter().find(|known| known.name == name);
    let environment: Environment = known.ok_or_else(|| anyhow::anyhow!("there is no environment {name}"))?;
    let beneath = bench.roms.beneath(compiler, &environment)?;
    let words = format!("{words} {BENCH}").trim_start().to_owned();
    let run_name =
        format!("bench-{name}-{}{}", words.replace([' ', '='], "-"), if counts { "" } else { "-time" });
    let mut machine = beneath.machine(&environment, &run_name, &kernel, &words);
    machine.counts = counts;
    let run = machine.run(&bench.toolchain.emulator)?;
    ensure!(run.ending == Stop::PASSED, "{run_name}: {}\n{}", run.ending.describe(), run.log());
    let report = Report::parse(&run.serial);
    let defects = report.defects();
    ensure!(defects.is_empty(), "{run_name}: {}", defects.join("; "));
    Ok(report)
}

/// What the kernel has measured.
struct Forms(Measured);

impl Forms {
    fn of(report: Report) -> Self {
        Self(Measured(report.samples))
    }

    /// Instructions of one run of a form, without those of the loop around it. What the function has once is spread over
    /// all runs, and less than a hundredth.
    fn instructions(&self, form: &str) -> Result<f64> {
        let [form, empty] = [form, "empty"].map(|form| self.0.summary(form).map(|summary| summary.median));
        Ok(((form? - empty?) * 100.0).round() / 100.0)
    }
}

/// The forms that are compared natively: ours, theirs, and what theirs is called.
const NATIVE: [(&str, &str, &str, &str); 5] = [
    ("native disable", "disable", "cli", "disable.by_hand"),
    ("native enable", "enable", "sti", "enable.by_hand"),
    ("native section", "without_interrupts", "by hand: pushf, cli, test, sti", "without_interrupts.by_hand"),
    ("native section", "without_interrupts", "as the crate x86_64", "without_interrupts.x86_64"),
    ("native section", "without_interrupts", "by hand: pushf, cli, popf", "save_restore.by_hand"),
];

/// Boots the kernel natively, with and without counting, and on the hypervisor in three ways.
pub fn measure(bench: &mut Bench, outcome: &mut Outcome) -> Result<()> {
    let counted = Forms::of(boot(bench, "native", "", true)?);
    let timed = Forms::of(boot(bench, "native", "", false)?);
    let inline = Forms::of(boot(bench, "hypervisor", "", true)?);
    let calls = Forms::of(boot(bench, "hypervisor", "vmi=calls", true)?);
    let trapped = Forms::of(boot(bench, "hypervisor-unpatched", "vmi=off", true)?);
    outcome.rows.extend(native(&counted, &timed)?);
    outcome.rows.extend(hypervisor(&inline, &calls, &trapped)?);
    Ok(())
}

fn native(counted: &Forms, timed: &Forms) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (what, form, against, other) in NATIVE {
        let (ours, theirs) = (counted.instructions(form)?, counted.instructions(other)?);
        rows.push(Row::counted(what, "instructions", ours, against, theirs, Goal::AtMost(1.0)));
    }
    // An emulator's time, with that of the loop, which it does not run at the same speed around every form.
    for (what, form, against, other) in NATIVE {
        let [ours, theirs] = [timed.0.summary(form)?.median, timed.0.summary(other)?.median];
        let ratio = timed.0.ratio(other, form)?;
        let (what, against) = (what.to_owned(), against.to_owned());
        rows.push(Row { what, unit: "emulator's ticks", ours, against, theirs, ratio, goal: Goal::Reported });
    }
    Ok(rows)
}

fn hypervisor(inline: &Forms, calls: &Forms, trapped: &Forms) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let unit = "instructions";
    for (what, form) in [("disable", "disable"), ("section", "without_interrupts")] {
        let [inline, calls, trapped] = [inline, calls, trapped].map(|forms| forms.instructions(form));
        let (inline, calls, trapped) = (inline?, calls?, trapped?);
        let what = format!("{what} on the hypervisor");
        let against = "cli and sti trap: #GP";
        rows.push(Row::counted(&what, unit, inline, "calls into the ROM", calls, Goal::Reported));
        rows.push(Row::counted(&what, unit, inline, against, trapped, Goal::AtLeast(100.0)));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_loop_around_a_form_nor_what_its_function_has_once_counts() {
        let record = "@ticks empty 1000 2019\n@ticks disable 1000 3018\n";
        let forms = Forms(Measured::parse(record).unwrap());
        assert_eq!(forms.instructions("disable").unwrap(), 1.0);
        assert!(forms.instructions("enable").is_err());
    }
}
