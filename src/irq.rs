//! Interrupt masking.
//!
//! The functions are sites: natively each is the instruction that a kernel would write by hand; when
//! patched, a call into the hypervisor's ROM, without a trap. Wherever they stand, the compiler moves
//! no load and no store across them.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`disable`] | `cli` | DisableInterrupts (30) |
//! | [`enable`] | `sti` | EnableInterrupts (29) |
//! | [`save`], [`is_enabled`] | `pushfd; pop eax` | GetInterruptMask (31) |
//! | [`restore`] | `cli`, and `sti` if bit 9 was set | SetInterruptMask (32) |
//! | [`enable_and_halt`] | `sti; hlt` | Halt (35) |
//! | [`iret_site!`](crate::iret_site) | `iretd` | IRET (33) |
//! | [`sysexit_site!`](crate::sysexit_site) | `sti; sysexit` | SYSEXIT (34) |
//!
//! # Which one to use
//!
//! [`without_interrupts`] for nearly everything. Masking is safe; whatever can *unmask* is `unsafe`,
//! since code that masked interrupts may rely on it for the soundness of its own unsafe blocks. That
//! includes [`restore`] and the [`Guard`], whose effect depends on the order in which they happen.
//!
//! # When interrupts arrive
//!
//! Natively the processor takes no interrupt between `sti` and the end of the next instruction.
//! EnableInterrupts delivers what is pending inside the call. Code must not rely on either: to sleep
//! use [`enable_and_halt`], to return use the IRET and SYSEXIT sites. Source: facts sheet, section 8.3.
//!
//! # Safety
//!
//! Natively the functions need CPL 0, or IOPL >= CPL. They mask this processor's interrupts only: other
//! processors go on, and non-maskable interrupts still arrive. The unsafe functions here add no unsafe
//! operation of their own; what makes them unsafe is stated at each.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;

use paravirt_vmi_abi::flags::InterruptMask;

use crate::arch;

/// EFLAGS.IF, bit 9: the only bit of an interrupt mask that has a meaning.
pub(crate) const INTERRUPT_FLAG: u32 = InterruptMask::IF.bits();

/// Masks interrupts on this processor.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn disable() {
    // SAFETY: an interrupt less breaks nothing.
    unsafe { arch::call::disable_interrupts() };
}

/// Unmasks interrupts on this processor, and lets those arrive that are pending.
///
/// # Safety
///
/// No code that is under way on this processor relies on interrupts being masked, this function's
/// caller included; and what handlers need (descriptor tables, a valid stack) is in place.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn enable() {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::enable_interrupts() };
}

/// Whether interrupts are unmasked on this processor.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn is_enabled() -> bool {
    save().is_enabled()
}

/// Whether interrupts were unmasked when [`save`] was called.
///
/// Opaque, because a ROM may answer GetInterruptMask with more than bit 9: two states are equal if
/// their bit 9 is.
#[derive(Clone, Copy)]
pub struct State(u32);

impl State {
    /// Whether interrupts were unmasked.
    #[inline(always)]
    pub const fn is_enabled(self) -> bool {
        self.0 & INTERRUPT_FLAG != 0
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.is_enabled() == other.is_enabled()
    }
}

impl Eq for State {}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_enabled() { "State(enabled)" } else { "State(disabled)" })
    }
}

/// Whether interrupts are unmasked, for [`restore`]. Changes nothing.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn save() -> State {
    // SAFETY: reads only.
    State(unsafe { arch::call::get_interrupt_mask() })
}

/// Makes interrupts masked or unmasked as they were at [`save`], whatever they are now.
///
/// # Safety
///
/// If the state is enabled, as for [`enable`]. Sections that save, mask and restore must nest: the
/// state saved last is restored first.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn restore(state: State) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_interrupt_mask(state.0) };
}

/// Unmasks interrupts and waits for one, without a window between the two: an interrupt that is
/// pending, or becomes pending at any time before the processor sleeps, wakes it.
///
/// Returns after the handler has run, with interrupts unmasked. To sleep until a condition holds that
/// a handler establishes, test the condition with interrupts masked, and then call this:
///
/// ```
/// use core::sync::atomic::{AtomicBool, Ordering};
/// use paravirt_vmi::irq;
///
/// # static READY: AtomicBool = AtomicBool::new(true);
/// # fn wait() {
/// irq::disable();
/// while !READY.load(Ordering::Relaxed) {
///     // SAFETY: this is the idle loop: nobody above relies on masked interrupts.
///     unsafe { irq::enable_and_halt() };
///     irq::disable();
/// }
/// # }
/// # wait();
/// ```
///
/// Source: facts sheet, section 8.4.
///
/// # Safety
///
/// As for [`enable`].
#[inline(always)]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn enable_and_halt() {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::halt() };
}

/// Calls `f` with interrupts masked, and then makes them as they were before, if `f` unwinds too.
///
/// Sections nest: interrupts are unmasked at the end of the outermost one, if they were unmasked
/// before it. Inside a section one masking more costs the question whether they are masked.
///
/// ```
/// use paravirt_vmi::irq;
///
/// let sum = irq::without_interrupts(|| {
///     irq::without_interrupts(|| 1) + 1 // still masked after the inner section
/// });
/// assert_eq!(sum, 2);
/// ```
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn without_interrupts<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the guard does not leave this function, so it is dropped before anything that was
    // created earlier, and after anything that `f` has created and kept to itself. What `f` unmasks,
    // it unmasks by an unsafe function, under that function's contract.
    let guard = unsafe { Guard::new() };
    let result = f();
    drop(guard);
    result
}

/// Keeps interrupts masked until it is dropped, and then makes them as they were before it.
///
/// For sections that a closure does not fit. A guard belongs to the processor that created it:
///
/// ```compile_fail,E0277
/// # use paravirt_vmi::irq::Guard;
/// fn send<T: Send>(_: T) {}
/// send(unsafe { Guard::new() });
/// ```
#[must_use = "interrupts are unmasked again as soon as the guard is dropped"]
pub struct Guard {
    state: State,
    /// Nothing on the processor; the mock sees by it whether sections nest.
    section: arch::Section,
    /// Masking concerns the processor that runs this code, so the guard must not move to another.
    not_send: PhantomData<*mut ()>,
}

impl Guard {
    /// Masks interrupts.
    ///
    /// # Safety
    ///
    /// Guards and [`without_interrupts`] nest on each processor: the guard is dropped before every guard
    /// and section that was there before it has ended, and after every one that began later. A guard
    /// that is dropped too early unmasks interrupts under a section that relies on it.
    #[inline]
    #[cfg_attr(not(target_arch = "x86"), track_caller)]
    pub unsafe fn new() -> Self {
        let state = save();
        disable();
        Self { state, section: arch::Section::begin(), not_send: PhantomData }
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        self.section.end(self.state.is_enabled());
        // SAFETY: unmasks interrupts only if they were unmasked when the guard was created, and by its contract
        // every section that began later has ended.
        unsafe { arch::call::enable_interrupts_if(self.state.0) };
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("was_enabled", &self.state.is_enabled()).finish()
    }
}
