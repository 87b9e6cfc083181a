//! The processor: all assembly of the crate.

mod adapters;
pub(crate) mod calls;
#[cfg(feature = "indirect")]
mod indirect;
mod native;
mod processor;
mod text;

pub(crate) use adapters::bind as bind_adapter;
pub(crate) use calls as call;
pub(crate) use native::native_stubs;
pub(crate) use processor::{Processor, ring, site_records};
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
