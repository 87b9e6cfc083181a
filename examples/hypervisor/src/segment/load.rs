//! Segment registers that are loaded by software, as the processor would.

use super::{LOCAL, in_kernel_ring, is_null};
use crate::decode::Segment;
use crate::descriptor::{Descriptor, system};
use crate::fault::{Fault, selector_code};
use crate::guest::Guest;
use crate::host::Host;
use crate::layout::KERNEL_RING;
use crate::paging::Privilege;
use crate::stop::Stop;
use crate::vcpu::{SystemSegment, TableRegister};

/// #GP that names a selector.
pub(crate) const fn refused(selector: u16) -> Fault {
    Fault::general_protection(selector_code(selector))
}

impl<H: Host> Guest<H> {
    /// LGDT. The segment registers are not loaded anew.
    pub fn load_gdt(&mut self, table: TableRegister) {
        self.vcpu.gdt = table;
        self.descriptors_changed();
    }

    /// LIDT.
    pub const fn load_idt(&mut self, table: TableRegister) {
        self.vcpu.idt = table;
    }

    /// LLDT.
    ///
    /// # Errors
    ///
    /// #GP: the selector does not name an LDT in the GDT. #NP: the LDT is not present.
    pub fn load_ldt(&mut self, selector: u16) -> Result<(), Fault> {
        if is_null(selector) {
            self.vcpu.ldt = SystemSegment::default();
            self.vcpu.ldt.selector = selector;
        } else {
            let descriptor = self.system_descriptor(selector, system::LDT)?;
            self.vcpu.ldt = system_segment(selector, descriptor);
        }
        self.descriptors_changed();
        Ok(())
    }

    /// LTR: marks the task state segment as busy in the guest's table.
    ///
    /// # Errors
    ///
    /// #GP: the selector does not name an available task state segment of 32 bits in the GDT. #NP: it is not
    /// present. #PF: the GDT cannot be written.
    pub fn load_task(&mut self, selector: u16) -> Result<(), Fault> {
        if is_null(selector) {
            return Err(Fault::general_protection(0));
        }
        let descriptor = self.system_descriptor(selector, system::AVAILABLE_TASK)?;
        let busy = descriptor.with_kind(system::BUSY_TASK);
        self.write_access_byte(selector, busy)?;
        self.vcpu.task = system_segment(selector, descriptor);
        Ok(())
    }

    /// The present system descriptor of a type that a selector names.
    fn system_descriptor(&mut self, selector: u16, kind: u8) -> Result<Descriptor, Fault> {
        self.sync_descriptors();
        let found = if selector & LOCAL == 0 { self.guest_descriptor(selector) } else { None };
        match found {
            Some(found) if found.is_system() && found.kind() == kind => {
                if found.is_present() {
                    Ok(found)
                } else {
                    Err(Fault::not_present(selector_code(selector)))
                }
            }
            _ => Err(refused(selector)),
        }
    }

    /// Writes the byte of a descriptor that holds its type back to the guest's table.
    fn write_access_byte(&mut self, selector: u16, descriptor: Descriptor) -> Result<(), Fault> {
        let table = if selector & LOCAL == 0 { self.vcpu.gdt } else { self.vcpu.ldt.table };
        let address = table.base.wrapping_add((selector & !7).into()).wrapping_add(5);
        self.write_linear(address, &[(descriptor.0 >> 40) as u8], Privilege::Supervisor)?;
        self.descriptors_changed();
        Ok(())
    }

    /// Marks the descriptor that a selector names as used, if the guest's table can be written.
    pub(crate) fn mark_accessed(&mut self, selector: u16) {
        let Some(descriptor) = self.guest_descriptor(selector) else {
            return;
        };
        if descriptor.accessed() != descriptor {
            // A table that cannot be written keeps no marks.
            let _ = self.write_access_byte(selector, descriptor.accessed());
        }
    }

    /// The descriptor that ES, DS, FS or GS would be loaded with in a ring; `None` for a null selector.
    fn data_descriptor(&self, selector: u16, ring: u16) -> Result<Option<Descriptor>, Fault> {
        if is_null(selector) {
            return Ok(None);
        }
        let descriptor = self.descriptor(selector).ok_or(refused(selector))?;
        let privilege = (selector & 3).max(ring);
        let may = descriptor.is_conforming() || privilege <= descriptor.dpl().into();
        if !descriptor.is_readable() || !may {
            return Err(refused(selector));
        }
        if !descriptor.is_present() {
            return Err(Fault::not_present(selector_code(selector)));
        }
        Ok(Some(descriptor))
    }

    /// The descriptor that SS would be loaded with in a ring. A selector of ring 0 is one of ring 1.
    pub(crate) fn stack_descriptor(&self, selector: u16, ring: u16) -> Result<Descriptor, Fault> {
        if is_null(selector) {
            return Err(Fault::general_protection(0));
        }
        let descriptor = self.descriptor(selector).ok_or(refused(selector))?;
        let is_of_ring = in_kernel_ring(selector) & 3 == ring && u16::from(descriptor.dpl()) == ring;
        if !descriptor.is_writable() || !is_of_ring {
            return Err(refused(selector));
        }
        if descriptor.is_present() { Ok(descriptor) } else { Err(Fault::stack(selector_code(selector))) }
    }

    /// The descriptor that CS would be loaded with by a return to the ring that the selector names; ring 0 is
    /// ring 1.
    pub(crate) fn code_descriptor(&self, selector: u16) -> Result<Descriptor, Fault> {
        if is_null(selector) {
            return Err(Fault::general_protection(0));
        }
        let ring = in_kernel_ring(selector) & 3;
        let descriptor = self.descriptor(selector).ok_or(refused(selector))?;
        let level = u16::from(descriptor.dpl());
        let may = if descriptor.is_conforming() { level <= ring } else { level == ring };
        if !descriptor.is_code() || !may || ring == 2 {
            return Err(refused(selector));
        }
        if descriptor.is_present() {
            Ok(descriptor)
        } else {
            Err(Fault::not_present(selector_code(selector)))
        }
    }

    /// Loads a segment register other than CS for the kernel, as MOV does.
    ///
    /// # Errors
    ///
    /// The fault that MOV raises.
    pub fn load_segment(&mut self, segment: Segment, selector: u16) -> Result<(), Fault> {
        self.sync_descriptors();
        let mut selector = selector;
        if segment == Segment::Ss {
            self.stack_descriptor(selector, KERNEL_RING)?;
            selector = in_kernel_ring(selector);
        } else {
            self.data_descriptor(selector, KERNEL_RING)?;
        }
        self.mark_accessed(selector);
        self.vcpu.frame.set_segment(segment, selector);
        Ok(())
    }

    /// Loads all segment registers anew, as SetGDT and SetLDT do. A data segment that the table does not
    /// have becomes null. Source: facts sheet, sections 4.1 and 9.1.
    ///
    /// # Errors
    ///
    /// The code segment or the stack segment cannot be loaded.
    pub fn reload_segments(&mut self) -> Result<(), Fault> {
        self.sync_descriptors();
        let [code, stack] = [Segment::Cs, Segment::Ss].map(|segment| self.vcpu.frame.segment(segment));
        self.code_descriptor(code)?;
        self.load_segment(Segment::Ss, stack)?;
        self.mark_accessed(code);
        for segment in Segment::DATA {
            if self.load_segment(segment, self.vcpu.frame.segment(segment)).is_err() {
                self.vcpu.frame.set_segment(segment, 0);
            }
        }
        Ok(())
    }

    /// Empties the data-segment registers that ring 3 must not inherit, as a return to it does.
    pub(crate) fn drop_kernel_segments(&mut self) {
        for segment in Segment::DATA {
            let found = self.descriptor(self.vcpu.frame.segment(segment));
            if found.is_none_or(|found| !found.is_conforming() && found.dpl() < 3) {
                self.vcpu.frame.set_segment(segment, 0);
            }
        }
    }

    /// Makes the segment registers such that the processor can load them: a data segment whose descriptor
    /// is gone becomes null.
    ///
    /// # Errors
    ///
    /// The code segment or the stack segment is gone.
    pub(crate) fn check_segments(&mut self) -> Result<(), Stop> {
        self.sync_descriptors();
        for segment in Segment::DATA {
            // The hypervisor loads them in ring 0: the ring of the guest is seen to on the way back.
            if self.data_descriptor(self.vcpu.frame.segment(segment), 0).is_err() {
                self.vcpu.frame.set_segment(segment, 0);
            }
        }
        let frame = &self.vcpu.frame;
        let (code, stack, eip) = (frame.code_selector(), frame.stack_selector(), frame.eip);
        let gone = |what, selector: u16| Stop::Refused { what, value: selector.into(), eip };
        let ring = code & 3;
        if ring == 0 || self.code_descriptor(code).is_err() {
            return Err(gone("a code segment that it does not have", code));
        }
        if stack & 3 != ring || self.stack_descriptor(stack, ring).is_err() {
            return Err(gone("a stack segment that it does not have", stack));
        }
        Ok(())
    }
}

fn system_segment(selector: u16, descriptor: Descriptor) -> SystemSegment {
    let table = TableRegister { base: descriptor.base(), limit: descriptor.limit() };
    SystemSegment { selector, table }
}
