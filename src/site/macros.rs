//! The macros that emit a site and its record.
//!
//! They expand to string literals made of assembler directives alone, so they can stand in `asm!`,
//! `global_asm!` and naked functions, in Intel and in AT&T syntax.

/// The call's number from its row.
#[doc(hidden)]
#[macro_export]
macro_rules! __call_number {
    ({ $number:literal $($row:tt)* }) => {
        $number
    };
}

/// A native form as a value.
#[doc(hidden)]
#[macro_export]
macro_rules! __form_value {
    ($call:ident, $kind:ident, stub) => {
        $crate::site::NativeForm {
            call: $crate::abi::Call::$call,
            kind: $crate::site::SiteKind::$kind,
            code: $crate::site::NativeCode::Stub,
        }
    };
    ($call:ident, $kind:ident, $($byte:literal),+) => {
        $crate::site::NativeForm {
            call: $crate::abi::Call::$call,
            kind: $crate::site::SiteKind::$kind,
            code: $crate::site::NativeCode::Inline(&[$($byte),+]),
        }
    };
}

/// A native form as assembler text.
#[doc(hidden)]
#[macro_export]
macro_rules! __form_text {
    ($call:ident, $kind:ident, stub) => {
        concat!(".byte 0xe8\n.long __paravirt_vmi_native_", stringify!($call), " - . - 4")
    };
    ($call:ident, $kind:ident, $first:literal $(, $byte:literal)*) => {
        concat!(".byte ", stringify!($first) $(, ", ", stringify!($byte))*)
    };
}

/// A site of the given call and its record, as assembler text.
#[cfg(not(feature = "indirect"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    ($call:ident) => {
        concat!(
            "771: ",
            $crate::__native_form!($call => __form_text),
            "\n",
            // "R" keeps the record when the linker collects garbage; a C identifier as name makes
            // the linker define the bounds
            ".pushsection vmi_sites, \"aR\", @progbits\n",
            ".long 771b - .\n",
            ".byte ",
            $crate::abi::with_call!($call => $crate::__call_number),
            "\n.popsection\n",
        )
    };
}

/// A call of the given number through the table of the `indirect` build, as assembler text.
#[cfg(feature = "indirect")]
#[doc(hidden)]
#[macro_export]
macro_rules! __site {
    ($call:ident) => {
        concat!(
            // call/jmp dword ptr ss:[disp32]; SS because the segments of CS and SS are all that
            // calls 29 to 34 may use
            ".byte 0x36, 0xff, ",
            $crate::__native_form!($call => __form_branch),
            "\n.long __paravirt_vmi_calls + 4 * ",
            $crate::abi::with_call!($call => $crate::__call_number),
            "\n",
        )
    };
}

/// The stub that holds an inline native form, as assembler text.
#[cfg(feature = "indirect")]
#[doc(hidden)]
#[macro_export]
macro_rules! __form_stub {
    ($call:ident, $kind:ident, stub) => {
        ""
    };
    ($call:ident, FallThrough, $($byte:literal),+) => {
        concat!(
            "__paravirt_vmi_native_",
            stringify!($call),
            ": ",
            $crate::__form_text!($call, FallThrough, $($byte),+),
            // the shadow of `sti` must not cover `ret`: TCG loses the interrupt then
            "\nnop\nret\n",
        )
    };
    ($call:ident, NoReturn, $($byte:literal),+) => {
        concat!(
            "__paravirt_vmi_native_",
            stringify!($call),
            ": ",
            $crate::__form_text!($call, NoReturn, $($byte),+),
            "\n__paravirt_vmi_calling_",
            stringify!($call),
            // call dword ptr ss:[disp32]
            ": .byte 0x36, 0xff, 0x15\n.long __paravirt_vmi_targets + 4 * ",
            $crate::abi::with_call!($call => $crate::__call_number),
            "\nint3\n",
        )
    };
}

/// The ModRM byte that calls or jumps through memory, by kind of site.
#[cfg(feature = "indirect")]
#[doc(hidden)]
#[macro_export]
macro_rules! __form_branch {
    ($call:ident, FallThrough, $($code:tt)+) => {
        "0x15"
    };
    ($call:ident, NoReturn, $($code:tt)+) => {
        "0x25"
    };
}

/// A site that returns through the interrupt frame at `[esp]`, as assembler text.
///
/// Natively `iretd`; patched, call 33 reached by a call or a jump, which discards what a call pushed.
/// For the kernel's own assembly: `global_asm!` and naked functions.
///
/// The frame is EIP, CS, EFLAGS, then ESP and SS when it leads to another ring, then ES, DS, FS and GS
/// when it leads to virtual-8086 mode. EIP, CS, EFLAGS.IF and the stack are loaded atomically; pending
/// interrupts are taken on the way if EFLAGS.IF is set. IOPL is not restored under a hypervisor.
///
/// The caller owes a flat SS and CS, and to user mode a frame with IF = 1. DS, ES, FS and GS may already
/// be the user's. Source: facts sheet, section 8.5.
///
/// ```
/// // the end of an interrupt entry
/// const LEAVE: &str = concat!("popad\n", "add esp, 4\n", paravirt_vmi::iret_site!());
/// assert!(LEAVE.starts_with("popad"));
/// ```
#[macro_export]
macro_rules! iret_site {
    () => {
        $crate::__site!(IRET)
    };
}

/// A site that returns to user code at EDX with the stack ECX, as assembler text.
///
/// Natively `sti; sysexit`, without a window between the two; patched, call 34 reached by a call or a
/// jump. For the kernel's own assembly: `global_asm!` and naked functions.
///
/// The caller owes flat CS and SS, and natively the MSR IA32_SYSENTER_CS. Source: facts sheet,
/// section 8.6.
///
/// ```
/// const LEAVE: &str = concat!("mov edx, eax\n", paravirt_vmi::sysexit_site!());
/// assert!(LEAVE.starts_with("mov"));
/// ```
#[macro_export]
macro_rules! sysexit_site {
    () => {
        $crate::__site!(SYSEXIT)
    };
}
