//! The privileged instructions that a kernel without patched sites masks by: each is an exit.

use std::sync::atomic::Ordering::SeqCst;

use vmi_hypervisor::decode::Operation;

use super::{DELIVERED, Frame, RAISED, deliver_if_enabled, set_flag, sleep};

/// The opcode of HLT.
const HLT: u8 = 0xF4;

/// Carries out an instruction that the guest is behind; `next` is the first byte of the one after it.
pub fn carry_out(frame: &mut Frame, operation: &Operation, next: Option<u8>) {
    match operation {
        Operation::Cli => set_flag(false),
        Operation::Sti => {
            set_flag(true);
            // The instruction behind it is in its shadow: only `hlt` is one that cares.
            if next != Some(HLT) {
                deliver_if_enabled(frame);
            }
        }
        Operation::Hlt => {
            if DELIVERED.load(SeqCst) == RAISED.load(SeqCst) {
                sleep(frame);
            }
            deliver_if_enabled(frame);
        }
        _ => frame.give_up("a privileged instruction that is not carried out"),
    }
}
