//! How a guest reaches the calls of 3.0 in each generation of the interface.
//!
//! Everything else speaks of the calls of 3.0 alone. What 13.x has of them lies in slots of 32 bytes; where a
//! slot takes its arguments otherwise, an [`Adapter`] stands in front of it.

use paravirt_vmi_abi::{Call, Generation, RelocationKind, legacy};

use crate::patch::Relocation;

/// Where a call of 3.0 is found in 13.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    number: u8,
    adapter: Option<Adapter>,
}

/// How a ROM of a generation, mapped at linear address `base`, wants `call` to be reached. `ask` is
/// GetRelocationInfo: the linear address of its entry point, and what to ask for.
pub(super) fn relocation(
    generation: Generation,
    call: Call,
    base: u32,
    mut ask: impl FnMut(u32, u32) -> Relocation,
) -> Relocation {
    let address = |offset| base.wrapping_add(offset);
    let number = match slot(generation, call) {
        None if generation == Generation::V3_0 => call.number(),
        None => return Relocation::NONE,
        Some(slot) => slot.number.into(),
    };
    match generation.get_relocation_offset() {
        Some(entry) => ask(address(entry), number),
        None => {
            let target = address(number * legacy::SLOT_SIZE);
            Relocation { kind: RelocationKind::CALL_REL, target }
        }
    }
}

/// What stands between the sites of `call` and a ROM of a generation.
pub(super) fn adapter(generation: Generation, call: Call) -> Option<Adapter> {
    slot(generation, call)?.adapter
}

/// Where 13.x has `call`; `None` for a call that is not there, and in 3.0, which has no slots.
fn slot(generation: Generation, call: Call) -> Option<Slot> {
    let slot = generation.slot(call);
    let (set_pxe, flush) = match generation {
        Generation::V3_0 => return None,
        Generation::V13_0 => (Some(Adapter::SetPxe), Adapter::FlushPageTables),
        Generation::V13_3 => (None, Adapter::FlushEverything),
    };
    let first = |call: Call| call.info().slot_13_0.map(|slot| slot.number);
    let (number, adapter) = match call {
        Call::SET_PXE => (slot?.number, set_pxe),
        Call::UPDATE_PXE => (first(Call::SET_PXE)?, Some(Adapter::UpdatePxe)),
        Call::UPDATE_PXE_LONG => (first(Call::SET_PXE_LONG)?, Some(Adapter::UpdatePxeLong)),
        Call::ALLOCATE_PAGE => (slot?.number, Some(Adapter::AllocatePage)),
        Call::RELEASE_PAGE => (slot?.number, Some(Adapter::ReleasePage)),
        Call::UPDATE_KERNEL_STACK => (slot?.number, Some(Adapter::UpdateKernelStack)),
        Call::SET_LAZY_MODE => (legacy::SLOT_FLUSH_DEFERRED_CALLS, Some(flush)),
        _ => (slot?.number, None),
    };
    Some(Slot { number, adapter })
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
