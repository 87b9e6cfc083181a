//! The processor: all assembly of the crate.

#[cfg(feature = "indirect")]
mod indirect;
mod irq;
mod processor;
mod text;

pub(crate) use irq::{disable_interrupts, enable_interrupts, get_interrupt_mask, halt, set_interrupt_mask};
pub(crate) use processor::Processor;
pub use text::DirectWriter;

cfg_if::cfg_if! {
    if #[cfg(feature = "indirect")] {
        pub(crate) use indirect::{bind_calls, unbind_calls};
    } else {
        /// Sites hold their calls themselves: there is no table to fill.
        pub(crate) fn bind_calls(_relocations: &crate::patch::RelocationTable) {}

        /// Sites hold their calls themselves: there is no table to reset.
        pub(crate) fn unbind_calls() {}
    }
}
