//! Numbers as data: macros that define constants, flags and open enumerations together with their
//! description for [`render`](crate::render).

/// Related constants: one Rust type, or the constants of one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConstantGroup {
    /// What the C name of each constant starts with.
    pub prefix: &'static str,
    /// The group's documentation, line by line as in the source.
    pub documentation: &'static str,
    /// The constants in the order of the source.
    pub constants: &'static [Constant],
}

/// One named number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Name in Rust; the C name is the group's prefix followed by it.
    pub name: &'static str,
    /// Documentation, line by line as in the source.
    pub documentation: &'static str,
    /// Value.
    pub value: u32,
    /// The value as the source writes it, for example `0xFFFF_F000`.
    pub literal: &'static str,
}

/// Describes one constant.
macro_rules! constant {
    ($name:ident, $value:literal, $($doc:literal)*) => {
        $crate::constant::Constant {
            name: stringify!($name),
            documentation: concat!($($doc, "\n"),*),
            value: $value,
            literal: stringify!($value),
        }
    };
}

/// Defines the constants of a module and their [`ConstantGroup`].
macro_rules! constants {
    (
        $(#[doc = $doc:literal])*
        pub static $group:ident = $prefix:literal;
        $(
            $(#[doc = $constant_doc:literal])*
            pub const $constant:ident: $type:ty = $value:literal;
        )+
    ) => {
        $(#[doc = $doc])*
        pub static $group: $crate::constant::ConstantGroup = $crate::constant::ConstantGroup {
            prefix: $prefix,
            documentation: concat!($($doc, "\n"),*),
            constants: &[$(constant!($constant, $value, $($constant_doc)*)),+],
        };
        $(
            $(#[doc = $constant_doc])*
            pub const $constant: $type = $value;
        )+
    };
}

/// Defines a set of flags in a 32-bit word and its [`ConstantGroup`]. The optional part names the
/// values that have no bit set.
macro_rules! flags {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident = $prefix:literal {
            $(
                $(#[doc = $flag_doc:literal])*
                const $flag:ident = $value:literal;
            )+
        }
        $(zero {
            $(
                $(#[doc = $zero_doc:literal])*
                const $zero:ident;
            )+
        })?
    ) => {
        bitflags::bitflags! {
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub struct $name: u32 {
                $(
                    $(#[doc = $flag_doc])*
                    const $flag = $value;
                )+
            }
        }

        impl $name {
            $($(
                $(#[doc = $zero_doc])*
                pub const $zero: Self = Self::empty();
            )+)?

            /// The flags as data.
            pub const CONSTANTS: &'static $crate::constant::ConstantGroup =
                &$crate::constant::ConstantGroup {
                    prefix: $prefix,
                    documentation: concat!($($doc, "\n"),*),
                    constants: &[
                        $($(constant!($zero, 0, $($zero_doc)*),)+)?
                        $(constant!($flag, $value, $($flag_doc)*)),+
                    ],
                };
        }
    };
}

/// Defines an open enumeration, its names and its [`ConstantGroup`]: a value of the other side that
/// has no name is kept as it is.
macro_rules! open_enum {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident($bits:ty) $(derive($($derive:path),+))? = $prefix:literal {
            $(
                $(#[doc = $value_doc:literal])*
                const $variant:ident = $value:literal;
            )+
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash $($(, $derive)+)?)]
        #[repr(transparent)]
        pub struct $name(
            /// The value.
            pub $bits,
        );

        impl $name {
            $(
                $(#[doc = $value_doc])*
                pub const $variant: Self = Self($value);
            )+

            /// The named values as data.
            pub const CONSTANTS: &'static $crate::constant::ConstantGroup =
                &$crate::constant::ConstantGroup {
                    prefix: $prefix,
                    documentation: concat!($($doc, "\n"),*),
                    constants: &[$(constant!($variant, $value, $($value_doc)*)),+],
                };

            /// The ABI's name of the value, or `None` if it has none.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some(stringify!($variant)),)+
                    _ => None,
                }
            }
        }

        /// Writes the name, or the number of a value that has no name.
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{:#04x}", self.0),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}
