//! What all atomic types of a host have in common.

/// One method whose access is one operation.
///
/// `method(argument: type) -> result, access`, where the access is what [`Access`](crate::arch::Access) calls it.
macro_rules! atomic_method {
    ($name:ident, $method:ident($($argument:ident: $type:ty),*) -> $result:ty, $access:ident) => {
        #[doc = concat!("[`core::sync::atomic::", stringify!($name), "::", stringify!($method), "`], in one operation.")]
        #[inline]
        #[track_caller]
        pub fn $method(&self, $($argument: $type),*) -> $result {
            const NAME: &str = concat!(stringify!($name), "::", stringify!($method));
            crate::arch::access(crate::arch::Access::$access(NAME), || self.0.$method($($argument),*))
        }
    };
}

/// An atomic type, and what all of them can do: `[generics] name, value`.
macro_rules! atomic_type {
    ([$($generic:tt)*] $name:ident, $value:ty) => {
        #[doc = concat!("[`core::sync::atomic::", stringify!($name), "`], each access to which is an operation.")]
        #[repr(transparent)]
        pub struct $name<$($generic)*>(core::sync::atomic::$name<$($generic)*>);

        impl<$($generic)*> $name<$($generic)*> {
            /// An atomic of this value.
            #[inline]
            pub const fn new(value: $value) -> Self {
                Self(core::sync::atomic::$name::new(value))
            }

            atomic_method!($name, load(order: Ordering) -> $value, read);
            atomic_method!($name, store(value: $value, order: Ordering) -> (), write);
            atomic_method!($name, swap(value: $value, order: Ordering) -> $value, read_modify_write);
            atomic_method!(
                $name,
                compare_exchange(current: $value, new: $value, success: Ordering, failure: Ordering)
                    -> Result<$value, $value>,
                read_modify_write
            );
            atomic_method!(
                $name,
                compare_exchange_weak(current: $value, new: $value, success: Ordering, failure: Ordering)
                    -> Result<$value, $value>,
                read_modify_write
            );

            #[doc = concat!("[`core::sync::atomic::", stringify!($name), "::fetch_update`]: a load, and an \
                             exchange, until nothing has come between the two.")]
            #[inline]
            #[track_caller]
            pub fn fetch_update(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                mut f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut old = self.load(fetch_order);
                while let Some(new) = f(old) {
                    match self.compare_exchange_weak(old, new, set_order, fetch_order) {
                        Ok(old) => return Ok(old),
                        Err(newer) => old = newer,
                    }
                }
                Err(old)
            }

            /// The value, to which nobody else has access: no operation.
            #[inline]
            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }

            /// The value.
            #[inline]
            pub const fn into_inner(self) -> $value {
                self.0.into_inner()
            }
        }

        impl<$($generic)*> Default for $name<$($generic)*> {
            fn default() -> Self {
                Self(Default::default())
            }
        }

        impl<$($generic)*> From<$value> for $name<$($generic)*> {
            fn from(value: $value) -> Self {
                Self::new(value)
            }
        }

        impl<$($generic)*> core::fmt::Debug for $name<$($generic)*> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
