//! The two symbols by which the crate `critical-section` finds its implementation.
//!
//! Its own feature `std` brings one as well, and in a program for tests other crates may enable that feature.
//! Strong symbols would then meet, sometimes: a linker takes an object out of a library for whatever it is needed
//! for, and only then finds its symbols. So here they are weak, where the assembler of the platform is known, and
//! make way. Both symbols of `std` come with one object, so sections never begin in one implementation and end in
//! the other.
//!
//! # Safety
//!
//! The functions behind the symbols have the signatures that `critical-section` declares, and are called under the
//! contract of its functions of the same names.
#![allow(unsafe_code)]

cfg_if::cfg_if! {
    if #[cfg(all(
        feature = "critical-section",
        unix,
        not(target_vendor = "apple"),
        any(target_arch = "x86_64", target_arch = "aarch64"),
    ))] {
        use core::arch::global_asm;

        use critical_section::{Impl, RawRestoreState};

        use crate::critical_section::MaskedInterrupts;

        // Not mangled, so that the linker takes this object for them, whether it has met the weak symbols or not.
        #[unsafe(no_mangle)]
        unsafe fn paravirt_vmi_critical_section_acquire() -> RawRestoreState {
            // SAFETY: passed on to the caller.
            unsafe { MaskedInterrupts::acquire() }
        }

        #[unsafe(no_mangle)]
        unsafe fn paravirt_vmi_critical_section_release(state: RawRestoreState) {
            // SAFETY: passed on to the caller.
            unsafe { MaskedInterrupts::release(state) };
        }

        #[cfg(target_arch = "x86_64")]
        macro_rules! jump {
            () => { "jmp" };
        }
        #[cfg(target_arch = "aarch64")]
        macro_rules! jump {
            () => { "b" };
        }

        global_asm!(
            ".pushsection .text.paravirt_vmi_critical_section, \"ax\", %progbits",
            ".weak _critical_section_1_0_acquire",
            ".type _critical_section_1_0_acquire, %function",
            ".globl paravirt_vmi_critical_section_weak",
            ".hidden paravirt_vmi_critical_section_weak",
            "_critical_section_1_0_acquire:",
            "paravirt_vmi_critical_section_weak:",
            concat!(jump!(), " {acquire}"),
            ".size _critical_section_1_0_acquire, . - _critical_section_1_0_acquire",
            ".weak _critical_section_1_0_release",
            ".type _critical_section_1_0_release, %function",
            "_critical_section_1_0_release:",
            concat!(jump!(), " {release}"),
            ".size _critical_section_1_0_release, . - _critical_section_1_0_release",
            ".popsection",
            acquire = sym paravirt_vmi_critical_section_acquire,
            release = sym paravirt_vmi_critical_section_release,
        );

        unsafe extern "Rust" {
            fn _critical_section_1_0_acquire() -> RawRestoreState;
            fn _critical_section_1_0_release(state: RawRestoreState);
            /// Where the first of them leads if it is the weak one.
            fn paravirt_vmi_critical_section_weak();
        }

        /// Whether the sections of this program are those of another implementation.
        pub(super) fn is_overridden() -> bool {
            _critical_section_1_0_acquire as *const () != paravirt_vmi_critical_section_weak as *const ()
        }

        /// Whether this thread is in a section of the other implementation, that of `std`: there a state tells
        /// whether the section is inside another one.
        pub(super) fn is_in_section() -> bool {
            // SAFETY: released at once.
            let state = unsafe { _critical_section_1_0_acquire() };
            // SAFETY: acquired just now, and nothing since then.
            unsafe { _critical_section_1_0_release(state) };
            state
        }
    } else {
        #[cfg(feature = "critical-section")]
        critical_section::set_impl!(crate::critical_section::MaskedInterrupts);

        /// Whether the sections of this program are those of another implementation: two would not link.
        pub(super) fn is_overridden() -> bool {
            false
        }

        /// Whether this thread is in a section of the other implementation.
        pub(super) fn is_in_section() -> bool {
            false
        }
    }
}
