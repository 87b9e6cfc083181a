//! `entry!`: the form of every call's code in the image.

/// Emits one call's code, as the symbol `vmi_NAME`.
///
/// Meant to be handed a row by `with_call!`:
/// `with_call!(CALL => entry, [instructions] operands)`. The number and the name come from the row.
macro_rules! entry {
    ([$($line:literal),+] $($operand:ident = const $value:expr)? ;
     { $number:literal $constant:ident $name:literal $($row:tt)* }) => {
        core::arch::global_asm!(
            ".pushsection .rom.text, \"ax\", @progbits",
            ".balign 16, 0xCC",
            concat!(".globl vmi_", $name),
            concat!(".type vmi_", $name, ", @function"),
            concat!("vmi_", $name, ":"),
            trace!($number),
            $($line,)+
            concat!(".size vmi_", $name, ", . - vmi_", $name),
            ".popsection",
            $($operand = const $value)?
        );
    };
}

/// The instructions that report a call: its number to port 0xE9.
///
/// Every register and flag is kept, and only the stack segment is used: at IRET and SYSEXIT the
/// registers already hold user values, and the data segments may be those of the user.
#[cfg(feature = "trace")]
macro_rules! trace {
    ($number:literal) => {
        concat!("push eax\n mov al, ", $number, "\n out 0xE9, al\n pop eax")
    };
}

/// Nothing: this flavour does not report calls.
#[cfg(not(feature = "trace"))]
macro_rules! trace {
    ($number:literal) => {
        ""
    };
}
