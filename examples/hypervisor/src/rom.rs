//! The ROM that the guest finds in its option-ROM window: header, relocation table and code, as one image.
//!
//! The code is position independent assembly that the program around this crate brings along
//! ([`Code`] says where things are in it); all else is made here. Source: facts sheet, sections 2.4, 2.5, 3
//! and 6.1.

use core::fmt;
use core::mem::offset_of;

use paravirt_vmi_abi::header::{
    API_VERSION_MAJOR, API_VERSION_MINOR, LICENSES, ROM_LENGTH_UNIT, ROM_SIGNATURE, RomHeader, VROM_SIGNATURE,
};
use paravirt_vmi_abi::pci::{self, PciDataStructure};
use paravirt_vmi_abi::pnp::{self, PnpExpansionHeader};
use paravirt_vmi_abi::{Call, RelocationInfo, RelocationKind};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, KnownLayout};

use crate::layout::VIRTUAL_TOP;
use crate::physical::ROM_SIZE;

/// The licence of this package, as the interface spells it.
const LICENSE: &str = LICENSES[1];
const MANUFACTURER: &str = "paravirt-vmi";
const PRODUCT: &str = "VMI 3.0 hypervisor";

/// `retf`: what firmware would call. There is none here.
const ENTRY: [u8; 4] = [0xCB, 0, 0, 0];
/// `jmp rel32`, and its length.
const JUMP: u8 = 0xE9;
const JUMP_LENGTH: usize = 5;

/// The bytes that each ordinary call has in [`Code`].
pub const CALL_LENGTH: usize = 16;

/// Why code cannot be made a ROM of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is not enough room for the code.
    TooLong {
        /// The length of the code.
        length: usize,
        /// The length that there is room for.
        room: usize,
    },
    /// Something is said to lie at an offset that is not in the code.
    Outside {
        /// The offset.
        offset: usize,
        /// The length of the code.
        length: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, room } => {
                write!(f, "the ROM's code has {length:#x} bytes, and there is room for {room:#x}")
            }
            Self::Outside { offset, length } => {
                write!(f, "offset {offset:#x} is not in the ROM's code of {length:#x} bytes")
            }
        }
    }
}

impl core::error::Error for Error {}

/// The ROM's code, and the offsets of things in it.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// The code.
    pub bytes: &'a [u8],
    /// vmi_init.
    pub init: usize,
    /// GetRelocationInfo.
    pub get_relocation: usize,
    /// Room for a [`RelocationInfo`] of each call, with an offset in the image in place of the address.
    pub relocations: usize,
    /// The code of each call that is nothing but a hypercall: [`CALL_LENGTH`] bytes for every number.
    pub calls: usize,
    /// EnableInterrupts.
    pub enable: usize,
    /// DisableInterrupts.
    pub disable: usize,
    /// GetInterruptMask.
    pub get_mask: usize,
    /// SetInterruptMask.
    pub set_mask: usize,
    /// IRET, with a return address below the frame.
    pub iret: usize,
    /// IRET, with the frame on top of the stack.
    pub iret_by_jump: usize,
    /// SYSEXIT.
    pub sysexit: usize,
    /// The window, counted from the start of the code.
    pub windows: Windows,
}

/// The part of the ROM that must not be left half-way: IRET looks whether an interrupt waits, sets the flag, and
/// goes back. Whoever is interrupted there begins anew. Offsets in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// It looks whether an interrupt waits.
    pub iret_start: u32,
    /// Nothing waited: the instruction that sets the flag.
    pub iret_asked: u32,
    /// The flag is set: the `iretd`.
    pub iret_or: u32,
    /// Behind the `iretd`.
    pub iret_end: u32,
}

impl Windows {
    /// Whether an instruction at `offset` is one that is not carried out without those before it.
    pub const fn contains(&self, offset: u32) -> bool {
        self.iret_start <= offset && offset < self.iret_end
    }
}

/// How IRET and SYSEXIT are to be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leave {
    /// By a call: the ROM removes the return address.
    #[default]
    ByCall,
    /// By a jump.
    ByJump,
}

/// The part of the full PnP header that VMI does not use.
const PNP_BOOT: usize = 0x20 - size_of::<PnpExpansionHeader>();

/// What follows the header.
#[derive(Clone, Copy, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Structures {
    pnp: PnpExpansionHeader,
    /// The rest of the full PnP header: nothing can be booted from this ROM.
    pnp_boot: [u8; PNP_BOOT],
    pci: PciDataStructure,
    license: [u8; LICENSE.len() + 1],
    manufacturer: [u8; MANUFACTURER.len() + 1],
    product: [u8; PRODUCT.len() + 1],
}

const STRUCTURES: usize = size_of::<RomHeader>();
/// Offset of the code in the image.
pub const CODE_OFFSET: usize = (STRUCTURES + size_of::<Structures>()).next_multiple_of(16);
/// The last byte makes the sum of all 0.
const CHECKSUM: usize = ROM_SIZE as usize - 1;
/// The length of the image in the units of its header.
const UNITS: u8 = (ROM_SIZE / ROM_LENGTH_UNIT) as u8;

/// The offset in the image of a field of [`Structures`].
macro_rules! offset {
    ($field:ident) => {
        U16::new((STRUCTURES + offset_of!(Structures, $field)) as u16)
    };
}

/// A ROM image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its bytes.
    pub bytes: [u8; ROM_SIZE as usize],
    /// Where it must not be left half-way.
    pub windows: Windows,
}

impl Image {
    /// Makes an image of code.
    ///
    /// # Errors
    ///
    /// The code is too long, or something in it is not where it is said to be.
    pub fn new(code: &Code<'_>, leave: Leave) -> Result<Self, Error> {
        let mut bytes = [0; ROM_SIZE as usize];
        let (length, room) = (code.bytes.len(), CHECKSUM - CODE_OFFSET);
        if length > room {
            return Err(Error::TooLong { length, room });
        }
        bytes[CODE_OFFSET..CODE_OFFSET + length].copy_from_slice(code.bytes);
        let inside = |offset: usize, size: usize| {
            let end = offset.checked_add(size).filter(|end| *end <= length);
            end.map(|_| CODE_OFFSET + offset).ok_or(Error::Outside { offset, length })
        };
        let header = RomHeader {
            vmi_init: jump(offset_of!(RomHeader, vmi_init), inside(code.init, 1)?),
            get_relocation: jump(offset_of!(RomHeader, get_relocation), inside(code.get_relocation, 1)?),
            ..HEADER
        };
        bytes[..STRUCTURES].copy_from_slice(header.as_bytes());
        bytes[STRUCTURES..][..size_of::<Structures>()].copy_from_slice(structures().as_bytes());
        let relocations = inside(code.relocations, Call::COUNT * size_of::<RelocationInfo>())?;
        for (call, entry) in
            Call::all().zip(bytes[relocations..].chunks_exact_mut(size_of::<RelocationInfo>()))
        {
            let (kind, offset) = relocation(call, code, leave);
            let target = match offset {
                Some(offset) => inside(offset, 1)? as u32,
                None => 0,
            };
            entry.copy_from_slice(RelocationInfo::new(kind, target).as_bytes());
        }
        bytes[CHECKSUM] = checksum(&bytes);
        let window = |offset: u32| inside(offset as usize, 0).map(|offset| offset as u32);
        let windows = Windows {
            iret_start: window(code.windows.iret_start)?,
            iret_asked: window(code.windows.iret_asked)?,
            iret_or: window(code.windows.iret_or)?,
            iret_end: window(code.windows.iret_end)?,
        };
        Ok(Self { bytes, windows })
    }
}

/// How a call is to be reached, and where its code lies in the ROM's code.
///
/// Everything is provided, but the one call of which nobody knows what it does.
fn relocation(call: Call, code: &Code<'_>, leave: Leave) -> (RelocationKind, Option<usize>) {
    let kind = match leave {
        Leave::ByCall => RelocationKind::CALL_REL,
        Leave::ByJump => RelocationKind::JUMP_REL,
    };
    let called = |offset| (RelocationKind::CALL_REL, Some(offset));
    match call {
        Call::ENABLE_INTERRUPTS => called(code.enable),
        Call::DISABLE_INTERRUPTS => called(code.disable),
        Call::GET_INTERRUPT_MASK => called(code.get_mask),
        Call::SET_INTERRUPT_MASK => called(code.set_mask),
        Call::IRET if leave == Leave::ByJump => (kind, Some(code.iret_by_jump)),
        Call::IRET => (kind, Some(code.iret)),
        Call::SYSEXIT => (kind, Some(code.sysexit)),
        Call::SET_CALLBACKS => (RelocationKind::NONE, None),
        _ => called(code.calls + CALL_LENGTH * call.number() as usize),
    }
}

/// The header without its two entry points.
const HEADER: RomHeader = RomHeader {
    rom_signature: U16::new(ROM_SIGNATURE),
    rom_length: UNITS,
    rom_entry: ENTRY,
    rom_pad0: 0,
    vrom_signature: U32::new(VROM_SIGNATURE),
    api_version_minor: API_VERSION_MINOR,
    api_version_major: API_VERSION_MAJOR,
    jump_slots: 0,
    reserved1: 0,
    virtual_top: U32::new(VIRTUAL_TOP),
    reserved2: U16::new(0),
    license_offset: offset!(license),
    pci_header_offset: offset!(pci),
    pnp_header_offset: offset!(pnp),
    rom_pad3: U32::new(0),
    reserved: [0; 96],
    vmi_init: [0; 8],
    get_relocation: [0; 8],
};

/// What follows the header.
fn structures() -> Structures {
    let pnp = PnpExpansionHeader {
        signature: pnp::SIGNATURE,
        revision: 1,
        length: (offset_of!(Structures, pci) / pnp::LENGTH_UNIT as usize) as u8,
        next_offset: U16::new(0),
        reserved: 0,
        checksum: 0,
        device_id: U32::new(0),
        manufacturer_offset: offset!(manufacturer),
        product_offset: offset!(product),
    };
    let pci = PciDataStructure {
        signature: pci::SIGNATURE,
        vendor_id: U16::new(pci::VENDOR_ID),
        device_id: U16::new(pci::DEVICE_ID),
        vpd_offset: U16::new(0),
        length: U16::new(size_of::<PciDataStructure>() as u16),
        revision: 0,
        // Programming interface 0 of "other memory controller".
        class_code: [0x00, 0x80, pci::BASE_CLASS_MEMORY],
        image_length: U16::new(UNITS as u16),
        rom_version_minor: API_VERSION_MINOR,
        rom_version_major: API_VERSION_MAJOR,
        code_type: pci::CODE_TYPE_PC_AT,
        indicator: pci::INDICATOR_LAST_IMAGE,
        reserved: U16::new(0),
    };
    Structures {
        pnp: PnpExpansionHeader { checksum: checksum(pnp.as_bytes()), ..pnp },
        pnp_boot: [0; PNP_BOOT],
        pci,
        license: terminated(LICENSE),
        manufacturer: terminated(MANUFACTURER),
        product: terminated(PRODUCT),
    }
}

/// A jump at offset `from` of the image to offset `to`.
fn jump(from: usize, to: usize) -> [u8; 8] {
    let mut bytes = [0xCC; 8];
    bytes[0] = JUMP;
    let displacement = to.wrapping_sub(from + JUMP_LENGTH) as u32;
    bytes[1..JUMP_LENGTH].copy_from_slice(&displacement.to_le_bytes());
    bytes
}

/// The byte that makes the sum of `bytes` 0 modulo 256.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}

/// The bytes of `text` and a NUL byte.
fn terminated<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests;
