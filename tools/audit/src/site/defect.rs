//! [`Defect`]: what is wrong with a site.

use std::fmt;

use paravirt_vmi::site::RecordError;
use paravirt_vmi_abi::Call;

/// Something that is wrong with a site or its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The index of the record in the section `vmi_sites`.
    pub index: usize,
    /// Linear address of the record.
    pub record: u32,
    /// Linear address of the site, and its call, if the record names one.
    pub site: Option<(u32, Call)>,
    /// What is wrong.
    pub kind: DefectKind,
}

/// What is wrong with a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefectKind {
    /// The record is not one that the guest crate emits.
    Record(RecordError),
    /// The site does not lie in a section with instructions.
    OutsideCode,
    /// The site does not hold the native form of its call.
    NotNative {
        /// The native form.
        expected: Vec<u8>,
        /// The bytes found.
        found: Vec<u8>,
    },
    /// The site should call a native stub, and what it calls is not code.
    StubOutsideCode {
        /// Where it leads.
        target: u32,
    },
    /// No symbol tells where the native stubs are, and two sites of one call lead to different ones.
    StubsDiffer {
        /// Where the site leads.
        target: u32,
        /// Where the first site of the call leads.
        first: u32,
    },
    /// A filler in the site is no instruction of the chosen processor.
    Padding {
        /// The filler.
        instruction: String,
        /// The processor.
        cpu: &'static str,
    },
    /// The site's native instructions go on where its kind says that they do not, or the other way round: a jump
    /// would not be the same.
    Flow,
    /// Two sites have bytes in common.
    Overlap {
        /// The index of the other's record.
        other: usize,
        /// The address of the other.
        address: u32,
    },
    /// A branch leads into the middle of the site.
    BranchInto {
        /// The address of the branch.
        from: u32,
        /// The address that it leads to.
        target: u32,
    },
    /// A symbol names a place in the middle of the site.
    SymbolInto {
        /// The symbol.
        name: String,
        /// Its address.
        address: u32,
    },
}

impl DefectKind {
    /// A word for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::OutsideCode => "outside-code",
            Self::NotNative { .. } => "not-native",
            Self::StubOutsideCode { .. } => "stub-outside-code",
            Self::StubsDiffer { .. } => "stubs-differ",
            Self::Padding { .. } => "padding",
            Self::Flow => "flow",
            Self::Overlap { .. } => "overlap",
            Self::BranchInto { .. } => "branch-into",
            Self::SymbolInto { .. } => "symbol-into",
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}", self.index)?;
        match self.site {
            Some((address, call)) => write!(f, ", {call} site at {address:08x}: {}", self.kind),
            None => write!(f, ": {}", self.kind),
        }
    }
}

impl fmt::Display for DefectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::OutsideCode => f.write_str("not in a section with instructions"),
            Self::NotNative { expected, found } => {
                write!(f, "found {}, expected {}", Hex(found), Hex(expected))
            }
            Self::StubOutsideCode { target } => {
                write!(f, "calls {target:08x}, where there is no code, instead of a native stub")
            }
            Self::StubsDiffer { target, first } => {
                write!(f, "calls {target:08x}, and the first site of this call {first:08x}")
            }
            Self::Padding { instruction, cpu } => write!(f, "`{instruction}` is no instruction of a {cpu}"),
            Self::Flow => f.write_str("a jump in its place would not do the same: the kind is wrong"),
            Self::Overlap { other, address } => {
                write!(f, "overlaps the site of record {other} at {address:08x}")
            }
            Self::BranchInto { from, target } => {
                write!(f, "the branch at {from:08x} leads into the middle of it, to {target:08x}")
            }
            Self::SymbolInto { name, address } => {
                write!(f, "{name} is in the middle of it, at {address:08x}")
            }
        }
    }
}

/// Bytes in hexadecimal, separated by blanks.
pub(crate) struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{byte:02x}")?;
        }
        Ok(())
    }
}
