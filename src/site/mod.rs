//! What a patch site is, what its record says, and the macros that emit both.
//!
//! A site is a run of bytes in the kernel's text that holds the native form of one call and can be
//! overwritten by a call into the ROM. The assembly that emits the site also emits its record into
//! the section `vmi_sites`, so a site that was inlined twice is two sites. The native bytes of each
//! call are fixed: [`NATIVE_FORMS`] is both what the macros emit and what the patcher compares with
//! before it writes.
//!
//! # Lengths and padding
//!
//! A site has room for `E8 rel32` or `E9 rel32`. The padding is code that a 386 decodes. EnableInterrupts
//! and Halt are padded by redundant prefixes in front, because a filler behind `sti` would use up its
//! shadow, the one instruction during which no interrupt is taken. What follows an instruction that
//! does not come back is filled with `int3`.
//!
//! # Clobbers
//!
//! Around a site only the clobbers of the call table hold, in its native form as well: a kernel that
//! relied on more would break when patched. Source: facts sheet, sections 5.2 and 6.2.

mod macros;

use core::fmt;
use core::ops::Range;

use paravirt_vmi_abi::Call;
use static_assertions::const_assert;
use zerocopy::little_endian::{I32, U16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The longest site, in bytes.
pub const MAX_SITE_LENGTH: usize = 8;

/// The length of `E8 rel32` and `E9 rel32`, in bytes: no site is shorter.
pub const BRANCH_LENGTH: usize = 5;

/// A row of the section `vmi_sites`: 8 bytes, without alignment.
///
/// The address is relative to the record, so the table is valid at whatever base the kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SiteRecord {
    /// Address of the site minus address of this record.
    pub offset: I32,
    /// Number of the call in generation 3.0.
    pub call: U16,
    /// Length of the site in bytes.
    pub length: u8,
    /// What may stand at the site.
    pub kind: SiteKind,
}
const_assert!(size_of::<SiteRecord>() == 8);

/// What may stand at a site.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(transparent)]
pub struct SiteKind(pub u8);

impl SiteKind {
    /// Control continues behind the site: native code, a call, or nothing.
    pub const FALL_THROUGH: Self = Self(1);
    /// Control does not come back: native code, a call, or a jump.
    pub const NO_RETURN: Self = Self(2);
}

impl fmt::Debug for SiteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::FALL_THROUGH => f.write_str("FALL_THROUGH"),
            Self::NO_RETURN => f.write_str("NO_RETURN"),
            Self(other) => write!(f, "SiteKind({other:#04x})"),
        }
    }
}

/// The native form of a call: what its sites hold until they are patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeForm {
    /// The call.
    pub call: Call,
    /// What may stand at the call's sites.
    pub kind: SiteKind,
    /// The machine code, of the length of a site.
    pub bytes: &'static [u8],
}

impl NativeForm {
    /// The native form of `call`, or `None` if the crate has no sites for it.
    pub fn of(call: Call) -> Option<&'static Self> {
        NATIVE_FORMS.iter().find(|form| form.call == call)
    }
}

/// The machine code of each call that has sites, passed to a callback macro of this crate.
///
/// `__native_form!(CALL => callback)` expands to `$crate::callback! { kind_constant, bytes }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __native_form {
    // ds cli: `cli` behind four redundant prefixes is one instruction
    (DISABLE_INTERRUPTS => $callback:ident) => {
        $crate::$callback! { FALL_THROUGH, 0x3e, 0x3e, 0x3e, 0x3e, 0xfa }
    };
    // ds sti
    (ENABLE_INTERRUPTS => $callback:ident) => {
        $crate::$callback! { FALL_THROUGH, 0x3e, 0x3e, 0x3e, 0x3e, 0xfb }
    };
    // pushfd; pop eax; lea esi, [esi + 0]
    (GET_INTERRUPT_MASK => $callback:ident) => {
        $crate::$callback! { FALL_THROUGH, 0x9c, 0x58, 0x8d, 0x76, 0x00 }
    };
    // cli; test ah, 2; jz behind; sti: looks at bit 9 only, and needs no popf, which would do
    // nothing outside ring 0
    (SET_INTERRUPT_MASK => $callback:ident) => {
        $crate::$callback! { FALL_THROUGH, 0xfa, 0xf6, 0xc4, 0x02, 0x74, 0x01, 0xfb }
    };
    // iretd
    (IRET => $callback:ident) => {
        $crate::$callback! { NO_RETURN, 0xcf, 0xcc, 0xcc, 0xcc, 0xcc }
    };
    // sti; sysexit
    (SYSEXIT => $callback:ident) => {
        $crate::$callback! { NO_RETURN, 0xfb, 0x0f, 0x35, 0xcc, 0xcc }
    };
    // ds sti; hlt
    (HALT => $callback:ident) => {
        $crate::$callback! { FALL_THROUGH, 0x3e, 0x3e, 0x3e, 0xfb, 0xf4 }
    };
}

/// A [`NativeForm`] from the name of its call.
macro_rules! native_form {
    ($call:ident) => {{
    const FORM: (SiteKind, &[u8]) = $crate::__native_form!($call => __form_value);
        const_assert!(FORM.1.len() >= BRANCH_LENGTH && FORM.1.len() <= MAX_SITE_LENGTH);
        NativeForm { call: Call::$call, kind: FORM.0, bytes: FORM.1 }
    }};
}
/// The calls that have sites, in order of number.
pub static NATIVE_FORMS: &[NativeForm] = &[
    native_form!(ENABLE_INTERRUPTS),
    native_form!(DISABLE_INTERRUPTS),
    native_form!(GET_INTERRUPT_MASK),
    native_form!(SET_INTERRUPT_MASK),
    native_form!(IRET),
    native_form!(SYSEXIT),
    native_form!(HALT),
];

/// A site that a record names, checked against the forms that this crate emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Linear address of the site's first byte.
    pub address: u32,
    /// The form that the site must hold while it is native.
    pub form: &'static NativeForm,
}

/// The site records of one kernel.
#[derive(Clone, Copy, Debug)]
pub struct SiteTable<'a> {
    address: u32,
    records: &'a [SiteRecord],
}

impl<'a> SiteTable<'a> {
    /// The records found at linear address `address`.
    pub const fn new(address: u32, records: &'a [SiteRecord]) -> Self {
        Self { address, records }
    }

    /// The records that `bytes`, found at linear address `address`, consist of.
    ///
    /// # Errors
    ///
    /// If the bytes are not a whole number of records.
    pub fn from_bytes(address: u32, bytes: &'a [u8]) -> Result<Self, RecordError> {
        let defect = RecordDefect::TableLength { length: bytes.len() };
        let records = <[SiteRecord]>::ref_from_bytes(bytes)
            .map_err(|_| RecordError { record_address: address, defect })?;
        Ok(Self { address, records })
    }

    /// The number of records.
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The sites in the order of their records.
    ///
    /// # Errors
    ///
    /// An item is an error if its record is not one that this crate emits.
    pub fn iter(&self) -> impl Iterator<Item = Result<Site, RecordError>> + use<'a> {
        let table = self.address;
        self.records.iter().enumerate().map(move |(index, record)| {
            // The table is as long as memory at most, so the address arithmetic wraps like the
            // processor's.
            let record_address = table.wrapping_add((index * size_of::<SiteRecord>()) as u32);
            let defect = |defect| RecordError { record_address, defect };
            let number = record.call.get();
            let call =
                Call::from_number(number.into()).ok_or(defect(RecordDefect::UnknownCall { number }))?;
            let form = NativeForm::of(call).ok_or(defect(RecordDefect::NoForm { call }))?;
            if record.kind != form.kind {
                return Err(defect(RecordDefect::Kind { call, found: record.kind }));
            }
            if usize::from(record.length) != form.bytes.len() {
                return Err(defect(RecordDefect::Length { call, found: record.length }));
            }
            let address = record_address.wrapping_add_signed(record.offset.get());
            Ok(Site { address, form })
        })
    }
}

impl Site {
    /// The addresses of the site's bytes; the end wraps at the top of the address space.
    pub fn range(&self) -> Range<u32> {
        self.address..self.address.wrapping_add(self.form.bytes.len() as u32)
    }
}

/// A site record that this crate does not emit: the section is damaged, or not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Linear address of the record.
    pub record_address: u32,
    /// What is wrong with it.
    pub defect: RecordDefect,
}

/// What is wrong with a site record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordDefect {
    /// The section is not a whole number of records.
    TableLength {
        /// Its length in bytes.
        length: usize,
    },
    /// The interface has no call of this number.
    UnknownCall {
        /// The number found.
        number: u16,
    },
    /// The crate has no sites for this call.
    NoForm {
        /// The call found.
        call: Call,
    },
    /// Sites of this call are of another kind.
    Kind {
        /// The call found.
        call: Call,
        /// The kind found.
        found: SiteKind,
    },
    /// Sites of this call have another length.
    Length {
        /// The call found.
        call: Call,
        /// The length found, in bytes.
        found: u8,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "site record at {:08x}: ", self.record_address)?;
        match self.defect {
            RecordDefect::TableLength { length } => write!(
                f,
                "the section vmi_sites has {length} bytes, which is not a multiple of {}",
                size_of::<SiteRecord>()
            ),
            RecordDefect::UnknownCall { number } => write!(f, "no call has the number {number}"),
            RecordDefect::NoForm { call } => write!(f, "{call} has no sites"),
            RecordDefect::Kind { call, found } => {
                write!(f, "{found:?} is not the kind of a {call} site")
            }
            RecordDefect::Length { call, found } => {
                write!(f, "{found} bytes is not the length of a {call} site")
            }
        }
    }
}

impl core::error::Error for RecordError {}
