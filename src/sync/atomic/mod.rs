//! Atomic types: those of [`core::sync::atomic`] in a kernel; on a host with an operation at each access.
//!
//! A read-modify-write (`swap`, `compare_exchange`, `fetch_add` and the like) is one operation, since no
//! interrupt arrives inside an instruction. `fetch_update` is what it is on the processor: a load, and an
//! exchange, again and again until nothing has come between the two. Fences are no operations: on one
//! processor nobody can see where they stand. [`Debug`](core::fmt::Debug) looks at the value without an
//! operation, for the messages of a test.

cfg_if::cfg_if! {
    if #[cfg(target_arch = "x86")] {
        pub use core::sync::atomic::{
            AtomicBool, AtomicI32, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize,
        };
    } else {
        #[macro_use]
        mod methods;
        mod boolean;
        mod integer;
        mod pointer;

        pub use boolean::AtomicBool;
        pub use integer::{AtomicI32, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicUsize};
        pub use pointer::AtomicPtr;
    }
}

pub use core::sync::atomic::{Ordering, compiler_fence, fence};
