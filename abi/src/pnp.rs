//! The plug-and-play expansion header of an option ROM.

use zerocopy::little_endian::{U16, U32};

constants! {
    /// The plug-and-play expansion header. Facts sheet, section 2.5.
    pub static CONSTANTS = "VMI_PNP_";
    /// Bytes in one unit of length.
    pub const LENGTH_UNIT: u32 = 16;
}

/// What [`PnpExpansionHeader::signature`] must be.
pub const SIGNATURE: [u8; 4] = *b"$PnP";

layout! {
    /// The part of the plug-and-play expansion header that VMI uses, at the offset that the ROM header gives.
    ///
    /// A guest reads it only to print who made the ROM. The full header of the plug-and-play
    /// standard goes on with boot vectors. Source: facts sheet, section 2.5.
    pub struct PnpExpansionHeader = "vmi_pnp_expansion_header", size 0x12, align 1 {
        /// "$PnP".
        0x00 signature: [u8; 4],
        /// Revision of the structure.
        0x04 revision: u8,
        /// Length of the full header in units of 16 bytes.
        0x05 length: u8,
        /// Offset of the next header; 0 if there is none.
        0x06 next_offset: U16,
        /// Reserved.
        0x08 reserved: u8,
        /// Makes the bytes of the full header add up to 0 modulo 256.
        0x09 checksum: u8,
        /// Plug-and-play device identifier.
        0x0A device_id: U32,
        /// Offset of the NUL-terminated manufacturer's name; 0 if there is none.
        0x0E manufacturer_offset: U16,
        /// Offset of the NUL-terminated product name; 0 if there is none.
        0x10 product_offset: U16,
    }
}
