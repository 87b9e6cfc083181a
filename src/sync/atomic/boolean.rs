//! [`AtomicBool`] on a host.

use super::Ordering;

atomic_type!([] AtomicBool, bool);

impl AtomicBool {
    atomic_method!(AtomicBool, fetch_and(value: bool, order: Ordering) -> bool, read_modify_write);
    atomic_method!(AtomicBool, fetch_nand(value: bool, order: Ordering) -> bool, read_modify_write);
    atomic_method!(AtomicBool, fetch_or(value: bool, order: Ordering) -> bool, read_modify_write);
    atomic_method!(AtomicBool, fetch_xor(value: bool, order: Ordering) -> bool, read_modify_write);
    atomic_method!(AtomicBool, fetch_not(order: Ordering) -> bool, read_modify_write);
}
