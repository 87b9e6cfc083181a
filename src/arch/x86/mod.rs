//! The processor: all assembly of the crate.

mod adapters;
pub(crate) mod calls;
#[cfg(feature = "indirect")]
mod indirect;
mod native;
mod observe;
mod processor;
mod text;

pub(crate) use adapters::bind as bind_adapter;
pub(crate) use calls as call;
pub(crate) use native::native_stubs;
pub(crate) use observe::observe;
pub(crate) use processor::{Processor, ring, site_records};
pub use text::DirectWriter;

/// An address as the calls take it.
pub(crate) type Linear = u32;

/// The linear address of what lies at `place`.
#[inline(always)]
pub(crate) fn linear<T: ?Sized>(place: *const T) -> Linear {
    place.cast::<u8>().expose_provenance() as u32
}

/// What a [`Guard`](crate::irq::Guard) knows of itself: nothing.
pub(crate) struct Section;

impl Section {
    /// A section begins.
    #[inline(always)]
    pub(crate) const fn begin() -> Self {
        Self
    }

    /// The section ends.
    #[inline(always)]
    pub(crate) const fn end(&self, _unmasks: bool) {}
}

/// What an access to a cell knows of itself: nothing.
pub(crate) struct CellAccess;

impl CellAccess {
    /// A reading access begins.
    #[inline(always)]
    pub(crate) const fn read(_address: usize, _size: usize) -> Self {
        Self
    }

    /// A writing access begins.
    #[inline(always)]
    pub(crate) const fn write(_address: usize, _size: usize) -> Self {
        Self
    }

    /// The access ends.
    #[inline(always)]
    pub(crate) const fn end(self) {}
}

/// What a [`LazySection`](crate::mmu::LazySection) knows of where it began: nothing.
#[derive(Debug)]
pub(crate) struct Origin;

impl Origin {
    /// It begins.
    #[inline(always)]
    pub(crate) const fn caller() -> Self {
        Self
    }

    /// It ends.
    #[inline(always)]
    pub(crate) const fn end(&self) {}
}

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
