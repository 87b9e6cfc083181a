//! `vmi-audit`: the command.

#![forbid(unsafe_code)]

mod arguments;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use arguments::{Job, Request};
use vmi_audit::allow::AllowList;
use vmi_audit::audit::{Audit, Options};
use vmi_audit::kernel::Kernel;
use vmi_audit::patched::Patched;
use vmi_audit::report;

/// The exit status when something was found.
const FOUND: u8 = 1;

/// The exit status when nothing could be looked at.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let request = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("error: {error} (see `vmi-audit --help`)");
            return ExitCode::from(FAILED);
        }
    };
    match request {
        Request::Help => print(arguments::HELP, ExitCode::SUCCESS),
        Request::Audit(job) => match run(&job) {
            Ok((text, true)) => print(&text, ExitCode::SUCCESS),
            Ok((text, false)) => print(&text, ExitCode::from(FOUND)),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(FAILED)
            }
        },
    }
}

/// Writes to standard output; nobody has to read all of it.
fn print(text: &str, status: ExitCode) -> ExitCode {
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write: {error}");
            ExitCode::from(FAILED)
        }
        _ => status,
    }
}

/// Audits a kernel: the report, and whether all is well.
fn run(job: &Job) -> Result<(String, bool), String> {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let data = read(&job.kernel)?;
    let kernel = Kernel::parse(&data).map_err(|error| named(&job.kernel, &error))?;
    let allow = match &job.allow {
        Some(path) => {
            let text = String::from_utf8(read(path)?).map_err(|error| named(path, &error))?;
            AllowList::parse(&text).map_err(|error| named(path, &error))?
        }
        None => AllowList::default(),
    };
    let audit = Audit::new(&kernel, &data, Options { cpu: job.cpu, allow: &allow });
    let patched = match &job.rom {
        Some(path) => {
            let image = read(path)?;
            Some(
                Patched::new(&kernel, &audit.sites, &image, job.place, job.inline)
                    .map_err(|error| named(path, &error)),
            )
        }
        None => None,
    };
    let (patched, refusal) = match patched.transpose() {
        Ok(patched) => (patched, None),
        Err(error) => (None, Some(error)),
    };
    let is_well = audit.is_clean() && refusal.is_none();
    if let Some(refusal) = &refusal {
        eprintln!("not patched: {refusal}");
    }
    let text = if job.json {
        report::json::report(&audit, patched.as_ref()).map_err(|error| error.to_string())?
    } else {
        let patched = patched.map(|patched| report::text::patched(&audit, &patched) + "\n");
        patched.unwrap_or_default() + &report::text::audit(&audit).map_err(|error| error.to_string())?
    };
    Ok((text, is_well))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
