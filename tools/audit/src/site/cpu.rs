//! [`Cpu`]: what a processor can decode, as far as padding is concerned.

use iced_x86::{CpuidFeature, Instruction, Mnemonic, OpKind, Register};
use serde::Serialize;

/// A generation of processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Cpu {
    /// 80386.
    #[default]
    #[serde(rename = "386")]
    I386,
    /// 80486.
    #[serde(rename = "486")]
    I486,
    /// Pentium.
    #[serde(rename = "586")]
    I586,
    /// Pentium Pro, the first with a `nop` of several bytes.
    #[serde(rename = "686")]
    I686,
}

impl Cpu {
    /// All of them, the oldest first.
    pub const ALL: [Self; 4] = [Self::I386, Self::I486, Self::I586, Self::I686];

    /// The name that compilers use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I386 => "386",
            Self::I486 => "486",
            Self::I586 => "586",
            Self::I686 => "686",
        }
    }

    /// The processor with such a name; `i586` is good as well.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix('i').unwrap_or(name);
        Self::ALL.into_iter().find(|cpu| cpu.name() == name)
    }

    /// Whether it has every feature that an instruction needs.
    pub fn decodes(self, instruction: &Instruction) -> bool {
        instruction.cpuid_features().iter().all(|feature| first(*feature).is_some_and(|first| first <= self))
    }
}

/// The first processor that is sure to have a feature; `None` for one that a 686 need not have.
fn first(feature: CpuidFeature) -> Option<Cpu> {
    Some(match feature {
        CpuidFeature::INTEL8086
        | CpuidFeature::INTEL186
        | CpuidFeature::INTEL286
        | CpuidFeature::INTEL386 => Cpu::I386,
        CpuidFeature::INTEL486 => Cpu::I486,
        CpuidFeature::CPUID | CpuidFeature::TSC | CpuidFeature::MSR | CpuidFeature::CX8 => Cpu::I586,
        CpuidFeature::MULTIBYTENOP | CpuidFeature::CMOV | CpuidFeature::RDPMC | CpuidFeature::SEP => {
            Cpu::I686
        }
        _ => return None,
    })
}

/// Whether an instruction does nothing, and so is there to fill room: `nop` of any length, `mov` and `lea` of a
/// register to itself, `int3`, and zeros.
pub fn is_filler(instruction: &Instruction) -> bool {
    let to = instruction.op0_register();
    match instruction.mnemonic() {
        Mnemonic::Nop | Mnemonic::Fnop | Mnemonic::Pause | Mnemonic::Int3 => true,
        Mnemonic::Mov | Mnemonic::Xchg => {
            instruction.op1_kind() == OpKind::Register
                && to != Register::None
                && to == instruction.op1_register()
        }
        Mnemonic::Lea => {
            to == instruction.memory_base()
                && instruction.memory_index() == Register::None
                && instruction.memory_displacement32() == 0
        }
        // `add [eax], al` is two zeros.
        Mnemonic::Add => {
            instruction.len() == 2
                && instruction.op1_register() == Register::AL
                && instruction.memory_base() == Register::EAX
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disassembly;

    fn of(code: &[u8]) -> Instruction {
        disassembly::first(code, 0).unwrap()
    }

    #[test]
    fn fillers_are_known_and_nothing_else_is_one() {
        for code in [
            &[0x90][..],
            &[0x66, 0x90],
            &[0x0F, 0x1F, 0x40, 0x00],
            &[0x89, 0xF6],
            &[0x8D, 0x76, 0x00],
            &[0x8D, 0x74, 0x26, 0x00],
            &[0x3E, 0x8D, 0xB4, 0x26, 0, 0, 0, 0],
            &[0xCC],
            &[0x00, 0x00],
        ] {
            assert!(is_filler(&of(code)), "{code:02x?}");
        }
        for code in [
            &[0xFA][..],
            &[0x89, 0xC6],
            &[0x8D, 0x76, 0x01],
            &[0x8D, 0x34, 0x06],
            &[0x8D, 0x77, 0x00],
            &[0x00, 0x08],
            &[0x01, 0x00],
            &[0x8B, 0x36],
        ] {
            assert!(!is_filler(&of(code)), "{code:02x?}");
        }
    }

    #[test]
    fn each_generation_decodes_more_than_the_one_before() {
        let decodes = |code: &[u8]| Cpu::ALL.map(|cpu| cpu.decodes(&of(code)));
        assert_eq!(decodes(&[0x8D, 0x74, 0x26, 0x00]), [true; 4]);
        assert_eq!(decodes(&[0x0F, 0x01, 0x38]), [false, true, true, true]);
        assert_eq!(decodes(&[0x0F, 0x31]), [false, false, true, true]);
        assert_eq!(decodes(&[0x0F, 0x1F, 0x00]), [false, false, false, true]);
        assert_eq!(decodes(&[0x0F, 0x58, 0xC0]), [false; 4]);
    }

    #[test]
    fn names_are_those_of_compilers() {
        assert_eq!(Cpu::from_name("i586"), Some(Cpu::I586));
        assert_eq!(Cpu::from_name("386"), Some(Cpu::I386));
        assert_eq!(Cpu::from_name("786"), None);
    }
}
