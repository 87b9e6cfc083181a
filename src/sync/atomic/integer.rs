//! The atomic integers on a host.

use super::Ordering;

macro_rules! atomic_integer {
    ($name:ident, $value:ty) => {
        atomic_type!([] $name, $value);

        impl $name {
            atomic_method!($name, fetch_add(value: $value, order: Ordering) -> $value, read_modify_write);
            atomic_method!($name, fetch_sub(value: $value, order: Ordering) -> $value, read_modify_write);
            atomic_method!($name, fetch_and(value: $value, order: Ordering) -> $value, read_modify_write);
            atomic_method!($name, fetch_nand(value: $value, order: Ordering) -> $value, read_modify_write);
            atomic_method!($name, fetch_or(value: $value, order: Ordering) -> $value, read_modify_write);
            atomic_method!($name, fetch_xor(value: $value, order: Ordering) -> $value, read_modify_write);
            atomic_method!($name, fetch_max(value: $value, order: Ordering) -> $value, read_modify_write);
            atomic_method!($name, fetch_min(value: $value, order: Ordering) -> $value, read_modify_write);
        }
    };
}

atomic_integer!(AtomicU8, u8);
atomic_integer!(AtomicU16, u16);
atomic_integer!(AtomicU32, u32);
atomic_integer!(AtomicUsize, usize);
atomic_integer!(AtomicI32, i32);
atomic_integer!(AtomicIsize, isize);
