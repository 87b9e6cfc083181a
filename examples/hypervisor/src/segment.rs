//! The guest's descriptor tables, and its segment registers.
//!
//! The processor uses shadows of the guest's GDT and LDT, which hold what
//! [`descriptor::shadow`](crate::descriptor::shadow) makes of each entry. The frames of the guest's tables are
//! mapped read-only, so that a write to them is noticed; then both tables are read anew. A segment register
//! that the guest holds is loaded from the shadow each time the guest is entered: it follows its descriptor.
//!
//! Source: Intel manual, volume 3, sections 3.4, 3.5 and 5.5 to 5.7.

mod load;
mod sync;
#[cfg(test)]
mod tests;

use crate::decode::Segment;
use crate::descriptor::{Descriptor, shadow};
use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::layout::{DESCRIPTORS, KERNEL_RING, START_CODE, START_DATA};
use crate::paging::Intent;

pub(crate) use load::refused;
pub use sync::Segments;

/// The bit of a selector that names the LDT.
pub(crate) const LOCAL: u16 = 4;

/// Whether a selector names no segment.
pub(crate) const fn is_null(selector: u16) -> bool {
    selector & !3 == 0
}

/// A selector of the kernel with the ring in which it really runs: 0 becomes 1.
pub(crate) const fn in_kernel_ring(selector: u16) -> u16 {
    if selector & 3 == 0 { selector | KERNEL_RING } else { selector }
}

impl<H: Host> Guest<H> {
    /// The guest's own descriptor that a selector names, as its table was last read.
    pub(crate) fn guest_descriptor(&self, selector: u16) -> Option<Descriptor> {
        const CODE: u16 = START_CODE & !3;
        const DATA: u16 = START_DATA & !3;
        match selector & !3 {
            0 => return None,
            CODE => return Some(Descriptor::FLAT_CODE),
            DATA => return Some(Descriptor::FLAT_DATA),
            _ => {}
        }
        let (table, limit) = if selector & LOCAL == 0 {
            (&self.segments.gdt, self.vcpu.gdt.limit)
        } else {
            (&self.segments.ldt, self.vcpu.ldt.table.limit)
        };
        let index = selector >> 3;
        let is_inside = index < DESCRIPTORS && u32::from(selector | 7) <= limit;
        is_inside.then(|| Descriptor(table[usize::from(index)]))
    }

    /// What the processor has in place of the descriptor that a selector names.
    pub(crate) fn descriptor(&self, selector: u16) -> Option<Descriptor> {
        self.guest_descriptor(selector).map(|descriptor| Descriptor(shadow(descriptor.0)))
    }

    /// What the processor has for a segment register.
    fn register_descriptor(&self, segment: Segment) -> Option<Descriptor> {
        self.descriptor(self.vcpu.frame.segment(segment))
    }

    /// Whether the code is of 32 bits.
    pub(crate) fn is_code_big(&self) -> bool {
        self.register_descriptor(Segment::Cs).is_none_or(Descriptor::is_big)
    }

    /// The bits of ESP that the stack segment uses.
    pub(crate) fn stack_mask(&self) -> u32 {
        let is_big = self.register_descriptor(Segment::Ss).is_none_or(Descriptor::is_big);
        if is_big { u32::MAX } else { 0xFFFF }
    }

    /// Linear address of the next instruction.
    pub(crate) fn instruction_address(&self) -> u32 {
        let base = self.register_descriptor(Segment::Cs).map_or(0, Descriptor::base);
        base.wrapping_add(self.vcpu.frame.eip)
    }

    /// The linear address of `length` bytes at an offset in a segment.
    ///
    /// # Errors
    ///
    /// #GP(0), or #SS(0) for the stack segment: the register holds no segment, the segment does not allow
    /// the access, or the bytes are not inside it.
    pub fn segment_address(
        &self,
        segment: Segment,
        offset: u32,
        length: u32,
        intent: Intent,
    ) -> Result<u32, Fault> {
        let outside = match segment {
            Segment::Ss => Fault::stack(0),
            _ => Fault::general_protection(0),
        };
        let descriptor = self.register_descriptor(segment).ok_or(outside)?;
        let allows = match intent {
            Intent::Read => descriptor.is_readable(),
            Intent::Write => descriptor.is_writable(),
            Intent::Execute => descriptor.is_code(),
        };
        if !allows || !descriptor.is_present() {
            return Err(Fault::general_protection(0));
        }
        if holds(descriptor, offset, length) {
            Ok(descriptor.base().wrapping_add(offset))
        } else {
            Err(outside)
        }
    }
}

/// Whether `length` bytes from `offset` on lie inside the limit.
pub(crate) fn holds(descriptor: Descriptor, offset: u32, length: u32) -> bool {
    let Some((first, last)) = descriptor.offsets() else {
        return false;
    };
    let end = u64::from(offset) + u64::from(length);
    first <= offset && end <= u64::from(last) + 1
}
