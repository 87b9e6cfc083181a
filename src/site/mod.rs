//! What a patch site is, what its record says, and the macros that emit both.
//!
//! A site is a run of bytes in the kernel's text that holds the native form of one call and can be
//! overwritten by a call into the ROM. The assembly that emits the site also emits its record into
//! the section `vmi_sites`, so a site that was inlined twice is two sites. The native bytes of each
//! call are fixed: [`NATIVE_FORMS`] is both what the macros emit and what the patcher compares with
//! before it writes. Where one or two instructions are all, they are the site. Where more is needed, the
//! site calls the call's native stub.
//!
//! # Lengths and padding
//!
//! A site has room for `E8 rel32` or `E9 rel32`. Those of calls 29 to 31 have 8 bytes, so that one instruction
//! with an absolute operand and an SS prefix fits, such as a ROM may have in them.
//!
//! The padding is code that a 386 decodes. The calls of the interrupt flag and Halt are padded by redundant
//! prefixes in front: a padded `cli` is still one instruction, and a filler behind `sti` would use up its shadow,
//! the one instruction during which no interrupt is taken. What follows an instruction that does not come
//! back is filled with `int3`.
//!
//! # Clobbers
//!
//! Around a site only the clobbers of the call table hold, in its native form as well: a kernel that
//! relied on more would break when patched. Source: facts sheet, sections 5.2 and 6.2.

mod bytes;
mod form;
mod macros;

use core::fmt;
use core::ops::Range;

use paravirt_vmi_abi::Call;
use static_assertions::const_assert;
use zerocopy::little_endian::I32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::arch;

pub(crate) use bytes::CALL_REL32;
pub use bytes::SiteBytes;
pub use form::{NATIVE_FORMS, NativeCode, NativeForm};

/// The longest site, in bytes.
pub const MAX_SITE_LENGTH: usize = 8;

/// The length of `E8 rel32` and `E9 rel32`, in bytes: no site is shorter.
pub const BRANCH_LENGTH: usize = 5;

/// A row of the section `vmi_sites`: 5 bytes, without alignment.
///
/// The address is relative to the record, so the table is valid at whatever base the kernel runs. The length of
/// the site and what may stand there follow from the call: see [`NativeForm::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SiteRecord {
    /// Address of the site minus address of this record.
    pub offset: I32,
    /// Number of the call in generation 3.0.
    pub call: u8,
}
const_assert!(size_of::<SiteRecord>() == 5);
const_assert!(Call::COUNT <= u8::MAX as usize);

/// What may stand at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// Control continues behind the site: native code, a call, or nothing.
    FallThrough,
    /// Control does not come back: native code, a call, or a jump.
    NoReturn,
}

/// A site that a record names, checked against the forms that this crate emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Linear address of the site's first byte.
    pub address: u32,
    /// The form that the site must hold while it is native.
    pub form: &'static NativeForm,
    /// Linear address of the call's native stub; without meaning where the form is inline.
    pub stub: u32,
}

/// The addresses of the native stubs, by number of call; 0 where the native form is inline.
pub type StubTable = [u32; Call::COUNT];

/// The site records of one kernel.
#[derive(Clone, Copy, Debug)]
pub struct SiteTable<'a> {
    address: u32,
    records: &'a [SiteRecord],
    stubs: &'a StubTable,
}

impl<'a> SiteTable<'a> {
    /// The records found at linear address `address`, of a kernel with the given native stubs.
    pub const fn new(address: u32, records: &'a [SiteRecord], stubs: &'a StubTable) -> Self {
        Self { address, records, stubs }
    }

    /// The sites of the kernel that this is linked into; none with the feature `indirect`, nor on a host.
    ///
    /// ```
    /// use paravirt_vmi::site::SiteTable;
    ///
    /// # #[cfg(not(target_arch = "x86"))]
    /// assert!(SiteTable::linked().is_ok_and(|table| table.is_empty()));
    /// ```
    ///
    /// # Errors
    ///
    /// If the linker script puts something else into the section `vmi_sites`.
    pub fn linked() -> Result<SiteTable<'static>, RecordError> {
        let (address, records) = arch::site_records();
        SiteTable::from_bytes(address, records, arch::native_stubs())
    }

    /// The records that `bytes`, found at linear address `address`, consist of.
    ///
    /// # Errors
    ///
    /// If the bytes are not a whole number of records.
    pub fn from_bytes(address: u32, bytes: &'a [u8], stubs: &'a StubTable) -> Result<Self, RecordError> {
        let defect = RecordDefect::TableLength { length: bytes.len() };
        let records = <[SiteRecord]>::ref_from_bytes(bytes)
            .map_err(|_| RecordError { record_address: address, defect })?;
        Ok(Self { address, records, stubs })
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
        let (table, stubs) = (self.address, self.stubs);
        self.records.iter().enumerate().map(move |(index, record)| {
            // The table is as long as memory at most, so the address arithmetic wraps like the
            // processor's.
            let record_address = table.wrapping_add((index * size_of::<SiteRecord>()) as u32);
            let defect = |defect| RecordError { record_address, defect };
            let number = record.call;
            let call =
                Call::from_number(number.into()).ok_or(defect(RecordDefect::UnknownCall { number }))?;
            let form = NativeForm::of(call);
            let address = record_address.wrapping_add_signed(record.offset.get());
            let stub = stubs[call.number() as usize];
            Ok(Site { address, form, stub })
        })
    }
}

impl Site {
    /// The bytes that the site holds while it is native.
    pub fn native(&self) -> SiteBytes {
        match self.form.code {
            NativeCode::Inline(bytes) => SiteBytes::new(bytes),
            NativeCode::Stub => {
                let mut bytes = SiteBytes::new(&[0; BRANCH_LENGTH]);
                bytes.put_branch(CALL_REL32, self.address, self.stub);
                bytes
            }
        }
    }

    /// The addresses of the site's bytes; the end wraps at the top of the address space.
    pub fn range(&self) -> Range<u32> {
        self.address..self.address.wrapping_add(self.form.length() as u32)
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
        number: u8,
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
        }
    }
}

impl core::error::Error for RecordError {}
