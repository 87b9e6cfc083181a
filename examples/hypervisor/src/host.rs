//! [`Host`]: what the guest needs of the real machine.

use core::fmt;

/// The guest has no memory at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMemory {
    /// The guest-physical address.
    pub address: u64,
}

/// What a page of the guest's linear address space shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The guest-physical address of the page; [`crate::physical::area`] knows it.
    pub physical: u64,
    /// Whether it may be written.
    pub writable: bool,
    /// Whether ring 3 may use it.
    pub user: bool,
    /// Whether instructions may be fetched from it.
    pub executable: bool,
}

/// Which translations are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// All of them.
    All,
    /// That of the page with this linear address.
    Page(u32),
}

/// A shadow descriptor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The global one.
    Gdt,
    /// The local one.
    Ldt,
}

/// The real machine.
pub trait Host {
    /// Reads the guest's memory at a guest-physical address. The bytes lie in RAM or in the ROM; they do
    /// not cross from one to the other.
    ///
    /// # Errors
    ///
    /// Part of the bytes is neither.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), NotMemory>;

    /// Writes the guest's memory at a guest-physical address. What is written to the ROM is lost.
    ///
    /// # Errors
    ///
    /// Part of the bytes is neither in RAM nor in the ROM; nothing was written.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), NotMemory>;

    /// Maps a page of the guest's linear address space, below [`VIRTUAL_TOP`](crate::layout::VIRTUAL_TOP), until
    /// it is flushed.
    fn map(&mut self, linear: u32, mapping: Mapping);

    /// Forgets translations of the guest's linear addresses.
    fn flush(&mut self, what: Flush);

    /// Sets an entry of a shadow descriptor table, `index` < [`DESCRIPTORS`](crate::layout::DESCRIPTORS), to
    /// a descriptor that [`descriptor::shadow`](crate::descriptor::shadow) has made harmless.
    fn set_descriptor(&mut self, table: Table, index: u16, descriptor: u64);

    /// Opens or closes the ports that are the machine's own in the real I/O permission bitmap.
    fn open_ports(&mut self, open: bool);

    /// Reads a port that is the machine's own; `width` is 1, 2 or 4 bytes.
    fn port_in(&mut self, port: u16, width: u8) -> u32;

    /// Writes a port that is the machine's own; `width` is 1, 2 or 4 bytes.
    fn port_out(&mut self, port: u16, width: u8, value: u32);

    /// Sets a register of the page that the guest sees as its local APIC; `offset` is below 400, a multiple of 16.
    fn set_apic_register(&mut self, offset: u16, value: u32);

    /// The time-stamp counter.
    fn cycles(&self) -> u64;

    /// The frequency of the time-stamp counter in Hz.
    fn frequency(&self) -> u64;

    /// Nanoseconds since 1970, by the machine's clock at the start and its time-stamp counter since.
    fn wall_clock(&self) -> u64;

    /// The processor's answer to CPUID: EAX, EBX, ECX, EDX.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4];

    /// Writes a line of the hypervisor's own to the log.
    fn log(&mut self, line: fmt::Arguments<'_>);
}
