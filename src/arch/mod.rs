//! The two backends: the processor, and a stand-in for it on hosts of another architecture.

cfg_if::cfg_if! {
    if #[cfg(target_arch = "x86")] {
        mod x86;
        pub use x86::DirectWriter;
        pub(crate) use x86::{
            Processor, bind_calls, disable_interrupts, enable_interrupts, get_interrupt_mask, halt,
            set_interrupt_mask, unbind_calls,
        };
    } else {
        pub mod mock;
        pub use mock::DirectWriter;
        pub(crate) use mock::{
            Processor, bind_calls, disable_interrupts, enable_interrupts, get_interrupt_mask, halt,
            set_interrupt_mask, unbind_calls,
        };
    }
}
