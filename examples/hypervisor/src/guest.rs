//! [`Guest`]: one virtual machine.

use crate::counters::Counters;
use crate::device::Board;
use crate::host::Host;
use crate::page_fault::Refusals;
use crate::rom::Windows;
use crate::segment::Segments;
use crate::stepping::Stepping;
use crate::vcpu::Vcpu;

/// One virtual machine with one processor, on a host.
///
/// The modules of this crate add to it: [`crate::emulate`] what its instructions do, [`crate::deliver`] how it
/// is interrupted, and so on.
pub struct Guest<H: Host> {
    /// The processor.
    pub vcpu: Vcpu,
    /// The real machine.
    pub host: H,
    /// The entries of the guest's page tables that were refused.
    pub refusals: Refusals,
    /// The devices.
    pub board: Board,
    /// What has happened so far.
    pub counters: Counters,
    /// Where the ROM must not be left half-way; empty if there is no ROM.
    pub windows: Windows,
    /// The descriptor tables.
    pub segments: Segments,
    /// What is traced for the hypervisor's own purposes.
    pub stepping: Stepping,
}

impl<H: Host> Guest<H> {
    /// A machine that was just turned on, with a processor and without a ROM.
    pub fn new(vcpu: Vcpu, host: H) -> Self {
        let board = Board::new(host.cycles(), host.frequency());
        Self {
            vcpu,
            host,
            refusals: Refusals::default(),
            board,
            counters: Counters::new(),
            windows: Windows { iret_start: 0, iret_asked: 0, iret_or: 0, iret_end: 0 },
            segments: Segments::new(),
            stepping: Stepping::new(),
        }
    }
}
