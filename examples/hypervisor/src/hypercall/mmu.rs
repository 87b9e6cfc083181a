//! Calls 38 to 41: entries of page tables.
//!
//! The shadow tables hold what the guest's own said when a page was first used, as a look-aside buffer does, and
//! a guest that changes an entry has to have it forgotten in any case. So has the call, unless the guest says that
//! it will.

use paravirt_vmi_abi::flags::PageUpdateFlags;

use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::paging::Privilege;

impl<H: Host> Guest<H> {
    /// Writes an entry: all of it at once, as far as anybody can tell who walks the table.
    pub(super) fn set_entry(&mut self, address: u32, entry: &[u8], flags: u32) -> Result<(), Fault> {
        self.write_linear(address, entry, Privilege::Supervisor)?;
        self.entry_changed(PageUpdateFlags::from_bits_retain(flags));
        Ok(())
    }

    /// An entry has changed.
    pub(super) fn entry_changed(&mut self, flags: PageUpdateFlags) {
        if flags.contains(PageUpdateFlags::DEFER) {
            return;
        }
        match flags.mapped_address() {
            Some(page) if flags.contains(PageUpdateFlags::PT) => self.flush_page(page),
            // A directory's entry is about many pages, and a table may be part of this address space unsaid.
            _ => self.flush_all(),
        }
    }
}
