//! The calls that do not come back: what the machine does after the kernel's last record.
//!
//! Reboot must reset the machine, and not by way of exceptions without a handler; Shutdown must leave the
//! first processor halted with interrupts masked, though its timer goes on.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use paravirt_vmi_abi::Call;

use crate::counters::Hypervisor;
use crate::protocol::Report;
use crate::qemu::{Machine, Run, Stop};
use crate::toolchain::Emulator;

/// A way to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What it is called, in names of runs.
    pub name: &'static str,
    /// The word on the kernel's command line.
    pub word: &'static str,
    /// The call.
    pub call: Call,
}

/// Each way to end.
pub const ALL: [Ending; 3] = [
    Ending { name: "reboot", word: "end=reboot", call: Call::REBOOT },
    Ending { name: "reboot-soft", word: "end=reboot-soft", call: Call::REBOOT },
    Ending { name: "shutdown", word: "end=shutdown", call: Call::SHUTDOWN },
];

/// How one ending went.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The ending.
    pub ending: Ending,
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// What it wrote to the debug port.
    pub debug: Vec<u8>,
}

/// How long a machine that is switched off is left alone before it is looked at.
const REST: Duration = Duration::from_millis(200);

impl Ended {
    /// Runs a kernel that ends in this way; `machine` has its command line set.
    pub fn of(ending: Ending, machine: &Machine<'_>, emulator: &Emulator) -> Result<Self> {
        let is_virtual = machine.hypervisor.is_some();
        let (run, registers) = if ending.call == Call::SHUTDOWN && !is_virtual {
            let (run, registers) = inspect(machine, emulator, ending.call)?;
            (run, Some(registers))
        } else {
            (machine.run(emulator)?, None)
        };
        let report = Report::parse(&run.serial);
        let mut problems = report.defects_before(ending.call);
        problems.extend(match &registers {
            _ if is_virtual => not_stopped(ending.call, &report.hypervisor),
            Some(registers) => not_off(registers, run.ending),
            None => not_reset(&run),
        });
        if !problems.is_empty() {
            eprint!("{}", run.log());
        }
        Ok(Self { ending, problems, debug: run.debug })
    }
}

/// Runs a machine until its kernel has written the record of its last call, and a while longer; the
/// registers of the first processor then.
fn inspect(machine: &Machine<'_>, emulator: &Emulator, last: Call) -> Result<(Run, String)> {
    let (mut command, files) = machine.command(emulator, "stdio")?;
    let messages = fs::File::create(&files.messages)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(messages);
    let mut child = command.spawn().context("cannot run QEMU")?;
    let start = Instant::now();
    let ended = loop {
        if child.try_wait()?.is_some() || Report::parse(&files.serial()?).last == Some(last) {
            break true;
        }
        if start.elapsed() >= machine.limit {
            break false;
        }
        thread::sleep(Duration::from_millis(5));
    };
    thread::sleep(REST);
    // A machine that has stopped reads nothing any more; its exit status tells.
    if let Some(mut monitor) = child.stdin.take() {
        let _ = monitor.write_all(b"info registers\nquit\n");
    }
    let mut answer = String::new();
    if ended {
        let mut output = child.stdout.take().context("QEMU has no standard output")?;
        output.read_to_string(&mut answer).context("QEMU's monitor does not answer")?;
    } else {
        child.kill()?;
    }
    let status = child.wait()?;
    let stop = if ended { Stop::from_status(status.code()) } else { Stop::TimedOut(machine.limit) };
    Ok((files.run(stop)?, answer))
}

/// What shows that a hypervisor did not stop its guest as the call wants it, or came to harm.
fn not_stopped(call: Call, hypervisor: &Hypervisor) -> Vec<String> {
    let expected = if call == Call::SHUTDOWN { "power off" } else { "reset" };
    let mut problems = hypervisor.defects();
    if hypervisor.stopped.len() != 1 || !hypervisor.stopped[0].contains(expected) {
        let found = hypervisor.stopped.join("; ");
        problems.push(format!("the hypervisor stopped its guest for {found:?}, expected {expected}"));
    }
    problems
}

/// What shows that a processor is not halted with interrupts masked.
fn not_off(registers: &str, ending: Stop) -> Vec<String> {
    let value = |name: &str| {
        let word = registers.split_whitespace().find_map(|word| word.strip_prefix(name))?;
        u32::from_str_radix(word, 16).ok()
    };
    match (value("HLT="), value("EFL=")) {
        (Some(1), Some(flags)) if flags & INTERRUPT_FLAG == 0 => vec![],
        (Some(halted), Some(flags)) => {
            vec![format!("the processor is not switched off: HLT={halted} EFL={flags:08x}")]
        }
        _ => vec![format!("the machine does not run any more: {}", ending.describe())],
    }
}

/// EFLAGS.IF.
const INTERRUPT_FLAG: u32 = 1 << 9;

/// What shows that the machine was not reset, or not by the call.
fn not_reset(run: &Run) -> Vec<String> {
    match run.ending {
        Stop::Emulator(Some(0)) if run.triple_fault => {
            vec!["the machine was reset by a triple fault".to_owned()]
        }
        Stop::Emulator(Some(0)) => vec![],
        ending => vec![format!("the machine was not reset: {}", ending.describe())],
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_processor_is_off_when_it_is_halted_and_masked() {
        let off =
            "(qemu) info registers\r\nEIP=000c0100 EFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n";
        let stop = Stop::Emulator(Some(0));
        assert_eq!(not_off(off, stop), Vec::<String>::new());
        let masked = off.replace("EFL=00000046", "EFL=00000246");
        assert_eq!(not_off(&masked, stop), ["the processor is not switched off: HLT=1 EFL=00000246"]);
        assert_eq!(not_off(&off.replace("HLT=1", "HLT=0"), stop).len(), 1);
        let gone = not_off("QEMU 7.2 monitor\n", Stop::PANICKED);
        assert_eq!(gone, ["the machine does not run any more: the kernel panicked"]);
    }

    #[test]
    fn a_guest_is_stopped_for_its_call_alone() {
        let stopped = |lines: &[&str]| {
            let mut hypervisor = Hypervisor::default();
            for line in lines {
                hypervisor.read("stopped", line).unwrap();
            }
            hypervisor.read("intact", "yes").unwrap();
            hypervisor
        };
        assert_eq!(not_stopped(Call::SHUTDOWN, &stopped(&["power off"])), Vec::<String>::new());
        assert_eq!(not_stopped(Call::REBOOT, &stopped(&["reset"])), Vec::<String>::new());
        for lines in [&[][..], &["reset"], &["triple fault"], &["power off", "power off"]] {
            assert_eq!(not_stopped(Call::SHUTDOWN, &stopped(lines)).len(), 1, "{lines:?}");
        }
        assert_eq!(not_stopped(Call::SHUTDOWN, &Hypervisor::default()).len(), 2);
    }

    #[test]
    fn a_machine_is_reset_by_the_call_alone() {
        let run = |ending, triple_fault| Run {
            ending,
            triple_fault,
            serial: String::new(),
            debug: vec![],
            messages: String::new(),
            directory: PathBuf::new(),
        };
        assert_eq!(not_reset(&run(Stop::Emulator(Some(0)), false)), Vec::<String>::new());
        assert_eq!(
            not_reset(&run(Stop::Emulator(Some(0)), true)),
            ["the machine was reset by a triple fault"]
        );
        for ending in [Stop::PASSED, Stop::PANICKED, Stop::Emulator(Some(1)), Stop::Emulator(None)] {
            assert_eq!(not_reset(&run(ending, false)).len(), 1);
        }
    }
}
