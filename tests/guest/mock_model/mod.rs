//! What the calls do on the mock, as code sees it that uses the functions of the crate.

mod apic;
mod clock;
mod descriptor;
mod mmu;
mod places;
mod ports;
mod registers;
mod sleep;
mod timers;

use paravirt_vmi::mock::{self, Cpu, Limits};

/// Runs `f`, which fails, and gives the message.
fn failure(f: impl FnOnce(Cpu) + Send + 'static) -> String {
    mock::try_run(Limits::DEFAULT, f).unwrap_err().to_string()
}
