//! What the rest of the crate asks of a backend, other than calls and ROMs: sites, stubs and the kernel's text.
//!
//! # Safety
//!
//! The module has no unsafe block; functions are `unsafe` because their namesakes on the processor, or the
//! trait that they implement, are.
#![allow(unsafe_code)]

use core::ops::Range;

use paravirt_vmi_abi::Call;

use super::Place;
use crate::boot::Options;
use crate::patch::{TextError, TextErrorReason, TextWriter};
use crate::rom::Adapter;
use crate::site::StubTable;

/// There are no sites on this host.
pub(crate) fn site_records() -> (u32, &'static [u8]) {
    (0, &[])
}

/// There are no stubs on this host.
pub(crate) fn native_stubs() -> &'static StubTable {
    &[0; Call::COUNT]
}

/// There are no adapters on this host.
pub(crate) fn bind_adapter(_adapter: Adapter, target: u32) -> u32 {
    target
}

/// The machine that [`boot::activate`](crate::boot::activate) finds on this host: without sites, and with the
/// option ROMs that the test has [inserted](super::Cpu::insert_rom).
#[derive(Debug)]
pub(crate) struct Processor {
    pub(super) options: Options,
    /// Where it is activated.
    pub(super) place: Place,
}

impl Processor {
    /// The machine, mapped and to be used as `options` say.
    ///
    /// # Safety
    ///
    /// None is needed here; unsafe like its namesake on the processor.
    #[track_caller]
    pub(crate) unsafe fn new(options: Options) -> Self {
        Self { options, place: Place::caller() }
    }
}

/// Stands for the writer of the kernel's text, so that code which activates the hypervisor compiles and
/// runs here. A host has no kernel text: every range lies outside it.
#[derive(Debug)]
pub struct DirectWriter {
    _private: (),
}

impl DirectWriter {
    /// A writer for no text at all.
    ///
    /// # Safety
    ///
    /// None is needed here; unsafe like its namesake on the processor.
    pub const unsafe fn new(_text: Range<u32>) -> Self {
        Self { _private: () }
    }
}

impl TextWriter for DirectWriter {
    fn read(&self, address: u32, bytes: &mut [u8]) -> Result<(), TextError> {
        Err(TextError { address, length: bytes.len(), reason: TextErrorReason::OutsideText })
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), TextError> {
        Err(TextError { address, length: bytes.len(), reason: TextErrorReason::OutsideText })
    }

    fn serialize(&mut self) {}
}
