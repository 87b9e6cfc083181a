//! The slots of a ROM of 13.x: what lies in each.

use paravirt_vmi_abi::legacy::{LEGACY_CALLS, SLOT_SIZE};
use paravirt_vmi_abi::{CALLS, Call, Generation};

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its number: it lies at 32 times that.
    pub number: u8,
    /// The name of its call; that of a slot that 13.3 replaced by a newer one ends in 0.
    pub name: String,
    /// The call with the arguments of 3.0 or 13.0, unless the generation has a newer slot for it.
    pub call: Option<Call>,
}

impl Slot {
    /// Offset of the slot in the image.
    pub const fn offset(&self) -> usize {
        SLOT_SIZE as usize * self.number as usize
    }
}

/// All slots of a generation, in order of number; the first four, which overlay the header, are not among them.
///
/// Source: facts sheet, section 4.4.
pub fn slots(generation: Generation) -> Vec<Slot> {
    let count = generation.slots();
    let mut slots = Vec::new();
    for info in &CALLS {
        let newest = generation.slot(info.call).map(|slot| slot.number);
        let first = info.slot_13_0.map(|slot| slot.number).filter(|_| count > 0);
        slots.extend(newest.map(|number| Slot { number, name: info.name.to_owned(), call: Some(info.call) }));
        let replaced = first.filter(|&number| newest != Some(number));
        slots.extend(replaced.map(|number| Slot { number, name: format!("{}0", info.name), call: None }));
    }
    let dropped = LEGACY_CALLS.iter().filter(|call| call.slot < count);
    slots.extend(dropped.map(|call| Slot { number: call.slot, name: call.name.to_owned(), call: None }));
    slots.sort_by_key(|slot| slot.number);
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(generation: Generation, number: u8) -> String {
        slots(generation).into_iter().find(|slot| slot.number == number).expect("a slot").name
    }

    #[test]
    fn every_slot_from_the_fourth_on_has_one_call() {
        for (generation, last) in [(Generation::V13_0, 84), (Generation::V13_3, 87)] {
            let numbers: Vec<_> = slots(generation).iter().map(|slot| slot.number).collect();
            assert_eq!(numbers, (4..=last).collect::<Vec<_>>());
        }
        assert_eq!(slots(Generation::V3_0), []);
    }

    #[test]
    fn the_newer_slot_has_the_name_of_the_call() {
        assert_eq!(name_of(Generation::V13_0, 45), "SetPxE");
        assert_eq!(name_of(Generation::V13_3, 45), "SetPxE0");
        assert_eq!(name_of(Generation::V13_3, 86), "SetPxE");
        assert_eq!(name_of(Generation::V13_3, 85), "GetRelocationInfo");
    }
}
