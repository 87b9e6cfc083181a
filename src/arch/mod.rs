//! The two backends: the processor, and a stand-in for it on hosts of another architecture.

#[macro_use]
mod calls;

cfg_if::cfg_if! {
    if #[cfg(target_arch = "x86")] {
        mod x86;
        pub use x86::DirectWriter;
        pub(crate) use x86::{
            Processor, bind_adapter, bind_calls, call, native_stubs, ring, site_records, unbind_calls,
        };
    } else {
        pub mod mock;
        pub use mock::DirectWriter;
        pub(crate) use mock::{
            Processor, bind_adapter, bind_calls, call, native_stubs, ring, site_records, unbind_calls,
        };
    }
}
