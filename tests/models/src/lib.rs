//! Models of what several parties do at the same time, for `loom`, which runs them in every interleaving.
//!
//! * The virtual interrupt flag: the guest masks and unmasks by the ROM's code, the hypervisor interrupts it
//!   between any two instructions. [`machine`] is the processor and the hypervisor, [`rom`] the ROM's code,
//!   [`kernel`] what runs on them. No interrupt is lost, and none is delivered while masked.
//! * Patching: one processor patches, the others are started afterwards. [`patching`] runs the guest crate's own
//!   [`Plan`](paravirt_vmi::patch::Plan) on text that is shared. What the others fetch is whole.
//!
//! What has a function is called: the plan, the test whether the guest is interruptible, the bounds of the
//! window in IRET. What is assembly, or part of a larger function, is modelled line by line, and the line is
//! named beside it.
//!
//! A model that finds nothing may have looked at nothing. So each protocol can be broken on purpose, in one rule
//! at a time, and the tests hold that the model then fails.
#![deny(unsafe_code)]

pub mod kernel;
pub mod machine;
pub mod patching;
pub mod rom;
