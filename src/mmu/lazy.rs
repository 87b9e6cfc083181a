//! Lazy modes: sections in which a hypervisor may hold updates back and do them in one go.
//!
//! # Safety
//!
//! See the [module above](super).
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;

use paravirt_vmi_abi::flags::LazyMode;

use crate::arch;

/// The right to enter the lazy modes of one processor.
///
/// A section is a closure, so it cannot be left open; it ends when the closure returns or unwinds, and then
/// everything that was held back is done. Modes do not nest, and a section inside a section does not compile:
///
/// ```compile_fail,E0499
/// # use paravirt_vmi::mmu::LazyModes;
/// # let mut modes = unsafe { LazyModes::new() };
/// modes.mmu(|_| modes.cpu(|_| ()));
/// ```
///
/// What a section lends does not leave it:
///
/// ```compile_fail
/// # use paravirt_vmi::mmu::LazyModes;
/// # let mut modes = unsafe { LazyModes::new() };
/// let section = modes.mmu(|section| section);
/// section.flush();
/// ```
///
/// The right does not leave its processor:
///
/// ```compile_fail,E0277
/// # use paravirt_vmi::mmu::LazyModes;
/// fn send<T: Send>(_: T) {}
/// send(unsafe { LazyModes::new() });
/// ```
///
/// How it is used:
///
/// ```
/// # use paravirt_vmi::mmu::{LazyModes, Level, Update, set_pxe};
/// # fn fill(modes: &mut LazyModes, entries: &mut [u32]) {
/// modes.mmu(|_| {
///     for (entry, frame) in entries.iter_mut().zip(0x100..) {
///         // SAFETY: ...
///         unsafe { set_pxe(entry, frame << 12 | 3, Update::of(Level::PageTable)) };
///     }
/// }); // here at the latest they are in force
/// # }
/// # fill(&mut unsafe { LazyModes::new() }, &mut [0; 4]);
/// ```
///
/// Source: facts sheet, section 7.4.
pub struct LazyModes {
    /// A mode is a state of the processor that runs this code.
    not_send: PhantomData<*mut ()>,
}

impl LazyModes {
    /// The right for the processor that runs this.
    ///
    /// # Safety
    ///
    /// The processor has at most one; the code that holds it is not moved to another processor while a
    /// section is open, and nothing else that runs on this one meanwhile relies on updates being done at
    /// once: a section that is interrupted by a switch to another task goes on holding updates back.
    pub const unsafe fn new() -> Self {
        Self { not_send: PhantomData }
    }

    /// Runs `f` while page-table updates may be held back: for a batch of them.
    ///
    /// A page fault, [`inval_page`](super::inval_page) and the flushes of the TLB end the holding back too.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn mmu<R>(&mut self, f: impl FnOnce(&LazySection<'_>) -> R) -> R {
        self.section(LazyMode::MMU, f)
    }

    /// Runs `f` while changes of processor state may be held back: for the switch to another task.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn cpu<R>(&mut self, f: impl FnOnce(&LazySection<'_>) -> R) -> R {
        self.section(LazyMode::CPU, f)
    }

    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    fn section<R>(&mut self, mode: LazyMode, f: impl FnOnce(&LazySection<'_>) -> R) -> R {
        set_lazy_mode(mode);
        let section = LazySection { mode, origin: arch::Origin::caller(), modes: PhantomData };
        f(&section)
    }
}

impl fmt::Debug for LazyModes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LazyModes")
    }
}

/// An open section; dropping it leaves the mode.
#[derive(Debug)]
pub struct LazySection<'a> {
    mode: LazyMode,
    /// Nothing on the processor; the mock sees by it whose end the drop is.
    origin: arch::Origin,
    modes: PhantomData<&'a mut LazyModes>,
}

impl LazySection<'_> {
    /// The mode of the section.
    pub fn mode(&self) -> LazyMode {
        self.mode
    }

    /// Does what has been held back so far: leaves the mode and enters it again.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub fn flush(&self) {
        set_lazy_mode(LazyMode::NONE);
        set_lazy_mode(self.mode);
    }
}

impl Drop for LazySection<'_> {
    #[inline]
    fn drop(&mut self) {
        self.origin.end();
        set_lazy_mode(LazyMode::NONE);
    }
}

/// Enters a mode, or leaves the one that is open.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
fn set_lazy_mode(mode: LazyMode) {
    // SAFETY: the modes are entered and left in turn: `LazyModes` is borrowed while one is open, and the
    // processor has one only. Holding back is announced to those who do the updates.
    unsafe { arch::call::set_lazy_mode(mode.0) };
}
