//! [`AtomicPtr`] on a host.

use super::Ordering;

atomic_type!([T] AtomicPtr, *mut T);
