//! The kernel: how it boots, and its handler of interrupts.
//!
//! # Safety
//!
//! The process has flat segments, runs this code in one thread, and its interrupts are signals of that thread. The
//! handler saves every register, loads the segments that Rust's code needs, and touches atomics alone.
#![allow(unsafe_code)]

use std::arch::global_asm;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32};

use paravirt_vmi::boot::{self, Backend, Options, Vmi};
use paravirt_vmi::irq;
use vmi_hypervisor::rom::Leave;

use crate::machine::{Text, Window};
use crate::monitor;

// The frame is the processor's: EIP, CS, EFLAGS. The end is a site, as in any kernel.
global_asm!(
    ".pushsection .text.process_interrupt, \"ax\", @progbits",
    ".globl process_interrupt",
    "process_interrupt:",
    "lea esp, [esp - 8]",
    "mov [esp + 4], ds",
    "mov [esp], es",
    "pushad",
    "cld",
    "mov eax, ss",
    "mov ds, eax",
    "mov es, eax",
    "push [esp + 48]",
    "call {handle}",
    "add esp, 4",
    "popad",
    "mov es, [esp]",
    "mov ds, [esp + 4]",
    "lea esp, [esp + 8]",
    ".globl process_interrupt_leave",
    "process_interrupt_leave:",
    paravirt_vmi::iret_site!(),
    ".popsection",
    handle = sym handle,
);

unsafe extern "C" {
    safe fn process_interrupt();
}

/// Interrupts that the handler has seen.
pub static HANDLED: AtomicU32 = AtomicU32::new(0);
/// Interrupts whose number was not the next one.
pub static OUT_OF_ORDER: AtomicU32 = AtomicU32::new(0);
/// Interrupts that came while [`MASKED`] was set, or whose handler began with the flag set.
pub static WHILE_MASKED: AtomicU32 = AtomicU32::new(0);
/// Interrupts whose saved EFLAGS did not have the flag set.
pub static WRONG_IMAGE: AtomicU32 = AtomicU32::new(0);
/// Set while the kernel relies on masking.
pub static MASKED: AtomicBool = AtomicBool::new(false);
/// Changed without any protection but masking, here and by the kernel.
pub static SHARED_COUNTER: AtomicU32 = AtomicU32::new(0);

/// Adds 1 in two steps, between which nobody else may.
pub fn count_unprotected() {
    SHARED_COUNTER.store(SHARED_COUNTER.load(SeqCst) + 1, SeqCst);
}

/// The handler of interrupts; its argument is the image of EFLAGS on the stack.
extern "C" fn handle(flags: u32) {
    let ticket = monitor::DELIVERED.load(SeqCst);
    if ticket != HANDLED.fetch_add(1, SeqCst) + 1 {
        OUT_OF_ORDER.fetch_add(1, SeqCst);
    }
    // Asked in the shared page, not by a site: that may not be patched.
    if MASKED.load(SeqCst) || monitor::flag() {
        WHILE_MASKED.fetch_add(1, SeqCst);
    }
    if flags & monitor::INTERRUPT_FLAG == 0 {
        WRONG_IMAGE.fetch_add(1, SeqCst);
    }
    count_unprotected();
}

/// Checks that every interrupt was handled once, in order, and at the right time; how many there were.
pub fn all_handled() -> u32 {
    let handled = HANDLED.load(SeqCst);
    assert_eq!(handled, monitor::RAISED.load(SeqCst), "interrupts handled, and raised");
    assert_eq!(OUT_OF_ORDER.load(SeqCst), 0, "interrupts out of order");
    assert_eq!(WHILE_MASKED.load(SeqCst), 0, "interrupts while masked");
    assert_eq!(WRONG_IMAGE.load(SeqCst), 0, "interrupts with a wrong image of EFLAGS");
    handled
}

/// A kernel that has been started, with interrupts masked.
pub struct Kernel {
    /// What it runs on.
    pub vmi: Vmi,
    /// Its text.
    pub text: Text,
    /// The window with the ROM.
    pub window: Window,
    /// What it was activated with.
    pub options: Options,
    /// To raise interrupts.
    pub line: monitor::Line,
}

/// Starts the monitor, without a ROM.
pub fn start_native() -> monitor::Line {
    monitor::start(process_interrupt as *const () as u32);
    monitor::Line::of_this_thread()
}

impl Kernel {
    /// Finds the ROM and patches every site; those of the flag hold the ROM's own code.
    pub fn boot(leave: Leave) -> Self {
        Self::boot_with(leave, true)
    }

    /// The same; `inline` says whether sites may hold the ROM's own code.
    pub fn boot_with(leave: Leave, inline: bool) -> Self {
        let line = start_native();
        let window = Window::map(leave);
        monitor::insert(&window);
        let options = Options {
            enabled: true,
            physical_offset: window.physical_offset(),
            linear_mapping: None,
            inline,
        };
        let mut text = Text::default();
        // SAFETY: the window is mapped, interrupts are masked, and this is the only thread that uses sites. Ring 3 will do:
        // what needs another one is an exit.
        let backend = unsafe { boot::activate(&options, &mut text) };
        match backend.expect("the ROM's answers can be used") {
            Backend::Vmi(vmi) => Self { vmi, text, window, options, line },
            Backend::Native(reason) => panic!("native: {reason}"),
        }
    }

    /// The linear addresses of the ROM.
    pub fn rom(&self) -> std::ops::Range<u32> {
        self.window.rom()
    }
}

/// Unmasks interrupts.
pub fn enable() {
    // SAFETY: the tests rely on masking where they say so, in sections of their own.
    unsafe { irq::enable() };
}
