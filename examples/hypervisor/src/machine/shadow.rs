//! The page tables that the processor uses while the guest runs.
//!
//! They hold no more than the guest has touched since it last forgot its translations, from a pool of tables
//! that is small: when it is used up, everything is forgotten.
//!
//! # Safety
//!
//! The processor reads the tables only while the guest runs. It writes accessed and dirty bits to entries that
//! nobody looks at.
#![allow(unsafe_code)]

use vmi_hypervisor::layout::VIRTUAL_TOP;

use super::paging::{self, EMPTY, ENTRIES, Pointers, Table, entry};

/// Page tables in the pool: each spans 2 MiB.
const POOL: usize = 64;

struct Tables {
    pointers: Pointers,
    directories: [Table; 4],
    pool: [Table; POOL],
}

static mut TABLES: Tables =
    Tables { pointers: Pointers([0; 4]), directories: [EMPTY; 4], pool: [EMPTY; POOL] };

/// What a page of the guest's address space leads to.
#[derive(Clone, Copy)]
pub struct Page {
    /// The machine's address of the frame.
    pub frame: u32,
    /// Whether it may be written.
    pub writable: bool,
    /// Whether ring 3 may use it.
    pub user: bool,
    /// Whether instructions may be fetched from it.
    pub executable: bool,
}

/// The guest's address space.
pub struct Shadow {
    tables: &'static mut Tables,
    /// Tables of the pool that are in use.
    used: usize,
    no_execute: bool,
}

const ALL_RIGHTS: u64 = entry::PRESENT | entry::WRITABLE | entry::USER | entry::USED;

impl Shadow {
    /// An address space with the monitor's area alone.
    ///
    /// # Safety
    ///
    /// Called once.
    pub unsafe fn take() -> Self {
        let tables = &raw mut TABLES;
        // SAFETY: nothing else refers to them.
        let tables = unsafe { &mut *tables };
        for (pointer, directory) in tables.pointers.0.iter_mut().zip(&tables.directories) {
            *pointer = u64::from(&raw const *directory as u32) | entry::PRESENT;
        }
        let (index, value) = paging::monitor_entry();
        tables.directories[3].0[index] = value;
        Self { tables, used: 0, no_execute: paging::has_no_execute() }
    }

    /// The address of the tables, for CR3.
    pub fn address(&self) -> u32 {
        &raw const self.tables.pointers as u32
    }

    /// The entry of a page directory for `linear`, which is below the monitor's area.
    fn directory_entry(&mut self, linear: u32) -> &mut u64 {
        assert!(linear < VIRTUAL_TOP, "{linear:08x} is not the guest's to map");
        &mut self.tables.directories[(linear >> 30) as usize].0[(linear >> 21) as usize % ENTRIES]
    }

    /// The table that an entry of a page directory leads to.
    fn table(&mut self, directory_entry: u64) -> Option<&mut Table> {
        let address = directory_entry as u32 & !0xFFF;
        let first = self.tables.pool.as_ptr() as u32;
        let index = address.wrapping_sub(first) as usize / size_of::<Table>();
        self.tables.pool.get_mut(index)
    }

    /// Maps a page.
    pub fn map(&mut self, linear: u32, page: Page) {
        let mut directory_entry = *self.directory_entry(linear);
        if directory_entry & entry::PRESENT == 0 {
            if self.used == POOL {
                self.forget_all();
            }
            let table = &mut self.tables.pool[self.used];
            self.used += 1;
            *table = EMPTY;
            directory_entry = u64::from(&raw const *table as u32) | ALL_RIGHTS;
            *self.directory_entry(linear) = directory_entry;
        }
        let mut value = u64::from(page.frame & !0xFFF) | entry::PRESENT | entry::USED;
        if page.writable {
            value |= entry::WRITABLE;
        }
        if page.user {
            value |= entry::USER;
        }
        if !page.executable && self.no_execute {
            value |= entry::NO_EXECUTE;
        }
        if let Some(table) = self.table(directory_entry) {
            table.0[(linear >> 12) as usize % ENTRIES] = value;
        }
    }

    /// Forgets a page.
    pub fn forget(&mut self, linear: u32) {
        if linear >= VIRTUAL_TOP {
            return;
        }
        let directory_entry = *self.directory_entry(linear);
        if directory_entry & entry::PRESENT != 0
            && let Some(table) = self.table(directory_entry)
        {
            table.0[(linear >> 12) as usize % ENTRIES] = 0;
        }
    }

    /// Forgets all pages.
    pub fn forget_all(&mut self) {
        let (index, value) = paging::monitor_entry();
        for directory in &mut self.tables.directories {
            *directory = EMPTY;
        }
        self.tables.directories[3].0[index] = value;
        self.used = 0;
    }
}
