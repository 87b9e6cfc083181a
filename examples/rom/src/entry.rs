//! `entry!`: the form of every call's code in the image.
//!
//! In generation 3.0 the code lies anywhere, and the relocation table leads to it. In 13.x it lies in
//! the call's slot; code that does not fit there is marked `far`, lies elsewhere, and the slot jumps to
//! it. The linker puts the slots in order, each 32 bytes long; `cargo xtask rom` checks that each call
//! is reached through its own.

/// Emits one call's code, as the symbol `vmi_NAME`.
///
/// Meant to be handed a row by `with_call!`:
/// `with_call!(CALL => entry, [instructions] operands;)`, or `far [instructions]`. The number and the
/// name come from the row.
#[cfg(not(legacy))]
macro_rules! entry {
    (far $($rest:tt)*) => { entry!($($rest)*); };
    ([$($line:expr),+] $($operand:ident = const $value:expr)? ;
     { $number:literal $constant:ident $name:literal $($row:tt)* }) => {
        core::arch::global_asm!(
            ".pushsection .rom.text, \"ax\", @progbits",
            ".balign 16, 0xCC",
            function!($name, trace!($number), $($line),+),
            ".popsection",
            $($operand = const $value)?
        );
    };
}

/// As above, with the slot number of the row.
#[cfg(legacy)]
macro_rules! entry {
    (far [$($line:expr),+] $($operand:ident = const $value:expr)? ;
     { $number:literal $constant:ident $name:literal $($row:tt)* }) => {
        slot_entry!(far $name, crate::slot::of(paravirt_vmi_abi::Call::$constant),
            [$($line),+] $($operand = const $value)?);
    };
    ([$($line:expr),+] $($operand:ident = const $value:expr)? ;
     { $number:literal $constant:ident $name:literal $($row:tt)* }) => {
        slot_entry!($name, crate::slot::of(paravirt_vmi_abi::Call::$constant),
            [$($line),+] $($operand = const $value)?);
    };
}

/// Emits the code of one slot, as the symbol `vmi_NAME`.
#[cfg(legacy)]
macro_rules! slot_entry {
    (far $name:literal, $slot:expr, [$($line:expr),+] $($operand:ident = const $value:expr)?) => {
        core::arch::global_asm!(
            ".pushsection .rom.slot.{slot}, \"ax\", @progbits",
            ".balign 32, 0xCC",
            concat!("jmp vmi_", $name),
            ".popsection",
            ".pushsection .rom.text, \"ax\", @progbits",
            ".balign 16, 0xCC",
            function!($name, trace!("{slot}"), $($line),+),
            ".popsection",
            slot = const $slot,
            $($operand = const $value)?
        );
    };
    ($name:literal, $slot:expr, [$($line:expr),+] $($operand:ident = const $value:expr)?) => {
        core::arch::global_asm!(
            ".pushsection .rom.slot.{slot}, \"ax\", @progbits",
            ".balign 32, 0xCC",
            function!($name, trace!("{slot}"), $($line),+),
            ".popsection",
            slot = const $slot,
            $($operand = const $value)?
        );
    };
}

/// The text of a function with the symbol `vmi_NAME`.
macro_rules! function {
    ($name:literal, $($line:expr),+) => {
        concat!(
            ".globl vmi_", $name, "\n",
            ".type vmi_", $name, ", @function\n",
            "vmi_", $name, ":\n",
            $($line, "\n",)+
            ".size vmi_", $name, ", . - vmi_", $name,
        )
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

/// Writes the PAE entry EDX:EAX to the address ECX.
///
/// Another processor may walk the table at any time and must never see a present entry of which one
/// half is old. A present entry is taken away first, its high word changes while it is not present,
/// and the low word makes it present. Clearing starts with the low word.
#[cfg(all_calls)]
macro_rules! set_pxe_long {
    () => {
        concat!(
            "test al, 1\n jz 2f\n",
            "mov dword ptr [ecx], 0\n mov [ecx + 4], edx\n mov [ecx], eax\n ret\n",
            "2: mov [ecx], eax\n mov [ecx + 4], edx\n ret",
        )
    };
}
