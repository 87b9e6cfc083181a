//! [`Fault`]: an exception that the guest is to get.

/// An exception as the processor would raise it: vector, error code if it has one, and CR2 for a page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The vector, 0 to 31.
    pub vector: u8,
    /// The error code, for the vectors that have one.
    pub error_code: Option<u32>,
    /// The linear address that a page fault is about.
    pub address: Option<u32>,
}

/// Vectors, by their names in the Intel manual.
pub mod vector {
    /// #DE.
    pub const DIVIDE_ERROR: u8 = 0;
    /// #DB.
    pub const DEBUG: u8 = 1;
    /// #BP.
    pub const BREAKPOINT: u8 = 3;
    /// #OF.
    pub const OVERFLOW: u8 = 4;
    /// #UD.
    pub const INVALID_OPCODE: u8 = 6;
    /// #DF.
    pub const DOUBLE_FAULT: u8 = 8;
    /// #TS.
    pub const INVALID_TSS: u8 = 10;
    /// #NP.
    pub const SEGMENT_NOT_PRESENT: u8 = 11;
    /// #SS.
    pub const STACK_FAULT: u8 = 12;
    /// #GP.
    pub const GENERAL_PROTECTION: u8 = 13;
    /// #PF.
    pub const PAGE_FAULT: u8 = 14;
}

impl Fault {
    const fn with_code(vector: u8, code: u32) -> Self {
        Self { vector, error_code: Some(code), address: None }
    }

    /// #UD.
    pub const INVALID_OPCODE: Self = Self { vector: vector::INVALID_OPCODE, error_code: None, address: None };

    /// #DB.
    pub const DEBUG: Self = Self { vector: vector::DEBUG, error_code: None, address: None };

    /// #GP with an error code: 0, or what [`selector_code`] gives.
    pub const fn general_protection(code: u32) -> Self {
        Self::with_code(vector::GENERAL_PROTECTION, code)
    }

    /// #SS.
    pub const fn stack(code: u32) -> Self {
        Self::with_code(vector::STACK_FAULT, code)
    }

    /// #NP.
    pub const fn not_present(code: u32) -> Self {
        Self::with_code(vector::SEGMENT_NOT_PRESENT, code)
    }

    /// #TS.
    pub const fn invalid_tss(code: u32) -> Self {
        Self::with_code(vector::INVALID_TSS, code)
    }

    /// #PF: `code` as in the Intel manual, volume 3, section 4.7.
    pub const fn page(code: u32, address: u32) -> Self {
        Self { vector: vector::PAGE_FAULT, error_code: Some(code), address: Some(address) }
    }
}

/// What an exception that comes up while another is delivered makes of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The second one is delivered.
    Benign,
    /// #DE, #TS, #NP, #SS, #GP.
    Contributory,
    /// #PF.
    PageFault,
    /// #DF.
    DoubleFault,
}

impl Class {
    /// The class of a vector. Source: Intel manual, volume 3, table 6-4.
    pub const fn of(vector: u8) -> Self {
        match vector {
            vector::DOUBLE_FAULT => Self::DoubleFault,
            vector::PAGE_FAULT => Self::PageFault,
            vector::DIVIDE_ERROR | vector::INVALID_TSS..=vector::GENERAL_PROTECTION => Self::Contributory,
            _ => Self::Benign,
        }
    }
}

/// The error code that names a selector: its RPL is left out.
pub const fn selector_code(selector: u16) -> u32 {
    (selector & !3) as u32
}
