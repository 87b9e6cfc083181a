//! The generations of the interface: how a guest reaches the calls of 3.0 in each.
//!
//! Everything else speaks of the calls of 3.0 alone. What 13.x has of them lies in slots of 32 bytes; where a
//! slot takes its arguments otherwise, an [`Adapter`] stands in front of it.

use paravirt_vmi_abi::header::{API_VERSION_MAJOR, ROM_GET_RELOCATION_OFFSET};
use paravirt_vmi_abi::{Call, RelocationKind, RelocationKinds, RomHeader, legacy};

use crate::patch::Relocation;

/// A generation of the interface.
///
/// Source: facts sheet, sections 1.3, 1.4 and 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 3.0 and later: 74 calls, reached through GetRelocationInfo.
    V3_0,
    /// 13.0 to 13.2: a slot for each call, called where it lies.
    V13_0,
    /// 13.3 and later: slots, reached through GetRelocationInfo; entries are written as in 3.0.
    V13_3,
}

/// Where a call of 3.0 is found in 13.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    number: u8,
    adapter: Option<Adapter>,
}

impl Generation {
    /// The generation of an interface version, or `None` if there is none with that major number.
    pub(super) const fn of(major: u8, minor: u8) -> Option<Self> {
        match (major, minor) {
            (API_VERSION_MAJOR, _) => Some(Self::V3_0),
            (legacy::API_VERSION_MAJOR, 0..=2) => Some(Self::V13_0),
            (legacy::API_VERSION_MAJOR, _) => Some(Self::V13_3),
            _ => None,
        }
    }

    /// How many bytes of the image are header, entry points and slots.
    pub(super) const fn fixed_length(self) -> usize {
        match self {
            Self::V3_0 => size_of::<RomHeader>(),
            Self::V13_0 => slot_offset(legacy::SLOTS_13_0) as usize,
            Self::V13_3 => slot_offset(legacy::SLOTS_13_3) as usize,
        }
    }

    /// The kinds of relocation that the generation knows.
    pub(super) const fn relocation_kinds(self) -> RelocationKinds {
        match self {
            Self::V3_0 => RelocationKinds::all(),
            Self::V13_0 | Self::V13_3 => RelocationKinds::all().difference(RelocationKinds::NOP),
        }
    }

    /// How a ROM at linear address `base` wants `call` to be reached. `ask` is GetRelocationInfo: the linear
    /// address of its entry point, and what to ask for.
    pub(super) fn relocation(
        self,
        call: Call,
        base: u32,
        mut ask: impl FnMut(u32, u32) -> Relocation,
    ) -> Relocation {
        let address = |slot| base.wrapping_add(slot_offset(slot));
        match (self, self.slot(call)) {
            (Self::V3_0, _) => ask(base.wrapping_add(ROM_GET_RELOCATION_OFFSET), call.number()),
            (_, None) => Relocation::NONE,
            (Self::V13_0, Some(slot)) => {
                Relocation { kind: RelocationKind::CALL_REL, target: address(slot.number) }
            }
            (Self::V13_3, Some(slot)) => ask(address(legacy::SLOT_GET_RELOCATION_INFO), slot.number.into()),
        }
    }

    /// What stands between the sites of `call` and the ROM.
    pub(super) fn adapter(self, call: Call) -> Option<Adapter> {
        self.slot(call)?.adapter
    }

    /// Where 13.x has `call`; `None` for a call that is not there, and in 3.0, which has no slots.
    fn slot(self, call: Call) -> Option<Slot> {
        let info = call.info();
        let (slot, set_pxe, flush) = match self {
            Self::V3_0 => return None,
            Self::V13_0 => (info.slot_13_0, Some(Adapter::SetPxe), Adapter::FlushPageTables),
            Self::V13_3 => (info.slot_13_3, None, Adapter::FlushEverything),
        };
        let number = |call: Call| call.info().slot_13_0.map(|slot| slot.number);
        let (number, adapter) = match call {
            Call::SET_PXE => (slot?.number, set_pxe),
            Call::UPDATE_PXE => (number(Call::SET_PXE)?, Some(Adapter::UpdatePxe)),
            Call::UPDATE_PXE_LONG => (number(Call::SET_PXE_LONG)?, Some(Adapter::UpdatePxeLong)),
            Call::ALLOCATE_PAGE => (slot?.number, Some(Adapter::AllocatePage)),
            Call::RELEASE_PAGE => (slot?.number, Some(Adapter::ReleasePage)),
            Call::UPDATE_KERNEL_STACK => (slot?.number, Some(Adapter::UpdateKernelStack)),
            Call::SET_LAZY_MODE => (legacy::SLOT_FLUSH_DEFERRED_CALLS, Some(flush)),
            _ => (slot?.number, None),
        };
        Some(Slot { number, adapter })
    }
}

/// The offset of a slot from the start of the ROM.
const fn slot_offset(slot: u8) -> u32 {
    slot as u32 * legacy::SLOT_SIZE
}

/// Code in the kernel that takes the arguments of a call of 3.0, puts them where a slot of 13.x wants them, and
/// jumps to the slot.
///
/// Source: facts sheet, section 4.4 and traps 5 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adapter {
    /// SetPxE to slot 45 of 13.0: EAX is the entry's address, EDX the entry.
    SetPxe,
    /// UpdatePxE, which 13.x does not have, to slot 45: the entry is written once more.
    UpdatePxe,
    /// UpdatePxELong, which 13.x does not have, to slot 48: the entry is written once more.
    UpdatePxeLong,
    /// AllocatePage: the flag PAE is 4.
    AllocatePage,
    /// ReleasePage: the flag PAE is 4.
    ReleasePage,
    /// UpdateKernelStack: EAX is the address of the TSS.
    UpdateKernelStack,
    /// SetLazyMode to FlushDeferredCalls of 13.0: leaving a mode flushes page-table updates; entering one is
    /// nothing.
    FlushPageTables,
    /// SetLazyMode to FlushDeferredCalls of 13.3: leaving a mode flushes page-table updates and processor
    /// state.
    FlushEverything,
}

impl Adapter {
    /// How many there are.
    pub const COUNT: usize = Self::FlushEverything as usize + 1;
}
