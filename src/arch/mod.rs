//! The two backends: the processor, and a stand-in for it on hosts of another architecture.

#[macro_use]
mod calls;

cfg_if::cfg_if! {
    if #[cfg(target_arch = "x86")] {
        mod x86;
        pub use x86::DirectWriter;
        pub(crate) use x86::{
            CellAccess, Origin, Processor, Section, bind_adapter, bind_calls, call, linear, native_stubs,
            observe, ring, site_records, unbind_calls,
        };
    } else {
        pub mod mock;
        pub use mock::DirectWriter;
        pub(crate) use mock::{
            Access, CellAccess, Origin, Processor, Section, access, bind_adapter, bind_calls, call, linear,
            native_stubs, observe, ring, site_records, unbind_calls,
        };
    }
}
