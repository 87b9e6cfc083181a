//! [`UnsafeCell`]: shared memory without atomic accesses.

use core::{cell, fmt};

use crate::arch;

/// [`core::cell::UnsafeCell`], whose accesses have a beginning and an end.
///
/// In a kernel there is nothing else to them. On a host an interrupt may arrive in the middle of each, and a
/// handler that accesses the memory then fails the test with a data race, unless both only read.
///
/// ```
/// use paravirt_vmi::sync::UnsafeCell;
///
/// let cell = UnsafeCell::new(1);
/// // SAFETY: nothing else has access to the cell.
/// cell.with_mut(|value| unsafe { *value += 1 });
/// assert_eq!(cell.into_inner(), 2);
/// ```
#[repr(transparent)]
pub struct UnsafeCell<T: ?Sized>(cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    #[inline(always)]
    pub const fn new(value: T) -> Self {
        Self(cell::UnsafeCell::new(value))
    }

    /// The value.
    #[inline(always)]
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Calls `f` with a pointer through which it may read. The access ends when `f` returns: whoever uses the
    /// pointer later is not seen.
    #[inline(always)]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        let access = arch::CellAccess::read(self.address(), size_of_val(&self.0));
        let result = f(self.0.get());
        access.end();
        result
    }

    /// Calls `f` with a pointer through which it may read and write. The access ends when `f` returns, as in
    /// [`with`](Self::with).
    #[inline(always)]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        let access = arch::CellAccess::write(self.address(), size_of_val(&self.0));
        let result = f(self.0.get());
        access.end();
        result
    }

    /// The value, to which nobody else has access: no operation.
    #[inline(always)]
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    /// Where the value lies.
    #[inline(always)]
    fn address(&self) -> usize {
        self.0.get().cast::<u8>().addr()
    }
}

impl<T: Default> Default for UnsafeCell<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for UnsafeCell<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized> fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsafeCell").finish_non_exhaustive()
    }
}
