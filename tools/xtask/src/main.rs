//! `cargo xtask`: builds, boots and tests the project.

#![forbid(unsafe_code)]

mod api;
mod arguments;
mod artifact;
mod bench;
mod bochs;
mod checks;
mod claims;
mod command;
mod counters;
mod ending;
mod environment;
mod fuzz;
mod hostile;
mod kernel;
mod linux32;
mod matrix;
mod outcome;
mod packages;
mod parallel;
mod process;
mod protocol;
mod qemu;
mod rom;
mod source;
mod suite;
mod test_program;
mod toolchain;

use std::process::ExitCode;

use arguments::Request;

fn main() -> ExitCode {
    let request = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("{error} (see `cargo xtask --help`)");
            return ExitCode::from(2);
        }
    };
    match run(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(request: Request) -> anyhow::Result<()> {
    match request {
        Request::Help(text) => {
            println!("{text}");
            Ok(())
        }
        Request::Setup(install) => toolchain::setup(install),
        Request::Boot(selection, install) => command::boot::boot(selection, install),
        Request::Rom { flavour, output, install } => command::rom::rom(flavour, output, install),
        Request::Bless(install) => command::bless::bless(install),
        Request::Api(install) => command::libraries::api(install),
        Request::Msrv(install) => command::libraries::msrv(install),
        Request::Fuzz(target, seconds) => command::fuzz::fuzz(target, seconds),
        Request::Bench(selection, install) => command::bench::bench(&selection, install),
        Request::Test(only, install) => command::test::test(only, install),
    }
}
