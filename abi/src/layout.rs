//! Layout as data: the crate's `layout!` macro defines an ABI structure, proves its layout when the crate
//! is compiled, and describes it to [`render`](crate::render).
//!
//! Every field names its offset. For each structure the compiler checks that the size, the
//! alignment and every offset are the ones written down, that the fields follow each other without
//! a gap from the first byte to the last, and that each one has a type whose layout is the same on
//! every machine. The checks run for each target that the crate is built for.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A structure of the ABI that can describe its layout.
pub trait Layout {
    /// The description.
    const LAYOUT: &'static StructLayout;
}

/// What there is to know about the layout of one structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StructLayout {
    /// Name of the Rust type.
    pub name: &'static str,
    /// Tag of the C structure.
    pub c_name: &'static str,
    /// The type's documentation, line by line as in the source.
    pub documentation: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// The fields in order of offset.
    pub fields: &'static [FieldLayout],
}

impl StructLayout {
    /// Whether the fields follow each other without gap or overlap from byte 0 to the last byte.
    pub const fn is_complete(&self) -> bool {
        let mut end = 0;
        let mut index = 0;
        while index < self.fields.len() {
            let field = &self.fields[index];
            if field.offset != end {
                return false;
            }
            end += field.size;
            index += 1;
        }
        end == self.size
    }
}

/// What there is to know about the layout of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLayout {
    /// Name, in Rust and in C.
    pub name: &'static str,
    /// The field's documentation, line by line as in the source.
    pub documentation: &'static str,
    /// Offset from the start of the structure, in bytes.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
    /// The C type of the field, or of its elements if it is an array.
    pub c_type: &'static str,
    /// Number of elements if the field is an array.
    pub elements: Option<usize>,
}

/// A type that a field of an ABI structure may have: alignment 1, a fixed byte order, every bit
/// pattern valid.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not be a field of an ABI structure",
    label = "its size, alignment or byte order depends on the machine that compiles it",
    note = "use `u8`, an array, or a type of `zerocopy::little_endian`"
)]
pub(crate) trait FieldType: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned {
    /// The C type of the field, or of its elements if it is an array.
    const C_TYPE: &'static str;
    /// Number of elements if the field is an array.
    const ELEMENTS: Option<usize> = None;
}

impl FieldType for u8 {
    const C_TYPE: &'static str = "uint8_t";
}

impl FieldType for U16 {
    const C_TYPE: &'static str = "uint16_t";
}

impl FieldType for U32 {
    const C_TYPE: &'static str = "uint32_t";
}

impl FieldType for U64 {
    const C_TYPE: &'static str = "uint64_t";
}

impl<const N: usize> FieldType for [u8; N] {
    const C_TYPE: &'static str = u8::C_TYPE;
    const ELEMENTS: Option<usize> = Some(N);
}

/// Defines one ABI structure: its Rust type, the proofs of its layout and its [`Layout`].
///
/// ```text
/// layout! {
///     /// Documentation.
///     pub struct Name = "c_tag", size 0x06, align 1 {
///         /// Documentation.
///         0x00 limit: U16,
///         /// Documentation.
///         0x02 base: U32,
///     }
/// }
/// ```
macro_rules! layout {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident = $c_name:literal, size $size:literal, align $align:literal {
            $(
                $(#[doc = $field_doc:literal])*
                $offset:literal $field:ident: $type:ty,
            )+
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(
            Clone,
            Copy,
            Debug,
            PartialEq,
            Eq,
            zerocopy::FromBytes,
            zerocopy::IntoBytes,
            zerocopy::KnownLayout,
            zerocopy::Immutable,
            zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])*
                #[doc = concat!("\n\nOffset ", stringify!($offset), ".")]
                pub $field: $type,
            )+
        }

        impl $crate::layout::Layout for $name {
            const LAYOUT: &'static $crate::layout::StructLayout = &$crate::layout::StructLayout {
                name: stringify!($name),
                c_name: $c_name,
                documentation: concat!($($doc, "\n"),*),
                size: size_of::<$name>(),
                align: align_of::<$name>(),
                fields: &[$(
                    $crate::layout::FieldLayout {
                        name: stringify!($field),
                        documentation: concat!($($field_doc, "\n"),*),
                        offset: core::mem::offset_of!($name, $field),
                        size: size_of::<$type>(),
                        c_type: <$type as $crate::layout::FieldType>::C_TYPE,
                        elements: <$type as $crate::layout::FieldType>::ELEMENTS,
                    }
                ),+],
            };
        }

        const _: () = {
            assert!(
                size_of::<$name>() == $size,
                concat!("the size of ", stringify!($name), " is not ", stringify!($size)),
            );
            assert!(
                align_of::<$name>() == $align,
                concat!("the alignment of ", stringify!($name), " is not ", stringify!($align)),
            );
            $(
                assert!(
                    core::mem::offset_of!($name, $field) == $offset,
                    concat!(
                        stringify!($name), ".", stringify!($field),
                        " is not at offset ", stringify!($offset),
                    ),
                );
            )+
            assert!(
                <$name as $crate::layout::Layout>::LAYOUT.is_complete(),
                concat!("the fields of ", stringify!($name), " leave a gap or are out of order"),
            );
        };

        static_assertions::assert_impl_all!(
            $name:
            zerocopy::FromBytes,
            zerocopy::IntoBytes,
            zerocopy::KnownLayout,
            zerocopy::Immutable,
            zerocopy::Unaligned,
        );
    };
}
