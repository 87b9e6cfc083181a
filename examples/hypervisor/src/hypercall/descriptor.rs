//! Calls 3 to 13: descriptor tables and descriptors.

use paravirt_vmi_abi::DescriptorTableRegister;
use zerocopy::IntoBytes;

use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::paging::Privilege;
use crate::vcpu::TableRegister;

impl<H: Host> Guest<H> {
    /// Reads the image of a descriptor-table register.
    fn table_image(&self, address: u32) -> Result<TableRegister, Fault> {
        let mut bytes = [0; size_of::<DescriptorTableRegister>()];
        self.read_linear(address, &mut bytes, Privilege::Supervisor)?;
        let DescriptorTableRegister { limit, base } = zerocopy::transmute!(bytes);
        Ok(TableRegister { base: base.get(), limit: limit.get().into() })
    }

    /// Stores the image of a descriptor-table register.
    pub(super) fn store_table(&mut self, address: u32, table: TableRegister) -> Result<(), Fault> {
        let image = DescriptorTableRegister::new(table.limit as u16, table.base);
        self.write_linear(address, image.as_bytes(), Privilege::Supervisor)
    }

    /// SetGDT: every segment register is loaded anew.
    pub(super) fn set_gdt(&mut self, address: u32) -> Result<(), Fault> {
        let (before, table) = (self.vcpu.gdt, self.table_image(address)?);
        self.load_gdt(table);
        self.reload_segments().inspect_err(|_| self.load_gdt(before))
    }

    /// SetLDT: every segment register is loaded anew.
    pub(super) fn set_ldt(&mut self, selector: u16) -> Result<(), Fault> {
        let before = self.vcpu.ldt;
        self.load_ldt(selector)?;
        self.reload_segments().inspect_err(|_| {
            self.vcpu.ldt = before;
            self.descriptors_changed();
        })
    }

    /// SetIDT: the gates are judged when they are used.
    pub(super) fn set_idt(&mut self, address: u32) -> Result<(), Fault> {
        let table = self.table_image(address)?;
        self.load_idt(table);
        Ok(())
    }

    /// Writes an entry of a table, which may be one that is in use.
    pub(super) fn write_entry(&mut self, table: u32, index: u32, entry: u64) -> Result<(), Fault> {
        let address = table.wrapping_add(index.wrapping_mul(8));
        self.write_linear(address, &entry.to_le_bytes(), Privilege::Supervisor)?;
        self.descriptors_changed();
        Ok(())
    }
}
