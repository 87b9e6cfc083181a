//! The sites of the interrupt calls.
//!
//! Each function is made from its row of the call table: the arms of `site_function!` are the shapes
//! of calling convention that occur, and a row of another shape does not compile.
//!
//! # Safety
//!
//! A site is sound in both of its forms if its operands and clobbers are those of the call table and
//! its options claim no more: no `nomem`, because masking and unmasking are what keeps a handler's
//! accesses apart from other code, so no load or store may move across; no `preserves_flags`, because
//! the ROM may use the arithmetic flags; no `nostack`, because a call pushes its return address, and
//! a handler may run inside.
#![allow(unsafe_code)]

use core::arch::asm;

/// A function that consists of one site.
macro_rules! site_function {
    // nothing in, nothing out
    ($(#[$attribute:meta])* $name:ident,
     { $number:literal $call:ident $abi_name:literal $group:ident
       in() out() clobbers(flags) $($row:tt)* }) => {
        $(#[$attribute])*
        #[inline(always)]
        pub(crate) fn $name() {
            // SAFETY: the operands are those of the row; see the module.
            unsafe { asm!($crate::__site!($call)) }
        }
    };
    // nothing in, a result in EAX
    ($(#[$attribute:meta])* $name:ident,
     { $number:literal $call:ident $abi_name:literal $group:ident
       in() out(eax $result:ident) clobbers(eax flags) $($row:tt)* }) => {
        $(#[$attribute])*
        #[inline(always)]
        pub(crate) fn $name() -> u32 {
            let $result;
            // SAFETY: the operands are those of the row; see the module.
            unsafe { asm!($crate::__site!($call), out("eax") $result) }
            $result
        }
    };
    // an argument in EAX, nothing out
    ($(#[$attribute:meta])* $name:ident,
     { $number:literal $call:ident $abi_name:literal $group:ident
       in(eax $argument:ident) out() clobbers(flags) $($row:tt)* }) => {
        $(#[$attribute])*
        #[inline(always)]
        pub(crate) fn $name($argument: u32) {
            // SAFETY: the operands are those of the row; see the module.
            unsafe { asm!($crate::__site!($call), in("eax") $argument) }
        }
    };
    // nothing in, nothing out, the standard clobbers
    ($(#[$attribute:meta])* $name:ident,
     { $number:literal $call:ident $abi_name:literal $group:ident
       in() out() clobbers(eax ecx edx flags) $($row:tt)* }) => {
        $(#[$attribute])*
        #[inline(always)]
        pub(crate) fn $name() {
            // SAFETY: the operands are those of the row; see the module.
            unsafe { asm!($crate::__site!($call), out("eax") _, out("ecx") _, out("edx") _) }
        }
    };
}

paravirt_vmi_abi::with_call!(ENABLE_INTERRUPTS => site_function,
    /// Call 29. Natively the shadow of `sti` holds interrupts off for one more instruction; patched,
    /// they arrive inside.
    enable_interrupts,
);
paravirt_vmi_abi::with_call!(DISABLE_INTERRUPTS => site_function,
    /// Call 30.
    disable_interrupts,
);
paravirt_vmi_abi::with_call!(GET_INTERRUPT_MASK => site_function,
    /// Call 31. Only bit 9 of the result has a meaning.
    get_interrupt_mask,
);
paravirt_vmi_abi::with_call!(SET_INTERRUPT_MASK => site_function,
    /// Call 32. Only bit 9 of the argument has a meaning.
    set_interrupt_mask,
);
paravirt_vmi_abi::with_call!(HALT => site_function,
    /// Call 35.
    halt,
);
