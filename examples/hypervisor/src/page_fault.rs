//! Page faults: the guest's, which it is given, and the hypervisor's own.
//!
//! While the guest runs, the processor uses tables of the hypervisor. They are a translation look-aside
//! buffer of the guest's own tables: an entry is made when the guest first touches a page, after its tables
//! were read and the frame that they name was judged, and is forgotten when the guest says so. What the
//! guest writes to its tables in between is not seen, as on a processor.

use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::{Host, Mapping};
use crate::layout::{PAGE_SIZE, VIRTUAL_TOP, is_shared};
use crate::paging::{Access, Privilege};
use crate::physical::{self, Area};

#[cfg(test)]
mod tests;

/// The pages whose entries were refused, so that each makes one line in the log and not one with each access.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    /// The last ones, as linear addresses.
    pages: [Option<u32>; 16],
    next: usize,
}

impl Refusals {
    /// Writes a line to the log, if none was written for the page.
    pub fn log(&mut self, host: &mut impl Host, linear: u32) {
        let page = linear & !(PAGE_SIZE - 1);
        if self.pages.contains(&Some(page)) {
            return;
        }
        self.pages[self.next] = Some(page);
        self.next = (self.next + 1) % self.pages.len();
        host.log(format_args!("an entry for {page:08x} names what the guest does not have"));
    }
}

impl<H: Host> Guest<H> {
    /// Answers the page fault for which the guest was left; `vcpu.fault_address` is the address.
    ///
    /// # Errors
    ///
    /// It is the guest's own.
    pub fn page_fault(&mut self) -> Result<(), Fault> {
        let linear = self.vcpu.fault_address;
        let error_code = self.vcpu.frame.error_code;
        let access = Access::from_code(error_code);
        if linear >= VIRTUAL_TOP {
            let is_flag = is_shared(linear) && self.vcpu.has_masked_interrupt();
            let is_store = access.is_write() && access.privilege == Privilege::Supervisor;
            if is_flag && is_store {
                return self.emulate_store();
            }
            return Err(Fault::page(error_code, linear));
        }
        let translation = self.translate(linear, access)?;
        let is_write = access.is_write();
        let physical = translation.physical & !u64::from(PAGE_SIZE - 1);
        // A page that is not marked as written stays read-only, so that the first write is noticed. One
        // that the supervisor writes to because CR0.WP is 0 must not become writable for ring 3.
        let mut mapping = Mapping {
            physical,
            writable: is_write || (translation.writable && translation.dirty),
            user: translation.user && (translation.writable || !is_write),
            executable: translation.executable,
        };
        match physical::area(physical) {
            Some(Area::Memory) if self.is_descriptor_frame(physical) => {
                mapping.writable = false;
                if is_write {
                    return self.open_descriptor_frame(linear);
                }
            }
            Some(Area::Memory | Area::Video) => {}
            Some(Area::Rom | Area::Hole | Area::LocalApic) | None => {
                mapping.writable = false;
                if is_write {
                    return self.emulate_store();
                }
            }
        }
        self.host.map(linear, mapping);
        Ok(())
    }
}
