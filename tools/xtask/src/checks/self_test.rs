//! ROMs that lie once the kernel is patched: its self-test notices, says so, and the kernel goes on natively.
//!
//! The code of a call is replaced in a sound image, as for the other wrong ROMs; here activation succeeds.

use anyhow::{Context as _, Result, ensure};
use paravirt_vmi_abi::Call;

use super::refusals::{self, Place};
use super::wrong;
use crate::environment::{Beneath, Roms};
use crate::kernel::Kernel;
use crate::parallel;
use crate::rom::Image;
use crate::suite::Finding;
use crate::toolchain::Toolchain;

/// What the calls of the interrupt flag do, without their last instruction.
const CALLS: [(Call, &[u8]); 4] = [
    // sti; nop
    (Call::ENABLE_INTERRUPTS, &[0xFB, 0x90]),
    // cli
    (Call::DISABLE_INTERRUPTS, &[0xFA]),
    // pushfd; pop eax
    (Call::GET_INTERRUPT_MASK, &[0x9C, 0x58]),
    // cli; test ah, 2; jz behind; sti; nop
    (Call::SET_INTERRUPT_MASK, &[0xFA, 0xF6, 0xC4, 0x02, 0x74, 0x02, 0xFB, 0x90]),
];

/// A wrong end of a call.
struct End {
    name: &'static str,
    code: &'static [u8],
    complaint: Complaint,
}

/// What the kernel must say about a call.
enum Complaint {
    /// This.
    Text(&'static str),
    /// That ESP has grown by this.
    Stack(i32),
}

const ENDS: [End; 5] = [
    // xor ebx, ebx; ret
    End {
        name: "ebx",
        code: &[0x31, 0xDB, 0xC3],
        complaint: Complaint::Text("EBX was 50e47f56 and is 00000000"),
    },
    // std; ret
    End {
        name: "direction",
        code: &[0xFD, 0xC3],
        complaint: Complaint::Text("DF was 00000000 and is 00000001"),
    },
    // ret 4
    End { name: "stack-up", code: &[0xC2, 0x04, 0x00], complaint: Complaint::Stack(4) },
    // push dword ptr [esp]; ret
    End { name: "stack-down", code: &[0xFF, 0x34, 0x24, 0xC3], complaint: Complaint::Stack(-4) },
    // push cs; pop ds; ret
    End {
        name: "ds",
        code: &[0x0E, 0x1F, 0xC3],
        complaint: Complaint::Text("DS was 00000010 and is 00000008"),
    },
];

/// Calls that are wrong as a whole, and what the kernel must say.
const WHOLE: [(Call, &str, &[u8], &str); 5] = [
    // mov eax, 2; ret
    (
        Call::GET_INTERRUPT_MASK,
        "masked",
        &[0xB8, 0x02, 0x00, 0x00, 0x00, 0xC3],
        "EnableInterrupts (call 29): GetInterruptMask answers 00000002 behind it, expected bit 9 set",
    ),
    // ret
    (
        Call::DISABLE_INTERRUPTS,
        "nothing",
        &[0xC3],
        "DisableInterrupts (call 30): GetInterruptMask answers 00000200 behind it, expected bit 9 clear",
    ),
    // pushfd; pop eax; xor edx, edx; ret
    (
        Call::GET_INTERRUPT_MASK,
        "edx",
        &[0x9C, 0x58, 0x31, 0xD2, 0xC3],
        "GetInterruptMask (call 31): EDX was 52e67d54 and is 00000000",
    ),
    // push eax; popfd; ret
    (
        Call::SET_INTERRUPT_MASK,
        "popfd",
        &[0x50, 0x9D, 0xC3],
        "SetInterruptMask (call 32): DF was 00000000 and is 00000001",
    ),
    // sti; nop; xor eax, eax; ret
    (
        Call::ENABLE_INTERRUPTS,
        "eax",
        &[0xFB, 0x90, 0x31, 0xC0, 0xC3],
        "EnableInterrupts (call 29): EAX was 51e57e57 and is 00000000",
    ),
];

/// The call about which a ROM changes its mind.
const CHANGED: Call = Call::DISABLE_INTERRUPTS;

/// Checks that take little time; they make every call.
const FEW: &str = "checks=clobbers";

/// Boots the kernel with each of these ROMs.
pub fn self_test(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    let (kernel, image) = wrong::sound(toolchain, roms)?;
    let place = Place::find(toolchain, &kernel, &image)?;
    let mut cases = Vec::new();
    for (call, code) in CALLS {
        for end in &ENDS {
            let rom = wrong::replace(&image, call, &[code, end.code].concat())?;
            let about = format!("{call} (call {}): ", call.number());
            let (expected, stack) = match end.complaint {
                Complaint::Text(text) => (about + text, None),
                Complaint::Stack(difference) => (about, Some(difference)),
            };
            cases.push(Case {
                name: format!("self-test-{call}-{}", end.name),
                rom,
                words: FEW,
                expected,
                stack,
            });
        }
    }
    for (call, name, code, expected) in WHOLE {
        let rom = wrong::replace(&image, call, code)?;
        let expected = expected.to_owned();
        cases.push(Case { name: format!("self-test-{call}-{name}"), rom, words: FEW, expected, stack: None });
    }
    for lie in [Lie::None, Lie::Target] {
        let (rom, expected) = (lie.rom(&image)?, lie.complaint(&image, place)?);
        cases.push(Case { name: format!("self-test-answer-{lie:?}"), rom, words: "", expected, stack: None });
    }
    let findings = parallel::map(&cases, |case| case.run(toolchain, &kernel, place));
    findings.into_iter().collect()
}

/// A ROM, and what the kernel must say about it.
struct Case {
    name: String,
    rom: Vec<u8>,
    /// The kernel's command line: which checks it makes when it is native again.
    words: &'static str,
    /// What it must say, or with what that begins.
    expected: String,
    /// What it must say then of ESP.
    stack: Option<i32>,
}

impl Case {
    fn run(&self, toolchain: &Toolchain, kernel: &Kernel, place: Place) -> Result<Finding> {
        let beneath = Beneath::roms(&[&self.rom]);
        let outcome = refusals::run(toolchain, kernel, &self.name, self.words, false, &beneath)?;
        let report = &outcome.report;
        let mut complaints = outcome.defects();
        complaints.extend(report.failures().map(ToString::to_string));
        let backend = report.backend.as_deref().unwrap_or("nothing");
        if backend != "native activation failed" {
            complaints.push(format!("the backend is {backend}"));
        }
        let prefix = format!("ROM at {:05X}: {}", place.physical, self.expected);
        let is_said = |error: &String| match (error.strip_prefix(&prefix), self.stack) {
            (Some(rest), None) => rest.is_empty(),
            (Some(rest), stack) => stack_difference(rest) == stack,
            (None, _) => false,
        };
        if !matches!(&report.errors[..], [error] if is_said(error)) {
            let stack = self.stack.map(|difference| format!("ESP with a difference of {difference}"));
            let expected = prefix + &stack.unwrap_or_default();
            complaints.push(format!("the errors are {:?}, expected {expected}", report.errors));
        }
        Ok(Finding::new(self.name.clone(), &complaints))
    }
}

/// How much ESP has grown, by the kernel's words.
fn stack_difference(said: &str) -> Option<i32> {
    let (before, after) = said.strip_prefix("ESP was ")?.split_once(" and is ")?;
    let number = |hex| u32::from_str_radix(hex, 16).ok();
    Some(number(after)?.wrapping_sub(number(before)?).cast_signed())
}

/// What the ROM answers when it is asked about [`CHANGED`] once more.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// That it does not provide the call.
    None,
    /// An address one byte further on.
    Target,
}

impl Lie {
    /// The ROM, in which GetRelocationInfo passes through code that takes the place of Reboot. It keeps in DR3
    /// that it has been asked: an image cannot be written to.
    fn rom(self, image: &Image) -> Result<Vec<u8>> {
        let entry = image.generation().get_relocation_offset().context("a ROM without GetRelocationInfo")?;
        let place = entry as usize + 1;
        ensure!(image.bytes()[place - 1] == JMP, "GetRelocationInfo does not begin with a jump");
        let old = image.bytes()[place..place + 4].try_into().map(u32::from_le_bytes)?;
        let real = entry.wrapping_add(BRANCH).wrapping_add(old);
        let detour = u32::try_from(image.entry(Call::REBOOT).context("a ROM without Reboot")?.offset)?;

        let number = u8::try_from(CHANGED.number())?;
        // cmp eax, number; jne real; mov ecx, dr3; test ecx, ecx; jnz lie; inc ecx; mov dr3, ecx
        let mut code = vec![0x83, 0xF8, number, 0x75, 0x0B, 0x0F, 0x21, 0xD9, 0x85, 0xC9, 0x75, 0x09];
        code.extend([0x41, 0x0F, 0x23, 0xD9]);
        // real:
        branch(&mut code, JMP, detour, real);
        // lie:
        match self {
            // xor eax, eax; xor edx, edx; ret
            Self::None => code.extend([0x31, 0xC0, 0x31, 0xD2, 0xC3]),
            // call real; inc eax; ret
            Self::Target => {
                branch(&mut code, CALL, detour, real);
                code.extend([0x40, 0xC3]);
            }
        }
        let mut bytes = wrong::replace(image, Call::REBOOT, &code)?;
        let new = detour.wrapping_sub(entry.wrapping_add(BRANCH));
        bytes[place..place + 4].copy_from_slice(&new.to_le_bytes());
        wrong::seal(&mut bytes);
        Ok(bytes)
    }

    /// What the kernel must say.
    fn complaint(self, image: &Image, place: Place) -> Result<String> {
        let code = image.entry(CHANGED).with_context(|| format!("a ROM without {CHANGED}"))?;
        let target = place.linear.wrapping_add(u32::try_from(code.offset)?);
        let again = match self {
            Self::None => "NONE".to_owned(),
            Self::Target => format!("CALL_REL {:08x}", target + 1),
        };
        let number = CHANGED.number();
        Ok(format!(
            "{CHANGED} (call {number}): asked again, it answers {again}, and answered CALL_REL {target:08x}"
        ))
    }
}

/// The opcode of `jmp rel32`.
const JMP: u8 = 0xE9;
/// The opcode of `call rel32`.
const CALL: u8 = 0xE8;
/// The length of either.
const BRANCH: u32 = 5;

/// Adds a branch to `code`, which lies at `address`.
fn branch(code: &mut Vec<u8>, opcode: u8, address: u32, target: u32) {
    let behind = address.wrapping_add(code.len() as u32).wrapping_add(BRANCH);
    code.push(opcode);
    code.extend(target.wrapping_sub(behind).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_read_from_the_kernels_words() {
        assert_eq!(stack_difference("ESP was 00180000 and is 00180004"), Some(4));
        assert_eq!(stack_difference("ESP was 00180000 and is 0017fffc"), Some(-4));
        assert_eq!(stack_difference("EBX was 00180000 and is 00180004"), None);
    }

    #[test]
    fn a_branch_leads_to_its_target() {
        let mut code = vec![0x90];
        branch(&mut code, JMP, 0x100, 0x106);
        branch(&mut code, CALL, 0x100, 0x100);
        assert_eq!(code, [0x90, 0xE9, 0, 0, 0, 0, 0xE8, 0xF5, 0xFF, 0xFF, 0xFF]);
    }
}
