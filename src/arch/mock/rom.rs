//! ROMs in the option-ROM window of the mock, and images to put there: everything of
//! [`paravirt-vmi-rom-image`](paravirt_vmi_rom_image).
//!
//! A processor begins without a ROM. With one, [`boot::activate`](crate::boot::activate) goes the whole way, with the
//! status and the answers that the image holds:
//!
//! ```
//! use paravirt_vmi::boot::{self, Backend, Options};
//! use paravirt_vmi::mock::{self, Flavour, rom::{Generation, Image}};
//! use paravirt_vmi::{irq, patch::DirectWriter};
//!
//! mock::run(|cpu| {
//!     cpu.insert_rom(0xC8000, Image::new(Generation::V3_0));
//!     irq::without_interrupts(|| {
//!         let options = Options { enabled: true, physical_offset: 0xC000_0000, linear_mapping: None, inline: true };
//!         let mut text = unsafe { DirectWriter::new(0..0) }; // a host has no sites
//!         let backend = unsafe { boot::activate(&options, &mut text) };
//!         let Ok(Backend::Vmi(vmi)) = backend else { panic!("{backend:?}") };
//!         assert_eq!((vmi.rom.address(), vmi.kernel_ring), (0xC8000, 1));
//!     });
//!     assert_eq!((cpu.flavour(), cpu.ring()), (Flavour::Vmi, 1));
//! });
//! ```
//!
//! # Safety
//!
//! The module has no unsafe block; functions are `unsafe` because the trait that they implement says so.
#![allow(unsafe_code)]

use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use paravirt_vmi_abi::{Call, RelocationKind};
pub use paravirt_vmi_rom_image::*;

use super::journal::Event;
use super::processor::Processor;
use super::run::stop;
use super::state::{self, State};
use super::{Cpu, Flavour, Linear, Misuse, model, observe};
use crate::boot::{Machine, Registers};
use crate::mmu::{LinearMapping, LinearMappingSlot};
use crate::patch::{self, RelocationTable};

/// The ROMs of a processor, and what they have made of it.
pub(super) struct Roms {
    /// Each with its physical address; a later one hides what it covers.
    images: Vec<(u32, Image)>,
    /// Where a vmi_init that succeeds leaves the kernel.
    ring_of_guest: u8,
    /// The ring in which the kernel runs.
    ring: u8,
    /// Whether a vmi_init has succeeded.
    is_initialised: bool,
}

impl Default for Roms {
    fn default() -> Self {
        Self { images: Vec::new(), ring_of_guest: 1, ring: 0, is_initialised: false }
    }
}

impl Roms {
    /// The image whose entry point, at some offset, lies at physical address `entry`.
    fn at(&self, entry: u32, offset: impl Fn(&Image) -> Option<u32>) -> Option<(u32, &Image)> {
        let mut images = self.images.iter().rev();
        let found = images.find(|(address, image)| {
            offset(image).is_some_and(|offset| address.wrapping_add(offset) == entry)
        });
        found.map(|(address, image)| (*address, image))
    }
}

impl Cpu {
    /// Puts a ROM into the option-ROM window, C0000 to E0000, at a physical address. Guests look at multiples of
    /// 2 KiB.
    pub fn insert_rom(self, address: u32, image: Image) {
        state::with(|state| state.roms.images.push((address, image)));
    }

    /// Sets the ring in which vmi_init of a ROM leaves the kernel; before, it is 1.
    pub fn set_rom_ring(self, ring: u8) {
        state::with(|state| state.roms.ring_of_guest = ring);
    }

    /// The ring in which the kernel runs: 0, until vmi_init of a ROM has succeeded.
    pub fn ring(self) -> u8 {
        state::with(|state| state.roms.ring)
    }
}

/// The ring in which this code runs.
pub(crate) fn ring() -> u8 {
    Cpu::current().ring()
}

/// The sites have been written. There are none on this host; but if a ROM has been initialised, the processor now
/// does what they would do.
pub(crate) fn bind_calls(relocations: &RelocationTable) {
    let flavour = match relocations.get(Call::ENABLE_INTERRUPTS).kind {
        RelocationKind::CALL_REL => Flavour::Vmi,
        // `sti` stays where it is.
        _ => Flavour::Native,
    };
    become_flavour(flavour);
}

/// The sites have become native again.
pub(crate) fn unbind_calls() {
    become_flavour(Flavour::Native);
}

/// Makes the processor run on something else, if a ROM has been initialised.
#[track_caller]
fn become_flavour(flavour: Flavour) {
    state::with(|state| {
        if state.roms.is_initialised {
            state.flavour = flavour;
        }
    });
}

/// The option-ROM window as a kernel that has been booted from it keeps it: for ever. Windows with the same contents
/// are one, so that a test which is run many times has one.
fn window_of(state: &State) -> &'static [u8] {
    static WINDOWS: Mutex<Vec<&'static [u8]>> = Mutex::new(Vec::new());
    let images = &state.roms.images;
    if images.is_empty() {
        return &[];
    }
    let window = window(images.iter().map(|(address, image)| (*address, image)));
    let mut windows = WINDOWS.lock().unwrap_or_else(PoisonError::into_inner);
    match windows.iter().find(|known| **known == window) {
        Some(known) => known,
        None => {
            let window = &*window.leak();
            windows.push(window);
            window
        }
    }
}

impl Processor {
    /// The physical address of what lies at a linear one.
    fn physical(&self, linear: u32) -> u32 {
        linear.wrapping_sub(self.options.physical_offset)
    }

    /// The kernel calls a ROM at `entry`, where there is no code.
    fn no_entry(&self, entry: u32) {
        stop(Misuse::NoRomEntry { place: self.place, entry }.into());
    }
}

impl Machine for Processor {
    fn option_roms(&self) -> &'static [u8] {
        state::with(|state| window_of(state))
    }

    fn linear(&self, physical: u32) -> u32 {
        physical.wrapping_add(self.options.physical_offset)
    }

    unsafe fn init(&mut self, entry: u32) -> u32 {
        let (place, at) = (self.place, self.physical(entry));
        let unmasked = state::with(|state| state.interrupt_flag.then_some(state.flag_change));
        if let Some(unmasked) = unmasked {
            stop(Misuse::ActivatedUnmasked { place, unmasked }.into());
        }
        let status = state::with(|state| {
            let (rom, image) = state.roms.at(at, |image| Some(image.init_entry()))?;
            // Where nothing answers, the bus reads as ones.
            let status = image.init_status().unwrap_or(u32::MAX);
            if status == 0 {
                state.roms.is_initialised = true;
                state.roms.ring = state.roms.ring_of_guest;
            }
            let ring = state.roms.ring;
            state.note(Event::RomInitialised { rom, status, ring }, place);
            Some(status)
        });
        status.unwrap_or_else(|| {
            self.no_entry(entry);
            u32::MAX
        })
    }

    unsafe fn relocation(&mut self, entry: u32, number: u32) -> patch::Relocation {
        let (place, at) = (self.place, self.physical(entry));
        let answer = state::with(|state| {
            let (rom, image) = state.roms.at(at, |image| image.generation().get_relocation_offset())?;
            let answer = image.answer(number, self.linear(rom));
            let relocation = patch::Relocation { kind: answer.kind, target: answer.eip.get() };
            state.note(Event::RelocationAsked { number, relocation }, place);
            Some(relocation)
        });
        answer.unwrap_or_else(|| {
            self.no_entry(entry);
            patch::Relocation::NONE
        })
    }

    unsafe fn observe(
        &mut self,
        call: Call,
        relocation: patch::Relocation,
        before: &mut Registers,
    ) -> Registers {
        observe::observe_at(call, relocation, before, self.place)
    }

    /// There are no sites to tell which.
    fn makes_any_call(&self) -> bool {
        true
    }

    fn inlines(&self) -> bool {
        self.options.inline
    }

    fn linear_mapping(&self) -> Option<LinearMapping> {
        self.options.linear_mapping
    }

    unsafe fn set_linear_mapping(&mut self, _entry: u32, mapping: LinearMapping) {
        let LinearMapping { address, pages, first_frame } = mapping;
        let arguments = [LinearMappingSlot::LOW_MEMORY.number(), address, pages, first_frame];
        let call = Call::SET_LINEAR_MAPPING;
        model::perform(call, &arguments.map(|argument| argument as Linear), self.place);
        state::with(|state| state.note(Event::Call { call, arguments: arguments.to_vec() }, self.place));
    }
}
