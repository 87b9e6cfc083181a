#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[macro_use]
pub mod table;
#[macro_use]
pub mod constant;
#[macro_use]
pub mod layout;

mod ap;
mod call;
mod convention;
mod descriptor;
pub mod flags;
mod generation;
pub mod header;
pub mod legacy;
pub mod pci;
pub mod pnp;
mod provision;
mod relocation;
pub mod render;

pub use ap::ApState;
pub use call::{CALLS, Call, CallInfo, LegacySlot};
pub use convention::{Argument, Clobbers, Location, Segments};
pub use descriptor::DescriptorTableRegister;
pub use generation::Generation;
pub use header::RomHeader;
pub use pci::PciDataStructure;
pub use pnp::PnpExpansionHeader;
pub use provision::{Provision, Style};
pub use relocation::{RelocationInfo, RelocationKind, RelocationKinds};

use constant::ConstantGroup;
use layout::{Layout, StructLayout};

/// Every structure of the ABI.
pub static STRUCTURES: &[&StructLayout] = &[
    RomHeader::LAYOUT,
    PciDataStructure::LAYOUT,
    PnpExpansionHeader::LAYOUT,
    RelocationInfo::LAYOUT,
    DescriptorTableRegister::LAYOUT,
    ApState::LAYOUT,
];

/// Every named number of the ABI but the calls and their slots, which are in [`CALLS`].
pub static CONSTANTS: &[&ConstantGroup] = &[
    &header::CONSTANTS,
    &pci::CONSTANTS,
    &pnp::CONSTANTS,
    RelocationKind::CONSTANTS,
    flags::PageFlags::CONSTANTS,
    flags::PageUpdateFlags::CONSTANTS,
    flags::FlushTlb::CONSTANTS,
    flags::LazyMode::CONSTANTS,
    &flags::LINEAR_MAPPING_CONSTANTS,
    flags::InterruptMask::CONSTANTS,
    flags::IoplMask::CONSTANTS,
    flags::RebootKind::CONSTANTS,
    flags::Counter::CONSTANTS,
    flags::AlarmFlags::CONSTANTS,
    &legacy::CONSTANTS,
    legacy::LegacyPageFlags::CONSTANTS,
    legacy::FlushDeferred::CONSTANTS,
    legacy::DeferredMode::CONSTANTS,
    legacy::PageUsage::CONSTANTS,
];
