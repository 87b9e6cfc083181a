//! [`Generation`]: the generations of the interface, and what a ROM of each has where.

use crate::call::{Call, LegacySlot};
use crate::header::{API_VERSION_MAJOR, API_VERSION_MINOR, ROM_GET_RELOCATION_OFFSET, RomHeader};
use crate::legacy::{self, SLOT_GET_RELOCATION_INFO, SLOT_SIZE, SLOTS_13_0, SLOTS_13_3};
use crate::relocation::RelocationKinds;
use core::fmt;

/// A generation of the interface.
///
/// Source: facts sheet, sections 1.3, 1.4 and 4.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generation {
    /// 3.0 and later: 74 calls, reached through GetRelocationInfo.
    #[default]
    V3_0,
    /// 13.0 to 13.2: a slot for each call, called where it lies.
    V13_0,
    /// 13.3 and later: slots, reached through GetRelocationInfo; entries are written as in 3.0.
    V13_3,
}

impl Generation {
    /// Every generation.
    pub const ALL: [Self; 3] = [Self::V3_0, Self::V13_0, Self::V13_3];

    /// The generation of an interface version, or `None` if there is none with that major number.
    pub const fn of_version(major: u8, minor: u8) -> Option<Self> {
        match (major, minor) {
            (API_VERSION_MAJOR, _) => Some(Self::V3_0),
            (legacy::API_VERSION_MAJOR, 0..=2) => Some(Self::V13_0),
            (legacy::API_VERSION_MAJOR, _) => Some(Self::V13_3),
            _ => None,
        }
    }

    /// Major and minor number of the generation's first version.
    pub const fn version(self) -> (u8, u8) {
        match self {
            Self::V3_0 => (API_VERSION_MAJOR, API_VERSION_MINOR),
            Self::V13_0 => (legacy::API_VERSION_MAJOR, 0),
            Self::V13_3 => (legacy::API_VERSION_MAJOR, 3),
        }
    }

    /// The first version, as people write it: `3.0`, `13.0` or `13.3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V3_0 => "3.0",
            Self::V13_0 => "13.0",
            Self::V13_3 => "13.3",
        }
    }

    /// The generation with the given [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|generation| generation.name() == name)
    }

    /// The number of slots; the first four overlay the header. 3.0 has none.
    pub const fn slots(self) -> u8 {
        match self {
            Self::V3_0 => 0,
            Self::V13_0 => SLOTS_13_0,
            Self::V13_3 => SLOTS_13_3,
        }
    }

    /// The slot of a call, if the generation has slots and the call has one.
    pub const fn slot(self, call: Call) -> Option<LegacySlot> {
        match self {
            Self::V3_0 => None,
            Self::V13_0 => call.info().slot_13_0,
            Self::V13_3 => call.info().slot_13_3,
        }
    }

    /// How many bytes at the start of a ROM are header, entry points and slots.
    pub const fn fixed_length(self) -> usize {
        match self {
            Self::V3_0 => size_of::<RomHeader>(),
            Self::V13_0 | Self::V13_3 => SLOT_SIZE as usize * self.slots() as usize,
        }
    }

    /// The kinds of relocation that the generation knows.
    pub const fn relocation_kinds(self) -> RelocationKinds {
        match self {
            Self::V3_0 => RelocationKinds::all(),
            Self::V13_0 | Self::V13_3 => RelocationKinds::all().difference(RelocationKinds::NOP),
        }
    }

    /// Offset of the entry point GetRelocationInfo from the start of the ROM; 13.0 has none.
    pub const fn get_relocation_offset(self) -> Option<u32> {
        match self {
            Self::V3_0 => Some(ROM_GET_RELOCATION_OFFSET),
            Self::V13_0 => None,
            Self::V13_3 => Some(SLOT_SIZE * SLOT_GET_RELOCATION_INFO as u32),
        }
    }

    /// How many numbers GetRelocationInfo can be asked for: those of the calls in 3.0, those of the slots in
    /// 13.3.
    pub const fn relocations(self) -> u32 {
        match self {
            Self::V3_0 => Call::COUNT as u32,
            Self::V13_0 => 0,
            Self::V13_3 => self.slots() as u32,
        }
    }

    /// The number with which GetRelocationInfo is asked for a call, if it can be: the call's own, or that of its
    /// slot.
    pub const fn relocation_number(self, call: Call) -> Option<u32> {
        match (self, self.slot(call)) {
            (Self::V3_0, _) => Some(call.number()),
            (Self::V13_3, Some(slot)) => Some(slot.number as u32),
            _ => None,
        }
    }
}

/// Writes the [`name`](Generation::name).
impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
