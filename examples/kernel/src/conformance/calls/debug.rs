//! Debug registers.
//!
//! # Safety
//!
//! No breakpoint is switched on: what the registers hold has no effect.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::cpu::{self, DebugRegister};

use super::check;
use crate::raw;
use crate::report::Report;

/// A register and the instructions that read and set it.
struct Register {
    name: DebugRegister,
    read: fn() -> u32,
    set: unsafe fn(u32),
    /// What it may hold without switching anything on.
    value: u32,
}

/// Debug control: length and condition of each breakpoint, all of them off; bit 10 is always set.
const ALL_OFF: u32 = 0xDDDD_0400;

const REGISTERS: [Register; 5] = [
    Register { name: DebugRegister::Dr0, read: raw::dr0, set: raw::set_dr0, value: 0x1000_0001 },
    Register { name: DebugRegister::Dr1, read: raw::dr1, set: raw::set_dr1, value: 0x2000_0002 },
    Register { name: DebugRegister::Dr2, read: raw::dr2, set: raw::set_dr2, value: 0x3000_0004 },
    Register { name: DebugRegister::Dr3, read: raw::dr3, set: raw::set_dr3, value: 0x4000_0008 },
    Register { name: DebugRegister::Dr7, read: raw::dr7, set: raw::set_dr7, value: ALL_OFF },
];

pub fn run(report: &mut Report) {
    check(report, Call::SET_DR, |check| {
        for register in &REGISTERS {
            // SAFETY: the value switches nothing on.
            unsafe { cpu::set_dr(register.name, register.value) };
        }
        // All are set by now, so that one in another's place shows.
        for Register { read, value, .. } in &REGISTERS {
            check.equal("debug register", read(), *value);
        }
        clear();
    });
    check(report, Call::GET_DR, |check| {
        for register in &REGISTERS {
            // SAFETY: as above.
            unsafe { (register.set)(register.value) };
        }
        for Register { name, value, .. } in &REGISTERS {
            check.equal("debug register", cpu::dr(*name), *value);
        }
        check.equal("DR6", cpu::dr(DebugRegister::Dr6), raw::dr6());
        clear();
    });
}

/// Puts the power-on values back.
fn clear() {
    for Register { name, set, .. } in &REGISTERS {
        let value = if *name == DebugRegister::Dr7 { 0x400 } else { 0 };
        // SAFETY: as above.
        unsafe { set(value) };
    }
}
