//! A small i386 kernel that runs on bare metal and, without being rebuilt, on a VMI hypervisor.
//!
//! Read it in this order: [`kernel_main`] below is the table of contents; `activation` is all that a
//! kernel does to become paravirtual, `self_test` how it looks whether that was wise; `traps` and `user` show the two
//! sites in assembly, and `task` and `user` what keeps the interrupt flag out of the reach of programs in ring 3;
//! `conformance` uses and checks the rest.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod activation;
mod ap;
mod cmos;
mod command_line;
mod conformance;
mod direction;
mod ending;
mod entry;
mod exit;
mod fault;
mod gdt;
mod idt;
mod mailbox;
mod mem;
mod paging;
mod panic;
mod pic;
mod pit;
mod port;
mod processors;
mod raw;
mod report;
mod sampling;
mod self_test;
mod sensitive;
mod serial;
mod task;
mod text;
mod ticks;
mod traps;
mod user;
mod vga;

use command_line::Options;
use report::Report;
use serial::line;

/// Called by the first instructions with EAX and EBX as the loader left them, interrupts masked.
///
/// # Safety
///
/// Called once, by `entry`, which gives what each of the functions below asks for.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn kernel_main(magic: u32, information: u32) -> ! {
    serial::initialize();
    line!("@kernel {} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    // SAFETY: nothing but the kernel's own memory has been written since the loader ended.
    let options = unsafe { Options::from_multiboot(magic, information) };

    // SAFETY: in ring 0, with the loader's flat segments.
    unsafe { gdt::load() };
    // SAFETY: in ring 0, with the kernel's segments.
    unsafe { idt::load(&[traps::SYSTEM_CALL, traps::REGISTERS_PROBE]) };
    // SAFETY: in ring 0; this kernel is for a Pentium or later.
    let has_sysexit = unsafe { gdt::prepare_sysexit() };
    // SAFETY: with paging off.
    let processors = unsafe { processors::count() };
    // SAFETY: in ring 0, with paging off.
    unsafe { paging::enable() };
    pic::initialize(ticks::LINE);

    // SAFETY: the kernel is patched, its handlers are in place, and nothing relies on masked interrupts yet.
    let is_sound = |vmi: &_, used: &_| !options.self_test || unsafe { self_test::passes(vmi, used) };
    // SAFETY: interrupts are masked, paging is on with the ROMs in the upper window, and there is
    // one processor.
    let activation = unsafe { activation::activate(&options, processors, is_sound) };

    if let Some(ending) = options.ending {
        ending::run(ending);
    }
    let mut report = Report::default();
    conformance::run(&mut report, options.checks, &activation, has_sysexit);
    exit::exit(report.finish())
}
