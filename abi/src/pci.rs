//! The PCI data structure of an option ROM.

use zerocopy::little_endian::U16;

constants! {
    /// The PCI identity of VMware's VMI ROM. Linux warns about another one and goes on. Facts sheet,
    /// sections 2.2 and 2.4.
    pub static CONSTANTS = "VMI_PCI_";
    /// vendor_id: VMware.
    pub const VENDOR_ID: u16 = 0x15AD;
    /// device_id: the VMI device.
    pub const DEVICE_ID: u16 = 0x0801;
    /// code_type: code for a PC-AT compatible x86.
    pub const CODE_TYPE_PC_AT: u8 = 0;
    /// indicator: set in the last image of a ROM.
    pub const INDICATOR_LAST_IMAGE: u8 = 0x80;
    /// class_code, base class: memory controller, as VMware's device shows itself.
    pub const BASE_CLASS_MEMORY: u8 = 5;
}

/// What [`PciDataStructure::signature`] must be.
pub const SIGNATURE: [u8; 4] = *b"PCIR";

layout! {
    /// The PCI data structure, at the offset that the ROM header gives.
    ///
    /// Source: facts sheet, section 2.4.
    pub struct PciDataStructure = "vmi_pci_data_structure", size 0x18, align 1 {
        /// "PCIR".
        0x00 signature: [u8; 4],
        /// Vendor; 0x15AD is VMware.
        0x04 vendor_id: U16,
        /// Device; 0x0801 is VMI.
        0x06 device_id: U16,
        /// Offset of the vital product data; 0 if there are none.
        0x08 vpd_offset: U16,
        /// Length of this structure in bytes, 0x18.
        0x0A length: U16,
        /// Revision of this structure.
        0x0C revision: u8,
        /// Programming interface, subclass, base class, in this order.
        0x0D class_code: [u8; 3],
        /// Length of the image in units of 512 bytes.
        0x10 image_length: U16,
        /// Minor version of the ROM's code.
        0x12 rom_version_minor: u8,
        /// Major version of the ROM's code.
        0x13 rom_version_major: u8,
        /// Kind of code; 0 is PC-AT compatible x86.
        0x14 code_type: u8,
        /// Bit 7: this is the last image of the ROM.
        0x15 indicator: u8,
        /// Reserved.
        0x16 reserved: U16,
    }
}
