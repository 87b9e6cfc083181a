//! A guest that tries to reach what is the hypervisor's: its memory, the real descriptors, the real page
//! tables, the real interrupt flag, forbidden ports. One attempt a run, chosen by `attempt=NAME` on the
//! command line; `attempt=list` lists them all.
//!
//! ```text
//! @list NAME MUST,MUST... BARE NEEDS WHAT...
//! @try NAME
//! @attempt NAME refused HOW
//! @attempt NAME SUCCEEDED HOW
//! @attempt NAME UNEXPECTED HOW
//! ```
//!
//! On bare metal most attempts succeed: so they are real ones. There `attempt` is the table of contents;
//! `machine`, `trap` and `world` are what the attempts are made with.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod attempt;
mod descriptors;
#[path = "../../../examples/kernel/src/entry.rs"]
mod entry;
#[path = "../../../examples/kernel/src/exit.rs"]
mod exit;
mod flags;
mod gates;
mod hypercalls;
mod loader;
mod machine;
#[path = "../../../examples/kernel/src/mem.rs"]
mod mem;
mod memory;
#[allow(dead_code, reason = "shared with a kernel that uses ports of every width")]
#[path = "../../../examples/kernel/src/port.rs"]
mod port;
mod ports;
mod registers;
mod rom;
#[path = "../../../examples/kernel/src/serial.rs"]
mod serial;
mod trap;
mod user;
mod world;

use core::panic::PanicInfo;

use exit::Code;
use loader::Request;
use serial::line;

/// Called by the first instructions with EAX and EBX as the loader left them, interrupts masked.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
extern "C" fn kernel_main(magic: u32, information: u32) -> ! {
    serial::initialize();
    let request = loader::request(magic, information);
    world::initialize();
    match request {
        Some(Request { attempt: "list", .. }) => {
            attempt::all().for_each(|attempt| line!("@list {attempt}"));
            exit::exit(Code::Passed)
        }
        Some(request) => attempt::run(request),
        None => panic!("the command line has no attempt=NAME"),
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    line!("{info}");
    exit::exit(Code::Panicked)
}
