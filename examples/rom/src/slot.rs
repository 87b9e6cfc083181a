//! Generation 13.x: which call lies in which slot. All numbers come from the call table.

use paravirt_vmi_abi::legacy::{LEGACY_CALLS, SLOTS_13_0, SLOTS_13_3};
use paravirt_vmi_abi::{CALLS, Call, LegacySlot};

/// Whether this is 13.3.
const MINOR_3: bool = cfg!(feature = "v13-3");

/// The number of slots, the four that overlay the header included.
pub const COUNT: u8 = if MINOR_3 { SLOTS_13_3 } else { SLOTS_13_0 };

/// The slot of a call of the call table. The build fails for a call that this generation does not have.
pub const fn of(call: Call) -> u8 {
    number(if MINOR_3 { CALLS[call.number() as usize].slot_13_3 } else { first(call) })
}

/// The slot that a call had from the start; it keeps the old arguments when 13.3 adds another one.
#[cfg(feature = "v13-3")]
pub const fn first_of(call: Call) -> u8 {
    number(first(call))
}

const fn first(call: Call) -> Option<LegacySlot> {
    CALLS[call.number() as usize].slot_13_0
}

const fn number(slot: Option<LegacySlot>) -> u8 {
    match slot {
        Some(slot) => slot.number,
        None => panic!("the call has no slot in this generation"),
    }
}

/// The slot of a call that generation 3.0 dropped. The build fails for any other name.
pub const fn dropped(name: &str) -> u8 {
    let mut index = 0;
    while index < LEGACY_CALLS.len() {
        let call = LEGACY_CALLS[index];
        if equal(call.name.as_bytes(), name.as_bytes()) {
            assert!(call.since_minor == 0 || MINOR_3, "the call is in no slot of this minor version");
            return call.slot;
        }
        index += 1;
    }
    panic!("no slot has a call of this name")
}

const fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}
