//! Every call of the interface, made through the guest crate: what it did is seen from outside.
//!
//! The check of a call has the name `call.NUMBER.NAME`. Where the backend does not provide a call its native
//! form is what is checked. The two that do not come back, Reboot and Shutdown, have runs of their own; see
//! `ending`.

mod apic;
mod control;
mod cpu;
mod debug;
mod descriptor;
mod entry;
mod interrupt;
mod mmu;
mod page;
mod port;
mod port_run;
mod smp;
mod table;
mod task;
mod time;

pub use smp::{OTHER_PROCESSOR, ap_state};
pub use task::make_available as make_task_available;

use super::check;
use crate::activation::Activation;
use crate::report::Report;

/// Checks every call but Reboot and Shutdown. Interrupts are masked before and after.
pub fn run(report: &mut Report, activation: &Activation, sysexit: bool) {
    cpu::run(report);
    control::run(report);
    debug::run(report);
    descriptor::run(report);
    entry::run(report);
    task::run(report);
    interrupt::run(report, sysexit);
    mmu::run(report);
    port::run(report, sysexit);
    port_run::run(report);
    apic::run(report);
    time::run(report, activation);
    smp::run(report, activation);
}
