//! Calls 66 to 71 in generation 13.x: the time interface that this ROM does not have.
//!
//! An alarm has to be kept until it fires, a jump of the wall clock until it is asked for, and the image
//! holds no writable data. The interface is all or nothing: in 3.0 each of the six calls is answered
//! NONE. In 13.x a guest cannot ask, or insists on having every slot: a frequency of 0 says that there is
//! nothing to use, and the rest answers 0 or does nothing. Source: facts sheet, sections 0 (trap 3),
//! 4.4 and 7.6.
//!
//! # Safety
//!
//! The unsafe code is assembly. Each block defines symbols of its own in sections that only
//! `rom.ld` places; no Rust code calls it.
#![allow(unsafe_code)]

use paravirt_vmi_abi::with_call;

with_call!(GET_CYCLE_FREQUENCY => entry, ["xor eax, eax", "xor edx, edx", "ret"];);
with_call!(GET_CYCLE_COUNTER => entry, ["xor eax, eax", "xor edx, edx", "ret"];);
with_call!(SET_ALARM => entry, ["ret"];);
with_call!(CANCEL_ALARM => entry, ["xor eax, eax", "ret"];);
with_call!(GET_WALLCLOCK_TIME => entry, ["xor eax, eax", "xor edx, edx", "ret"];);
with_call!(WALLCLOCK_UPDATED => entry, ["xor eax, eax", "ret"];);
