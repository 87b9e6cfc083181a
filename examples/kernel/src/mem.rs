//! The memory functions that `core` and the compiler expect from their environment.
//!
//! # Safety
//!
//! Each keeps the contract of the C function of its name. They are string instructions, because a loop
//! in Rust would be compiled to a call of the very function that it implements. ESI is no operand of `asm!`
//! on this architecture, so it is exchanged in and out.
#![allow(unsafe_code)]

use core::arch::asm;

/// Copies `count` bytes between areas that do not overlap.
///
/// # Safety
///
/// As `memcpy` in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's contract; DF is clear by the ABI.
    unsafe {
        asm!(
            "xchg esi, edx",
            "rep movsb",
            "xchg esi, edx",
            inout("ecx") count => _,
            inout("edx") from => _,
            inout("edi") to => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Copies `count` bytes between areas that may overlap.
///
/// # Safety
///
/// As `memmove` in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= count {
        // SAFETY: the caller's contract, and copying upwards never reads a byte already written.
        return unsafe { memcpy(to, from, count) };
    }
    let last = count.wrapping_sub(1);
    // SAFETY: the caller's contract; downwards, from the last byte, as `to` lies above `from`. The
    // direction flag is clear again at the end.
    unsafe {
        asm!(
            "xchg esi, edx",
            "std",
            "rep movsb",
            "cld",
            "xchg esi, edx",
            inout("ecx") count => _,
            inout("edx") from.wrapping_add(last) => _,
            inout("edi") to.wrapping_add(last) => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Sets `count` bytes to the low byte of `value`.
///
/// # Safety
///
/// As `memset` in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller's contract; DF is clear by the ABI.
    unsafe {
        asm!(
            "rep stosb",
            in("al") value as u8,
            inout("ecx") count => _,
            inout("edi") to => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Compares `count` bytes as unsigned numbers.
///
/// # Safety
///
/// As `memcmp` in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let (after_left, after_right): (*const u8, *const u8);
    if count == 0 {
        return 0;
    }
    // SAFETY: the caller's contract; DF is clear by the ABI. `count` is not 0, so the pointers move.
    unsafe {
        asm!(
            "xchg esi, edx",
            "repe cmpsb",
            "xchg esi, edx",
            inout("ecx") count => _,
            inout("edx") left => after_left,
            inout("edi") right => after_right,
            options(nostack, readonly),
        );
    }
    // SAFETY: the byte just before the pointer was compared, so it lies in the area.
    let left = unsafe { after_left.wrapping_sub(1).read() };
    // SAFETY: as above.
    let right = unsafe { after_right.wrapping_sub(1).read() };
    i32::from(left) - i32::from(right)
}

/// Compares `count` bytes; the result only says whether they differ.
///
/// # Safety
///
/// As `bcmp` in POSIX.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: the caller's contract.
    unsafe { memcmp(left, right, count) }
}

/// The number of bytes before the first zero byte.
///
/// # Safety
///
/// As `strlen` in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let after: *const u8;
    // SAFETY: the caller's contract; DF is clear by the ABI.
    unsafe {
        asm!(
            "repne scasb",
            in("al") 0_u8,
            inout("ecx") usize::MAX => _,
            inout("edi") text => after,
            options(nostack, readonly),
        );
    }
    after.addr() - text.addr() - 1
}
