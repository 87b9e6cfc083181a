//! The environments in which one and the same kernel is booted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use paravirt_vmi_abi::{Call, legacy};

use crate::artifact::{self, Package};
use crate::qemu::{Hypervisor, Machine, Program};
use crate::rom::{Flavour, Generation, Image, Style};
use crate::toolchain::Compiler;

/// A machine, as the kernel finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Name, which is the heading of a column.
    pub name: &'static str,
    /// The ROM in the machine, if any.
    pub rom: Option<Flavour>,
    /// The words for the hypervisor that runs the kernel, if one does.
    pub hypervisor: Option<&'static str>,
    /// The kernel's command line.
    pub command_line: &'static str,
    /// Whether the kernel must choose the VMI backend here.
    pub is_vmi: bool,
}

/// How long a kernel may run on the hypervisor: every instruction that traps costs a hundred others.
const HYPERVISOR_LIMIT: Duration = Duration::from_secs(300);

/// The environment whose kernel is left as it was built, though a hypervisor runs it.
pub const UNPATCHED: &str = "hypervisor-unpatched";

/// The words for a kernel that is left as it was built: it makes the checks that can be made so.
const NO_PATCH: &str = "vmi=off checks=unpatched";

/// The word for a kernel that only counts the interrupts of a storm of them.
const STORM: &str = "checks=storm";

/// The word for a kernel that calls its ROM everywhere.
const CALLS: &str = "vmi=calls";

/// All environments.
pub fn all() -> Vec<Environment> {
    let plain = Flavour::DEFAULT;
    let native = Environment { name: "native", rom: None, hypervisor: None, command_line: "", is_vmi: false };
    let rom = |name, rom| Environment { name, rom: Some(rom), is_vmi: true, ..native };
    let hypervisor = |name, words| Environment { name, hypervisor: Some(words), is_vmi: true, ..native };
    vec![
        native,
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
        hypervisor("hypervisor", ""),
        Environment { command_line: CALLS, ..hypervisor("hypervisor-calls", "") },
        hypervisor("hypervisor-steal", "steal=100"),
        hypervisor("hypervisor-jump", "jump"),
        hypervisor("hypervisor-races", "races"),
        Environment { command_line: NO_PATCH, is_vmi: false, ..hypervisor(UNPATCHED, "") },
        Environment { command_line: STORM, ..hypervisor("storm", "") },
        Environment { command_line: "checks=storm vmi=calls", ..hypervisor("storm-calls", "") },
        Environment { command_line: STORM, ..hypervisor("storm-races", "races") },
    ]
}

impl Environment {
    /// Whether the kernel makes all its checks here.
    pub fn is_whole(&self) -> bool {
        !self.command_line.split(' ').any(|word| word.starts_with("checks="))
    }

    /// Whether the kernel only counts the interrupts of a storm of them.
    pub fn is_storm(&self) -> bool {
        self.command_line.split(' ').any(|word| word == STORM)
    }

    /// Whether sites of the interrupt flag must hold the ROM's own code: that of the hypervisor is short enough.
    pub fn is_inline(&self) -> bool {
        self.hypervisor.is_some() && self.is_vmi && !self.calls_only()
    }

    /// Whether the kernel calls its ROM everywhere.
    pub fn calls_only(&self) -> bool {
        self.command_line.split(' ').any(|word| word == CALLS)
    }

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

/// What lies beneath the kernel in an environment.
#[derive(Clone, Debug, Default)]
pub struct Beneath {
    /// Option ROMs, in the order in which the firmware finds them.
    pub roms: Vec<Vec<u8>>,
    /// The hypervisor's program.
    pub hypervisor: Option<PathBuf>,
    /// There is no screen, whose ROM would be the first one.
    pub is_blind: bool,
}

impl Beneath {
    /// Option ROMs alone.
    pub fn roms(roms: &[&[u8]]) -> Self {
        Self { roms: roms.iter().map(|rom| rom.to_vec()).collect(), ..Self::default() }
    }

    /// A machine for a kernel in `environment`, with the kernel's words.
    pub fn machine<'a>(
        &'a self,
        environment: &Environment,
        name: &'a str,
        kernel: &'a Path,
        words: &'a str,
    ) -> Machine<'a> {
        let mut machine = Machine::new(name, kernel);
        machine.command_line = words;
        machine.has_screen = !self.is_blind;
        machine.roms = self.roms.iter().map(Vec::as_slice).collect();
        machine.hypervisor = self.hypervisor.as_deref().map(|path| {
            machine.limit = HYPERVISOR_LIMIT;
            let words = environment.hypervisor.unwrap_or_default();
            Hypervisor { program: Program { path, words }, before: Vec::new() }
        });
        machine
    }
}

/// ROM images by flavour, and the hypervisor; each built once.
#[derive(Debug, Default)]
pub struct Roms {
    images: Vec<(Flavour, Image)>,
    hypervisor: Option<PathBuf>,
}

impl Roms {
    /// What an environment needs.
    pub fn beneath(&mut self, compiler: &Compiler, environment: &Environment) -> Result<Beneath> {
        let mut beneath = Beneath::default();
        if let Some(flavour) = environment.rom {
            beneath.roms.push(self.image(compiler, flavour)?.bytes().to_vec());
        }
        if environment.hypervisor.is_some() {
            beneath.hypervisor = Some(self.hypervisor(compiler)?);
        }
        Ok(beneath)
    }

    /// The hypervisor's program.
    pub fn hypervisor(&mut self, compiler: &Compiler) -> Result<PathBuf> {
        if let Some(path) = &self.hypervisor {
            return Ok(path.clone());
        }
        let built = artifact::build(compiler, Package::HYPERVISOR)?;
        Ok(self.hypervisor.insert(built.path).clone())
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
