//! A kernel that uses `paravirt-vmi` and has not a single site: it links, boots and says so.
//!
//! Its parts are those of the example kernel that have no site.

#![no_std]
#![no_main]
#![deny(unsafe_code)]
#![allow(dead_code, reason = "the modules are shared with a kernel that uses all of them")]

#[path = "../../../examples/kernel/src/activation.rs"]
mod activation;
#[path = "../../../examples/kernel/src/command_line.rs"]
mod command_line;
#[path = "../../../examples/kernel/src/entry.rs"]
mod entry;
#[path = "../../../examples/kernel/src/exit.rs"]
mod exit;
#[path = "../../../examples/kernel/src/mem.rs"]
mod mem;
#[path = "../../../examples/kernel/src/paging/mod.rs"]
mod paging;
#[path = "../../../examples/kernel/src/port.rs"]
mod port;
#[path = "../../../examples/kernel/src/raw.rs"]
mod raw;
#[path = "../../../examples/kernel/src/report.rs"]
mod report;
#[path = "../../../examples/kernel/src/serial.rs"]
mod serial;
#[path = "../../../examples/kernel/src/text.rs"]
mod text;

use core::panic::PanicInfo;

use command_line::Options;
use report::Report;
use serial::line;

/// Called by the first instructions with EAX and EBX as the loader left them, interrupts masked.
///
/// # Safety
///
/// Called once, by `entry`, with the loader's flat segments.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn kernel_main(magic: u32, information: u32) -> ! {
    serial::initialize();
    line!("@kernel {} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    // SAFETY: nothing but the kernel's own memory has been written since the loader ended.
    let options = unsafe { Options::from_multiboot(magic, information) };
    // SAFETY: in ring 0, with paging off.
    unsafe { paging::enable() };
    // There are no handlers: the ROM cannot be tested.
    let is_sound = |_: &_, _: &_| true;
    // SAFETY: interrupts are masked, paging is on with the ROMs in the upper window, and there is
    // one processor.
    let activation = unsafe { activation::activate(&options, 1, is_sound) };

    let mut report = Report::default();
    report.check("siteless.text", |check| {
        check.equal("sites", text::sites().count(), 0);
        check.equal("text as before activation", text::checksum(), activation.native_text);
    });
    exit::exit(report.finish())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    line!("{info}");
    exit::exit(exit::Code::Panicked)
}
