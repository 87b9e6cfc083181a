#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bend;
mod edit;
mod error;
mod fake;
pub mod field;
mod image;
mod slot;
mod table;
mod window;

pub use bend::Bend;
pub use error::Error;
pub use image::{Image, Parts};
pub use paravirt_vmi_abi::{Generation, Provision, Style};
pub use slot::{Slot, slots};
pub use table::Relocation;
pub use window::window;
