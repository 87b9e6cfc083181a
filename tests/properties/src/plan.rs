//! Planning: any answers of a ROM, any sites, any change to text, records and stubs give an error, or a plan that can
//! be carried out and taken back.

mod code;

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::patch::{Relocation, RelocationError, RelocationTable};
use paravirt_vmi::site::NATIVE_FORMS;

use crate::kernel::Kernel;
use crate::patch::{self, Refusal};
use crate::text::Fault;

/// A kernel, what is wrong with it, and a ROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Linear address of the ROM.
    pub rom: u32,
    /// Length of the ROM.
    pub rom_length: u16,
    /// What the ROM answers for each call: a kind, and the offset of the target in the ROM.
    pub answers: [(u8, u32); Call::COUNT],
    /// Linear address of the kernel's text.
    pub text: u32,
    /// The kernel's sites: numbers of calls, modulo their count.
    pub sites: Vec<u8>,
    /// What is changed in the kernel.
    pub changes: Vec<Change>,
    /// Whether the sites have been patched already.
    pub is_patched: bool,
    /// The write that fails.
    pub fault: Option<(u8, Fault)>,
}

/// One byte that is changed, in one of the kernel's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub part: Part,
    /// At which offset, modulo the part's length.
    pub offset: u16,
    /// By which bits.
    pub bits: u8,
}

/// A part of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The text.
    Text,
    /// The site records.
    Records,
    /// The addresses of native stubs.
    Stubs,
}

/// Patches the kernel, and checks what comes of it; the number of sites.
///
/// # Errors
///
/// If the kernel is not patched.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(case: &Case) -> Result<usize, Refusal> {
    let relocations = relocations(case).map_err(|error| Refusal::Plan(error.into()))?;
    let mut kernel = case.kernel();
    let patched = case.is_patched.then(|| patch::patched(&kernel, &relocations));
    if let Some(Ok(bytes)) = patched {
        kernel.text.bytes = bytes;
    }
    kernel.text.fault = case.fault.map(|(number, fault)| (number.into(), fault));
    patch::check(&kernel, &relocations)
}

/// The ROM's answers, each asked for once.
fn relocations(case: &Case) -> Result<RelocationTable, RelocationError> {
    let rom = case.rom..case.rom.saturating_add(case.rom_length.into());
    let mut asked = 0;
    let table = RelocationTable::query(rom.clone(), |call| {
        assert_eq!(call.number(), asked, "calls are asked for once, in order of number");
        asked += 1;
        case.answer(call)
    });
    match &table {
        Ok(table) => {
            for call in Call::all() {
                let relocation = table.get(call);
                assert_eq!(relocation, case.answer(call));
                assert!(relocation.kind.0 <= 3);
                assert!(relocation.branch_target().is_none_or(|target| rom.contains(&target)));
            }
        }
        Err(error) => {
            _ = error.to_string();
            let call = Call::all().nth(asked as usize - 1).expect("a call that there is");
            let relocation = case.answer(call);
            let expected = match relocation.kind.0 {
                0..=3 => RelocationError::TargetOutsideRom { call, relocation, rom: rom.clone() },
                _ => RelocationError::UnknownKind { call, relocation },
            };
            assert_eq!(*error, expected);
            assert!(relocation.kind.0 > 3 || !rom.contains(&relocation.target));
        }
    }
    table
}

impl Case {
    /// A kernel with a site of each call in front of a ROM that provides them all.
    pub fn sound() -> Self {
        Self {
            rom: 0xc00c_3000,
            rom_length: 0x800,
            answers: std::array::from_fn(|number| (RelocationKind::CALL_REL.0, 0x100 + 0x10 * number as u32)),
            text: 0xc010_0000,
            sites: (0..Call::COUNT as u8).collect(),
            changes: Vec::new(),
            is_patched: false,
            fault: None,
        }
    }

    /// What the ROM answers for a call.
    fn answer(&self, call: Call) -> Relocation {
        let (kind, offset) = self.answers[call.number() as usize];
        Relocation { kind: RelocationKind(kind), target: self.rom.wrapping_add(offset) }
    }

    /// The kernel with its changes.
    fn kernel(&self) -> Kernel {
        let forms = self.sites.iter().map(|number| &NATIVE_FORMS[usize::from(*number) % Call::COUNT]);
        let mut kernel = Kernel::new(self.text, forms);
        for Change { part, offset, bits } in &self.changes {
            let offset = usize::from(*offset);
            let bytes = match part {
                Part::Text => &mut kernel.text.bytes,
                Part::Records => &mut kernel.records,
                Part::Stubs => {
                    kernel.stubs[offset / 4 % Call::COUNT] ^= u32::from(*bits) << (8 * (offset % 4));
                    continue;
                }
            };
            if let Some(offset) = offset.checked_rem(bytes.len()) {
                bytes[offset] ^= bits;
            }
        }
        kernel.allow_sites();
        kernel
    }
}
