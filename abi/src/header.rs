//! The header of a VMI ROM, and the numbers needed to find and enter one.

use zerocopy::little_endian::{U16, U32};

constants! {
    /// Finding and entering a ROM. Facts sheet, sections 2.1 and 3.
    pub static CONSTANTS = "VMI_";
    /// rom_signature: the bytes 55 AA.
    pub const ROM_SIGNATURE: u16 = 0xAA55;
    /// vrom_signature: the bytes 63 56 6D 69, "cVmi".
    pub const VROM_SIGNATURE: u32 = 0x696D_5663;
    /// Physical address at which the search for a ROM begins.
    pub const ROM_WINDOW_START: u32 = 0xC0000;
    /// Physical address at which the search ends: no ROM starts here or above.
    pub const ROM_WINDOW_END: u32 = 0xE0000;
    /// A ROM starts at a multiple of this many bytes.
    pub const ROM_WINDOW_STEP: u32 = 0x800;
    /// Bytes in one unit of rom_length.
    pub const ROM_LENGTH_UNIT: u32 = 512;
    /// Generation 3.0: the only major version with this header.
    pub const API_VERSION_MAJOR: u8 = 3;
    /// Generation 3.0: minor versions only add calls at the end.
    pub const API_VERSION_MINOR: u8 = 0;
    /// Offset of the entry point vmi_init from the start of the ROM.
    pub const ROM_INIT_OFFSET: u32 = 0x80;
    /// Offset of the entry point GetRelocationInfo from the start of the ROM.
    pub const ROM_GET_RELOCATION_OFFSET: u32 = 0x88;
}

/// The licence strings that Linux takes for a ROM that it may use, each followed by a NUL byte in
/// the image. Source: facts sheet, section 2.2.
pub const LICENSES: [&str; 2] = ["GPL", "GPL v2"];

layout! {
    /// The start of a VMI ROM of generation 3.0: an option-ROM header with two entry points behind it.
    ///
    /// Nothing in it can be trusted before it has been checked. All offsets in it count from the
    /// start of the ROM. Source: facts sheet, section 3.
    pub struct RomHeader = "vmi_rom_header", size 0x90, align 1 {
        /// 0xAA55, the mark of an option ROM.
        0x00 rom_signature: U16,
        /// Length in units of 512 bytes; the bytes of that area add up to 0 modulo 256.
        0x02 rom_length: u8,
        /// 16-bit code that the BIOS calls; it returns with a far return.
        0x03 rom_entry: [u8; 4],
        /// Padding.
        0x07 rom_pad0: u8,
        /// 0x696D5663, the mark of a VMI ROM.
        0x08 vrom_signature: U32,
        /// Minor version of the interface.
        0x0C api_version_minor: u8,
        /// Major version of the interface.
        0x0D api_version_major: u8,
        /// Number of jump slots; no known guest reads it.
        0x0E jump_slots: u8,
        /// Reserved.
        0x0F reserved1: u8,
        /// Lowest linear address that belongs to the hypervisor; 0 claims nothing.
        0x10 virtual_top: U32,
        /// Reserved.
        0x14 reserved2: U16,
        /// Offset of the NUL-terminated licence string; 0 if there is none.
        0x16 license_offset: U16,
        /// Offset of the PCI data structure; 0 if there is none.
        0x18 pci_header_offset: U16,
        /// Offset of the PnP expansion header; 0 if there is none.
        0x1A pnp_header_offset: U16,
        /// Reserved by the option-ROM standards.
        0x1C rom_pad3: U32,
        /// Reserved.
        0x20 reserved: [u8; 96],
        /// Code of vmi_init: a near call here, no arguments; EAX is 0 on success.
        0x80 vmi_init: [u8; 8],
        /// Code of GetRelocationInfo: a near call here with a call number in EAX.
        0x88 get_relocation: [u8; 8],
    }
}

impl RomHeader {
    /// Length of the ROM in bytes, 0 to 130,560, as `rom_length` states it.
    pub const fn length(&self) -> u32 {
        self.rom_length as u32 * ROM_LENGTH_UNIT
    }
}
