//! The memory image of a descriptor-table register.

use zerocopy::little_endian::{U16, U32};

layout! {
    /// What lgdt, lidt, sgdt and sidt load and store; SetGDT, SetIDT, GetGDT and GetIDT take its address in EAX.
    ///
    /// Source: facts sheet, section 5.1.
    pub struct DescriptorTableRegister = "vmi_descriptor_table_register", size 0x06, align 1 {
        /// Length of the table in bytes, minus 1.
        0x00 limit: U16,
        /// Linear address of the table.
        0x02 base: U32,
    }
}

impl DescriptorTableRegister {
    /// The image for a table of `limit + 1` bytes at the linear address `base`.
    pub const fn new(limit: u16, base: u32) -> Self {
        Self { limit: U16::new(limit), base: U32::new(base) }
    }
}
