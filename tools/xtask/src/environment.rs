//! The environments in which one and the same kernel is booted.

use anyhow::Result;
use paravirt_vmi_abi::{Call, legacy};

use crate::artifact;
use crate::rom::{Flavour, Generation, Image, Style};
use crate::toolchain::Compiler;

/// A machine, as the kernel finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Name, which is the heading of a column.
    pub name: &'static str,
    /// The ROM in the machine, if any.
    pub rom: Option<Flavour>,
    /// The kernel's command line.
    pub command_line: &'static str,
    /// Whether the kernel must choose the VMI backend here.
    pub is_vmi: bool,
}

/// All environments.
pub fn all() -> Vec<Environment> {
    let plain = Flavour::DEFAULT;
    let rom = |name, rom| Environment { name, rom: Some(rom), command_line: "", is_vmi: true };
    vec![
        Environment { name: "native", rom: None, command_line: "", is_vmi: false },
        rom("rom", plain),
        rom("rom-minimal", Flavour { style: Style::Minimal, ..plain }),
        rom("rom-13.0", Flavour { abi: Generation::V13_0, ..plain }),
        rom("rom-13.3", Flavour { abi: Generation::V13_3, ..plain }),
        rom("rom-jump", Flavour { jump: true, ..plain }),
        rom("rom-trace", Flavour { trace: true, ..plain }),
        rom("rom-13.3-trace", Flavour { abi: Generation::V13_3, trace: true, ..plain }),
        Environment {
            command_line: "vmi=off",
            is_vmi: false,
            ..rom("rom-off", Flavour { trace: true, ..plain })
        },
    ]
}

impl Environment {
    /// What the tracing ROM writes to the debug port when `call` reaches it; `None` if the ROM has no such
    /// call.
    pub fn trace_byte(&self, call: Call) -> Option<u8> {
        let slot = match self.rom?.abi {
            Generation::V3_0 => return u8::try_from(call.number()).ok(),
            // The guest crate makes the ones out of the others.
            _ if call == Call::SET_LAZY_MODE => return Some(legacy::SLOT_FLUSH_DEFERRED_CALLS),
            _ if call == Call::UPDATE_PXE => Call::SET_PXE.info().slot_13_0,
            _ if call == Call::UPDATE_PXE_LONG => Call::SET_PXE_LONG.info().slot_13_0,
            Generation::V13_0 => call.info().slot_13_0,
            Generation::V13_3 => call.info().slot_13_3,
        };
        slot.map(|slot| slot.number)
    }
}

/// ROM images by flavour, each built once.
#[derive(Debug, Default)]
pub struct Roms {
    images: Vec<(Flavour, Image)>,
}

impl Roms {
    /// The bytes of an environment's ROM, if it has one.
    pub fn of(&mut self, compiler: &Compiler, environment: &Environment) -> Result<Option<Vec<u8>>> {
        let Some(flavour) = environment.rom else { return Ok(None) };
        Ok(Some(self.image(compiler, flavour)?.bytes().to_vec()))
    }

    /// The image of a flavour.
    pub fn image(&mut self, compiler: &Compiler, flavour: Flavour) -> Result<&Image> {
        let index = match self.images.iter().position(|(found, _)| *found == flavour) {
            Some(index) => index,
            None => {
                self.images.push((flavour, artifact::build_rom(compiler, flavour)?));
                self.images.len() - 1
            }
        };
        Ok(&self.images[index].1)
    }
}
