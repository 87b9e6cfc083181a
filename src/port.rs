//! Ports.
//!
//! | function | natively | patched |
//! |---|---|---|
//! | [`inl`], [`inb`], [`inw`] | `in eax, dx`, and so on | INL (49), INB (50), INW (51) |
//! | [`insl`], [`insb`], [`insw`] | `rep insd`, and so on | INSL (52), INSB (53), INSW (54) |
//! | [`outl`], [`outb`], [`outw`] | `out dx, eax`, and so on | OUTL (55), OUTB (56), OUTW (57) |
//! | [`outsl`], [`outsb`], [`outsw`] | `rep outsd`, and so on | OUTSL (58), OUTSB (59), OUTSW (60) |
//! | [`set_iopl`] | `popfd` with other bits 12 and 13 | SetIOPLMask (61) |
//! | [`io_delay`] | `out 0x80, al` | IODelay (65) |
//!
//! The port travels in DX, a single value in AL, AX or EAX, a run in memory at EDI (in) or ESI (out) with its
//! length in ECX. A port of another width is another function: nothing is widened or narrowed.
//!
//! Natively the functions need CPL 0, or CPL <= IOPL. Source: facts sheet, section 4.1.
//!
//! # Safety
//!
//! The blocks below make the calls of the table. What a port does is its device's business, up to writing
//! all of memory: reading and writing one is `unsafe`. The caller knows the device, and no other code's
//! state of it is disturbed.
#![allow(unsafe_code)]

use paravirt_vmi_abi::flags::IoplMask;

use crate::arch;

/// A function that reads one value.
macro_rules! input {
    ($($name:ident $type:ident $bits:literal;)*) => { $(
        #[doc = concat!("Reads ", $bits, " bits from `port`.")]
        ///
        /// # Safety
        ///
        /// The device behind the port may be read now.
        #[inline]
        #[cfg_attr(not(target_arch = "x86"), track_caller)]
        pub unsafe fn $name(port: u16) -> $type {
            // SAFETY: passed on to the caller.
            (unsafe { arch::call::$name(u32::from(port)) }) as $type
        }
    )* };
}
input! { inl u32 "32"; inb u8 "8"; inw u16 "16"; }

/// A function that writes one value.
macro_rules! output {
    ($($name:ident $type:ident $bits:literal;)*) => { $(
        #[doc = concat!("Writes the ", $bits, " bits of `value` to `port`.")]
        ///
        /// # Safety
        ///
        /// The device behind the port may be written this value now.
        #[inline]
        #[cfg_attr(not(target_arch = "x86"), track_caller)]
        pub unsafe fn $name(port: u16, value: $type) {
            // SAFETY: passed on to the caller.
            unsafe { arch::call::$name(u32::from(value), u32::from(port)) };
        }
    )* };
}
output! { outl u32 "32"; outb u8 "8"; outw u16 "16"; }

/// A function that reads a run of values.
macro_rules! input_run {
    ($($name:ident $type:ident $bits:literal;)*) => { $(
        #[doc = concat!("Fills `values`, each with ", $bits, " bits from `port`.")]
        ///
        /// # Safety
        ///
        /// The device behind the port may be read so many times now.
        #[inline]
        #[cfg_attr(not(target_arch = "x86"), track_caller)]
        pub unsafe fn $name(port: u16, values: &mut [$type]) {
            let (to, count) = (arch::linear(values.as_mut_ptr()), values.len() as u32);
            // SAFETY: the slice may be written; the device is the caller's.
            unsafe { arch::call::$name(to, u32::from(port), count) };
        }
    )* };
}
input_run! { insl u32 "32"; insb u8 "8"; insw u16 "16"; }

/// A function that writes a run of values.
macro_rules! output_run {
    ($($name:ident $type:ident $bits:literal;)*) => { $(
        #[doc = concat!("Writes all of `values`, ", $bits, " bits each, to `port`.")]
        ///
        /// # Safety
        ///
        /// The device behind the port may be written these values now.
        #[inline]
        #[cfg_attr(not(target_arch = "x86"), track_caller)]
        pub unsafe fn $name(port: u16, values: &[$type]) {
            let (from, count) = (arch::linear(values.as_ptr()), values.len() as u32);
            // SAFETY: the slice may be read; the device is the caller's.
            unsafe { arch::call::$name(from, u32::from(port), count) };
        }
    )* };
}
output_run! { outsl u32 "32"; outsb u8 "8"; outsw u16 "16"; }

/// Lets user code use ports, or no longer: the I/O privilege level, in bits 13 and 12 of EAX.
///
/// ```no_run
/// use paravirt_vmi::abi::flags::IoplMask;
///
/// let everything = IoplMask::from_level(3).unwrap();
/// // SAFETY: the task that runs next is trusted with every port.
/// unsafe { paravirt_vmi::port::set_iopl(everything) };
/// ```
///
/// Under a hypervisor, the only way to do so: `popfd` and `iretd` leave the level alone there. It concerns
/// this processor, and is switched with the task. It never gives user code influence on the interrupt flag
/// under a hypervisor; natively level 3 does. Source: facts sheet, section 8.7.
///
/// # Safety
///
/// The user code that runs next on this processor may be trusted with what the level gives it.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub unsafe fn set_iopl(mask: IoplMask) {
    // SAFETY: passed on to the caller.
    unsafe { arch::call::set_iopl_mask(mask.bits()) };
}

/// Waits for about the length of an ISA bus cycle, between two accesses to a slow device.
#[inline]
#[cfg_attr(not(target_arch = "x86"), track_caller)]
pub fn io_delay() {
    // SAFETY: port 80 shows codes of the power-on test and has no other effect.
    unsafe { arch::call::io_delay() };
}
