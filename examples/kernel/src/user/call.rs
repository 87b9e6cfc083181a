//! The system calls.
//!
//! | EAX | system call | other registers                                                             |
//! |-----|-------------|-----------------------------------------------------------------------------|
//! | 0   | ticks       | EAX returns the number of ticks                                             |
//! | 1   | report      | EBX = index of the answer, ECX = answer                                     |
//! | 2   | exit        | does not return                                                             |
//! | 3   | iopl        | EBX = 3: every port may be used, 0: none; EAX returns 0, or [`REFUSED`]     |
//! | 4   | sleep       | EBX = a number of ticks, at the most [`LONGEST_SLEEP`]; returns when they have passed |
//! | 5   | video       | EBX = 1: takes the video hardware from the kernel, 0: gives it back; EAX returns 0, or [`REFUSED`] |
//!
//! # Safety
//!
//! A call came from ring 3, so an entry was left and its stack is as it was. While a program sleeps nothing in
//! the kernel relies on masked interrupts.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use paravirt_vmi::irq;
use paravirt_vmi::user::IoPermissionBitmap;

use super::{leave_user, state};
use crate::traps::Frame;
use crate::{task, ticks, vga};

pub const TICKS: u32 = 0;
pub const REPORT: u32 = 1;
pub const EXIT: u32 = 2;
pub const IOPL: u32 = 3;
pub const SLEEP: u32 = 4;
pub const VIDEO: u32 = 5;

/// What a call that is refused returns.
pub const REFUSED: u32 = !0;
/// The most ticks that a program can sleep.
const LONGEST_SLEEP: u32 = 1000;

/// Where the frame of the last system call lay.
static FRAME: AtomicU32 = AtomicU32::new(0);

/// Where on the stack the kernel was entered by the last system call.
pub fn entered_at() -> u32 {
    FRAME.load(Relaxed)
}

/// Handles a system call. What the program passes is not trusted.
pub fn system_call(frame: &mut Frame) {
    assert!(frame.interrupted_user(), "system call from the kernel: {frame:08x?}");
    FRAME.store(&raw const *frame as u32, Relaxed);
    match frame.eax {
        TICKS => frame.eax = ticks::count(),
        REPORT => state::report(frame.ebx, frame.ecx),
        // SAFETY: see the module.
        EXIT => unsafe { leave_user() },
        IOPL => frame.eax = iopl(frame.ebx),
        SLEEP => sleep(frame.ebx.min(LONGEST_SLEEP)),
        VIDEO => frame.eax = video(frame.ebx),
        _ => frame.eax = REFUSED,
    }
}

fn iopl(level: u32) -> u32 {
    match level {
        3 => state::grant_ports(),
        0 => state::withdraw_ports(),
        _ => return REFUSED,
    }
    0
}

fn sleep(count: u32) {
    let until = ticks::count().saturating_add(count);
    while ticks::count() < until {
        // SAFETY: see the module.
        unsafe { irq::enable_and_halt() };
        irq::disable();
    }
}

/// Hands the video hardware over. Its ports are open to the program exactly while it has it.
fn video(take: u32) -> u32 {
    let done = match take {
        1 => vga::hand_over(),
        0 => vga::give_back(),
        _ => false,
    };
    if !done {
        return REFUSED;
    }
    let change = if take == 1 { IoPermissionBitmap::open } else { IoPermissionBitmap::close };
    task::change_ports(|ports| change(ports, vga::PORTS));
    0
}
