//! Exceptions in ring 3: `cli` and `sti` of a program with ports are skipped, whatever else it is ends it.
//!
//! # Safety
//!
//! Ring 3 was interrupted, so an entry was left and its stack is as it was.
#![allow(unsafe_code)]

use super::{code_at, leave_user, state};
use crate::traps::Frame;

/// Handles the exception of `frame`, which came from ring 3. `address` is CR2.
pub fn exception(frame: &mut Frame, address: u32) {
    let code = code_at(frame.eip);
    let fix_up = frame.general_protection().and_then(|fault| fault.fix_up(state::has_ports(), code));
    match fix_up {
        Some(fix_up) => {
            (frame.eip, frame.eflags) = (fix_up.eip, fix_up.eflags);
            state::count_skipped(fix_up.skip.instruction);
        }
        None => {
            state::ended_by(frame, address);
            // SAFETY: see the module.
            unsafe { leave_user() }
        }
    }
}
