//! [`Descriptor`]: a segment descriptor or a gate of the guest's, and the harmless form that the processor sees.
//!
//! Source: Intel manual, volume 3, sections 3.4.5, 3.5 and 5.11.

use crate::layout::{KERNEL_RING, LAST_ADDRESS, PAGE_SIZE};

const ACCESSED: u64 = 1 << 40;
/// Data: writable. Code: readable.
const PERMISSION: u64 = 1 << 41;
/// Data: expands downwards. Code: conforming.
const DIRECTION: u64 = 1 << 42;
const EXECUTABLE: u64 = 1 << 43;
/// Code or data; else it is a system descriptor.
const SEGMENT: u64 = 1 << 44;
const DPL_SHIFT: u32 = 45;
const PRESENT: u64 = 1 << 47;
const LONG: u64 = 1 << 53;
const BIG: u64 = 1 << 54;
const GRANULARITY: u64 = 1 << 55;
const LIMIT: u64 = 0xF << 48 | 0xFFFF;

/// Types of system descriptors.
#[allow(missing_docs, reason = "the names are those of the manual")]
pub mod system {
    pub const LDT: u8 = 2;
    pub const TASK_GATE: u8 = 5;
    pub const AVAILABLE_TASK: u8 = 9;
    pub const BUSY_TASK: u8 = 11;
    pub const CALL_GATE: u8 = 12;
    pub const INTERRUPT_GATE: u8 = 14;
    pub const TRAP_GATE: u8 = 15;
}

/// Eight bytes of a GDT, an LDT or an IDT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor(pub u64);

impl Descriptor {
    /// Code of 32 bits, all of the address space.
    pub const FLAT_CODE: Self = Self(0x00CF_9B00_0000_FFFF);
    /// Data of 32 bits, all of the address space.
    pub const FLAT_DATA: Self = Self(0x00CF_9300_0000_FFFF);

    const fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// Linear address of the segment's first byte.
    pub const fn base(self) -> u32 {
        (self.0 >> 16 & 0xFF_FFFF) as u32 | (self.0 >> 56 << 24) as u32
    }

    /// The limit in bytes: the last offset, or the one below the first if the segment expands downwards.
    pub const fn limit(self) -> u32 {
        let limit = (self.0 & 0xFFFF | self.0 >> 32 & 0xF_0000) as u32;
        if self.has(GRANULARITY) { limit << 12 | 0xFFF } else { limit }
    }

    /// Bits 11 to 8 of the second word.
    pub const fn kind(self) -> u8 {
        (self.0 >> 40 & 0xF) as u8
    }

    /// Whether it is a system segment or a gate.
    pub const fn is_system(self) -> bool {
        !self.has(SEGMENT)
    }

    /// Whether it is code.
    pub const fn is_code(self) -> bool {
        self.has(SEGMENT) && self.has(EXECUTABLE)
    }

    /// Whether it is data.
    pub const fn is_data(self) -> bool {
        self.has(SEGMENT) && !self.has(EXECUTABLE)
    }

    /// Whether it is code that keeps the privilege level of its caller.
    pub const fn is_conforming(self) -> bool {
        self.is_code() && self.has(DIRECTION)
    }

    /// Whether it is data whose limit is the lower end.
    pub const fn is_expand_down(self) -> bool {
        self.is_data() && self.has(DIRECTION)
    }

    /// Whether it is data that may be written.
    pub const fn is_writable(self) -> bool {
        self.is_data() && self.has(PERMISSION)
    }

    /// Whether it is data, or code that may be read.
    pub const fn is_readable(self) -> bool {
        self.is_data() || self.is_code() && self.has(PERMISSION)
    }

    /// Whether code is of 32 bits, or a stack has a pointer of 32 bits.
    pub const fn is_big(self) -> bool {
        self.has(BIG)
    }

    /// Whether a segment register may be loaded with it, or a gate used.
    pub const fn is_present(self) -> bool {
        self.has(PRESENT)
    }

    /// The descriptor's privilege level, as the guest wrote it.
    pub const fn dpl(self) -> u8 {
        (self.0 >> DPL_SHIFT & 3) as u8
    }

    /// The selector in a gate.
    pub const fn gate_selector(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The entry point in a gate of 32 bits.
    pub const fn gate_offset(self) -> u32 {
        (self.0 & 0xFFFF | self.0 >> 32 & 0xFFFF_0000) as u32
    }

    /// The same with the mark that a segment register was loaded with it.
    #[must_use]
    pub const fn accessed(self) -> Self {
        Self(self.0 | ACCESSED)
    }

    /// The same system descriptor with another type.
    #[must_use]
    pub const fn with_kind(self, kind: u8) -> Self {
        Self(self.0 & !(0xF << 40) | (kind as u64) << 40)
    }

    /// The first and the last valid offset; `None` if there is none.
    pub const fn offsets(self) -> Option<(u32, u32)> {
        if !self.is_expand_down() {
            return Some((0, self.limit()));
        }
        let last = if self.is_big() { u32::MAX } else { 0xFFFF };
        if self.limit() >= last { None } else { Some((self.limit() + 1, last)) }
    }

    /// The same, not present.
    #[must_use]
    pub const fn absent(self) -> Self {
        Self(self.0 & !PRESENT)
    }

    /// Ends an expand-up segment at [`LAST_ADDRESS`].
    const fn truncated(self) -> Self {
        if self.base() > LAST_ADDRESS {
            return self.absent();
        }
        let room = LAST_ADDRESS - self.base();
        if self.limit() <= room {
            return self;
        }
        let (limit, granularity) = if room > 0xF_FFFF {
            // whole pages, so that the last one ends within the room
            (((room as u64 + 1) / PAGE_SIZE as u64) - 1, GRANULARITY)
        } else {
            (room as u64, 0)
        };
        let without = self.0 & !(LIMIT | GRANULARITY);
        Self(without | limit & 0xFFFF | (limit >> 16) << 48 | granularity)
    }

    /// Whether every address of an expand-down segment is one that the guest may have.
    const fn expands_down_safely(self) -> bool {
        let Some((first, last)) = self.offsets() else {
            return true;
        };
        let (first, last) = (self.base() as u64 + first as u64, self.base() as u64 + last as u64);
        let wraps = first > u32::MAX as u64;
        let last = if wraps { last & u32::MAX as u64 } else { last };
        last <= LAST_ADDRESS as u64
    }
}

/// What the processor gets in place of a descriptor of the guest's.
///
/// Ring 0 becomes ring 1, and no code runs in ring 2. No address above [`LAST_ADDRESS`] remains. A system descriptor keeps its type, so
/// that LAR shows it, but is not present: nothing of the processor's own can be reached through it.
pub const fn shadow(raw: u64) -> u64 {
    let mut descriptor = Descriptor(raw & !LONG);
    if descriptor.dpl() == 0 {
        descriptor.0 |= (KERNEL_RING as u64) << DPL_SHIFT;
    }
    if descriptor.is_system() {
        return descriptor.absent().0;
    }
    // The guest has two rings, and nothing runs in another.
    if descriptor.is_code() && !descriptor.is_conforming() && descriptor.dpl() == 2 {
        descriptor = descriptor.absent();
    }
    // The table is read-only: the processor must not want to set the bit.
    descriptor = descriptor.accessed();
    if descriptor.is_expand_down() {
        if !descriptor.expands_down_safely() {
            descriptor = descriptor.absent();
        }
    } else {
        descriptor = descriptor.truncated();
    }
    descriptor.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The linear addresses that offsets lead to: first and last, not wrapped.
    fn addresses(descriptor: Descriptor) -> Option<(u64, u64)> {
        let (first, last) = descriptor.offsets()?;
        let base = u64::from(descriptor.base());
        Some((base + u64::from(first), base + u64::from(last)))
    }

    #[test]
    fn a_flat_segment_ends_with_the_shared_page() {
        for flat in [Descriptor::FLAT_CODE, Descriptor::FLAT_DATA] {
            let flat = Descriptor(shadow(flat.0));
            assert_eq!((flat.base(), flat.limit(), flat.dpl()), (0, LAST_ADDRESS, 1));
            assert!(flat.is_present());
        }
    }

    #[test]
    fn a_descriptor_of_long_mode_is_one_of_32_bits() {
        assert_eq!(shadow(Descriptor::FLAT_CODE.0 | LONG), shadow(Descriptor::FLAT_CODE.0));
    }

    #[test]
    fn a_task_segment_keeps_its_type_and_is_not_present() {
        let task = Descriptor(shadow(0x0000_8900_1000_0067));
        assert_eq!((task.kind(), task.dpl(), task.is_present()), (system::AVAILABLE_TASK, 1, false));
    }

    #[test]
    fn code_of_ring_2_is_not_present() {
        let in_ring_2 = |flat: Descriptor| Descriptor(shadow(flat.0 | 2 << DPL_SHIFT)).is_present();
        assert!(!in_ring_2(Descriptor::FLAT_CODE));
        assert!(in_ring_2(Descriptor::FLAT_DATA));
        assert!(in_ring_2(Descriptor(Descriptor::FLAT_CODE.0 | DIRECTION)), "conforming");
    }

    #[test]
    fn an_empty_entry_is_not_present() {
        assert!(!Descriptor(shadow(0)).is_present());
    }

    #[test]
    fn a_segment_that_expands_down_from_the_top_is_not_present() {
        // base 0, above 0FFF
        let down = Descriptor::FLAT_DATA.0 & !LIMIT | DIRECTION;
        assert!(!Descriptor(shadow(down)).is_present());
        // of 16 bits it ends at FFFF
        assert!(Descriptor(shadow(down & !BIG)).is_present());
        // with base 1000 and offsets from FFFFF000 on it is the first page alone
        let first_page = Descriptor(down | LIMIT & !1 | 0x1000 << 16);
        assert_eq!(first_page.offsets(), Some((0xFFFF_F000, 0xFFFF_FFFF)));
        assert_eq!(shadow(first_page.0) & PRESENT, PRESENT);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn no_shadow_reaches_the_hypervisor(raw: u64) {
            let safe = Descriptor(shadow(raw));
            if safe.is_present() {
                prop_assert!(!safe.is_system());
                prop_assert!(safe.dpl() >= 1);
                prop_assert!(safe.0 & ACCESSED != 0 && safe.0 & LONG == 0);
                if let Some((first, last)) = addresses(safe) {
                    let within = last <= u64::from(LAST_ADDRESS);
                    let wrapped = first > u64::from(u32::MAX) && last - (1 << 32) <= u64::from(LAST_ADDRESS);
                    prop_assert!(within || wrapped, "{first:x} to {last:x}");
                }
            }
        }

        #[test]
        fn a_harmless_segment_stays_what_it_is(base in 0u32..0x1000_0000, limit in 0u64..0x1_0000, access in 0u64..16) {
            let base = u64::from(base);
            let raw = (base & 0xFF_FFFF) << 16 | (base >> 24) << 56
                | limit & 0xFFFF | access << 40 | SEGMENT | PRESENT | 3 << DPL_SHIFT;
            prop_assert_eq!(shadow(raw), raw | ACCESSED);
        }

        #[test]
        fn a_shadow_is_its_own_shadow(raw: u64) {
            prop_assert_eq!(shadow(shadow(raw)), shadow(raw));
        }

        #[test]
        fn a_truncated_segment_loses_less_than_a_page(base in 0..=LAST_ADDRESS) {
            let flat = Descriptor::FLAT_DATA.0 | (u64::from(base) & 0xFF_FFFF) << 16 | u64::from(base) >> 24 << 56;
            let safe = Descriptor(shadow(flat));
            prop_assert!(safe.is_present());
            prop_assert!(LAST_ADDRESS - (base + safe.limit()) < PAGE_SIZE);
        }
    }
}
