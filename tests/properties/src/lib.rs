//! What holds for any ROM, any site records and any text.
//!
//! Each property is a function of bytes, or of a [`plan::Case`] that bytes can be read as. It returns what became of
//! the input, and panics if something does not hold: an error that is not true, a read or a write where there is no
//! site, a ROM that reaches outside the window, a plan that is another one the second time, a text that is not whole
//! afterwards. Property tests, fuzzing (`fuzz/`) and the [kept inputs](corpus) all call the same functions.
//!
//! | input | function |
//! |---|---|
//! | the option-ROM window | [`probe::check`] |
//! | the option-ROM window, on a machine that boots from it | [`boot::check`] |
//! | answers of a ROM, a kernel, what is wrong with it | [`plan::check`] |
//! | the section `vmi_sites` | [`records::check`] |

#![deny(unsafe_code)]

pub mod boot;
pub mod corpus;
mod inline;
mod kernel;
mod lent;
mod patch;
pub mod plan;
pub mod probe;
pub mod records;
mod text;

pub use patch::Refusal;
pub use text::Fault;
