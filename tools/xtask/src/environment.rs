//! The environments in which one and the same kernel is booted.

use anyhow::Result;
use paravirt_vmi_abi::Call;

use crate::artifact;
use crate::rom::{Flavour, Image};
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
pub const ALL: [Environment; 5] = [
    Environment { name: "native", rom: None, command_line: "", is_vmi: false },
    Environment { name: "rom", rom: Some(Flavour::DEFAULT), command_line: "", is_vmi: true },
    Environment {
        name: "rom-jump",
        rom: Some(Flavour { jump: true, ..Flavour::DEFAULT }),
        command_line: "",
        is_vmi: true,
    },
    Environment {
        name: "rom-trace",
        rom: Some(Flavour { trace: true, ..Flavour::DEFAULT }),
        command_line: "",
        is_vmi: true,
    },
    Environment {
        name: "rom-off",
        rom: Some(Flavour { trace: true, ..Flavour::DEFAULT }),
        command_line: "vmi=off",
        is_vmi: false,
    },
];

/// The calls that must reach the tracing ROM when the kernel is patched.
pub const TRACED: [Call; 7] = [
    Call::ENABLE_INTERRUPTS,
    Call::DISABLE_INTERRUPTS,
    Call::GET_INTERRUPT_MASK,
    Call::SET_INTERRUPT_MASK,
    Call::IRET,
    Call::SYSEXIT,
    Call::HALT,
];

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
