//! What the 13.x generation (March to October 2006) has beyond the slots of the
//! [call table](crate::CallInfo::slot_13_0): its constants, its flags, and the calls that 3.0 dropped.

constants! {
    /// Generation 13.x: a table of code slots at the start of the ROM. Facts sheet, sections 1.4 and 4.4.
    pub static CONSTANTS = "VMI_LEGACY_";
    /// api_version_major of this generation.
    pub const API_VERSION_MAJOR: u8 = 13;
    /// Bytes in a slot: slot n lies at ROM base + 32 * n.
    pub const SLOT_SIZE: u32 = 32;
    /// The slot of Init, the first one: where vmi_init of 3.0 lies, too.
    pub const SLOT_INIT: u8 = 4;
    /// The slot of FlushDeferredCalls, in whose place 3.0 has SetLazyMode.
    pub const SLOT_FLUSH_DEFERRED_CALLS: u8 = 57;
    /// 13.3: the slot of GetRelocationInfo.
    pub const SLOT_GET_RELOCATION_INFO: u8 = 85;
    /// Number of slots in 13.0 to 13.2, the first four of which overlay the header.
    pub const SLOTS_13_0: u8 = 85;
    /// Number of slots in 13.3.
    pub const SLOTS_13_3: u8 = 88;
}

/// A slot of the 13.x generation whose call is not in generation 3.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyCall {
    /// Slot number.
    pub slot: u8,
    /// Name in the ABI.
    pub name: &'static str,
    /// The first minor version that has the slot.
    pub since_minor: u8,
}

impl LegacyCall {
    /// A row of [`LEGACY_CALLS`].
    const fn new(slot: u8, name: &'static str, since_minor: u8) -> Self {
        Self { slot, name, since_minor }
    }
}

/// The slots whose calls are not in generation 3.0, in order of number.
///
/// In 13.3, 45 and 48 keep the old argument order beside 86 and 87, which have that of 3.0.
/// Source: facts sheet, section 4.4.
pub static LEGACY_CALLS: [LegacyCall; 14] = [
    LegacyCall::new(SLOT_INIT, "Init", 0),
    LegacyCall::new(28, "INVD", 0),
    LegacyCall::new(41, "Pause", 0),
    LegacyCall::new(46, "GetPxE", 0),
    LegacyCall::new(47, "SwapPxE", 0),
    LegacyCall::new(49, "GetPxELong", 0),
    LegacyCall::new(50, "SwapPxELongAtomic", 0),
    LegacyCall::new(51, "TestAndSetPxEBit", 0),
    LegacyCall::new(52, "TestAndClearPxEBit", 0),
    LegacyCall::new(SLOT_FLUSH_DEFERRED_CALLS, "FlushDeferredCalls", 0),
    LegacyCall::new(72, "DeactivatePxELongAtomic", 0),
    LegacyCall::new(73, "TestAndSetPxELongBit", 0),
    LegacyCall::new(74, "TestAndClearPxELongBit", 0),
    LegacyCall::new(SLOT_GET_RELOCATION_INFO, "GetRelocationInfo", 3),
];

flags! {
    /// What a page frame is used for: AllocatePage and ReleasePage of 13.x, EDX.
    ///
    /// As in 3.0, but PAE shares the bit of PDP. Source: facts sheet, section 4.2.
    pub struct LegacyPageFlags = "VMI_LEGACY_PAGE_" {
        /// Page table: level 1.
        const PT = 1;
        /// Page directory: level 2.
        const PD = 2;
        /// Page-directory pointer table: level 3.
        const PDP = 4;
        /// The entries have 8 bytes: the same bit as PDP.
        const PAE = 4;
        /// Level 4.
        const PML4 = 8;
        /// AllocatePage: the new page starts with entries of another one.
        const CLONE = 0x20;
        /// AllocatePage: the page is all zero.
        const ZEROED = 0x40;
    }
}

flags! {
    /// What to flush: FlushDeferredCalls of 13.x, EAX.
    ///
    /// Source: facts sheet, section 4.2.
    pub struct FlushDeferred = "VMI_LEGACY_FLUSH_" {
        /// 13.3: processor state.
        const CPU_STATE = 0x40;
        /// Page-table updates.
        const PT_UPDATES = 0x80;
    }
}

flags! {
    /// What to defer: SetDeferredMode, which the specification describes and no 13.x table has.
    ///
    /// Source: facts sheet, section 4.2.
    pub struct DeferredMode = "VMI_LEGACY_DEFER_" {
        /// Page-table updates.
        const MMU = 1;
        /// Processor state.
        const CPU = 2;
        /// Descriptor tables.
        const DESCRIPTOR_TABLES = 4;
    }
}

flags! {
    /// What a page holds: RegisterPageUsage, which the specification describes and no 13.x table has.
    ///
    /// Source: facts sheet, section 4.2.
    pub struct PageUsage = "VMI_LEGACY_USAGE_" {
        /// A GDT.
        const GDT = 0x10;
        /// An LDT.
        const LDT = 0x20;
        /// An IDT.
        const IDT = 0x40;
        /// A TSS.
        const TSS = 0x80;
    }
}
