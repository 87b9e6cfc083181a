//! ROMs in which one call is wrong, and machines with one processor: the kernel's checks find it, and say
//! so.
//!
//! The code of the call is replaced in a sound image.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use paravirt_vmi_abi::Call;

use crate::artifact::{self, Package};
use crate::ending::{self, Ended};
use crate::environment::Roms;
use crate::kernel::Kernel;
use crate::matrix;
use crate::parallel;
use crate::protocol::Report;
use crate::qemu::Machine;
use crate::rom::{Flavour, Image};
use crate::suite::Finding;
use crate::toolchain::Toolchain;

/// A call that breaks a rule about registers.
struct Breach {
    call: Call,
    /// Its code: what it should do, and what it should not.
    code: &'static [u8],
    /// What the kernel must say about it.
    complaint: &'static str,
}

const BREACHES: [Breach; 9] = [
    // xor ebx, ebx; mov eax, cr0
    Breach {
        call: Call::GET_CR0,
        code: &[0x31, 0xDB, 0x0F, 0x20, 0xC0, 0xC3],
        complaint: "EBX: found 00000000",
    },
    // str eax; xor ebp, ebp
    Breach {
        call: Call::GET_TR,
        code: &[0x0F, 0x00, 0xC8, 0x31, 0xED, 0xC3],
        complaint: "EBP: found 00000000",
    },
    // in al, dx; xor ecx, ecx
    Breach { call: Call::INB, code: &[0xEC, 0x31, 0xC9, 0xC3], complaint: "ECX: found 00000000" },
    // pushfd; pop eax; xor edx, edx
    Breach {
        call: Call::GET_INTERRUPT_MASK,
        code: &[0x9C, 0x58, 0x31, 0xD2, 0xC3],
        complaint: "EDX: found 00000000",
    },
    // out dx, al; test eax, eax
    Breach { call: Call::OUTB, code: &[0xEE, 0x85, 0xC0, 0xC3], complaint: "flags: found" },
    // rdtsc; std
    Breach {
        call: Call::RDTSC,
        code: &[0x0F, 0x31, 0xFD, 0xC3],
        complaint: "step of a string: found ffffffff",
    },
    // clts; xor eax, eax; mov fs, eax
    Breach {
        call: Call::CLTS,
        code: &[0x0F, 0x06, 0x31, 0xC0, 0x8E, 0xE0, 0xC3],
        complaint: "FS: found 0000",
    },
    // wbinvd; ret 4
    Breach { call: Call::WBINVD, code: &[0x0F, 0x09, 0xC2, 0x04, 0x00], complaint: "ESP: found 00000004" },
    // push eax; mov eax, ds:[1000]; pop eax; sti: DS is not flat
    Breach {
        call: Call::ENABLE_INTERRUPTS,
        code: &[0x50, 0xA1, 0x00, 0x10, 0x00, 0x00, 0x58, 0xFB, 0xC3],
        complaint: "exception 14 at c00c",
    },
];

/// The check that must find them.
const CLOBBERS: &str = "clobbers";

/// `ret`, for a call without a result.
const NOTHING: &[u8] = &[0xC3];
/// `xor eax, eax; xor edx, edx; ret`, for a call with one: what EAX happens to hold may be right.
const ZERO: &[u8] = &[0x31, 0xC0, 0x31, 0xD2, 0xC3];

/// How long a run may take. A kernel whose registers change under it may never come to its end: what it has said
/// until then counts. A run that ends takes about a second.
const LIMIT: Duration = Duration::from_secs(20);

/// Calls in which it cannot be seen whether the ROM does something.
const INVISIBLE: [Call; 2] = [Call::WBINVD, Call::IO_DELAY];

/// Boots the kernel with ROMs that break a rule about registers.
pub fn breaches(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    let (kernel, image) = sound(toolchain, roms)?;
    let findings = parallel::map(&BREACHES, |breach| {
        let name = format!("wrong-{}-registers", breach.call);
        let rom = replace(&image, breach.call, breach.code)?;
        // The suite has more ways to find it than the self-test, and looks at all calls.
        let report = run(toolchain, &kernel, &name, "vmi=untested checks=clobbers", &rom)?;
        let expected = format!("{}: {}", breach.call, breach.complaint);
        let found = report.failures().find(|check| check.id == CLOBBERS);
        let said = found.and_then(|check| check.failure.as_deref()).unwrap_or("nothing");
        let complaint = (!said.starts_with(&expected))
            .then(|| format!("the check {CLOBBERS} says {said:?}, expected {expected:?}"));
        Ok(Finding::new(name, complaint.as_slice()))
    });
    findings.into_iter().collect()
}

/// Boots the kernel with ROMs in which a call does nothing.
pub fn nothing(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    let (kernel, image) = sound(toolchain, roms)?;
    let calls: Vec<_> = Call::all().filter(|call| is_visible(*call, &image)).collect();
    ensure!(calls.len() > Call::COUNT / 2, "the ROM provides too few calls: {}", calls.len());
    let findings = parallel::map(calls, |call| {
        let name = format!("wrong-{call}-nothing");
        let rom = replace(&image, call, if call.info().results.is_empty() { NOTHING } else { ZERO })?;
        let complaint = match ending::ALL.iter().find(|ending| ending.call == call) {
            None => {
                let report = run(toolchain, &kernel, &name, "checks=calls", &rom)?;
                let is_red = report.failures().any(|check| check.id == matrix::check_id(call));
                (!is_red).then(|| format!("the check {} did not fail", matrix::check_id(call)))
            }
            Some(ending) => {
                let mut machine = Machine::new(&name, &kernel.path);
                machine.command_line = ending.word;
                machine.roms = vec![&rom];
                let ended = Ended::of(*ending, &machine, &toolchain.emulator)?;
                ended.problems.is_empty().then(|| format!("{} was not missed", ending.name))
            }
        };
        Ok(Finding::new(name, complaint.as_slice()))
    });
    findings.into_iter().collect()
}

/// Boots the kernel on a machine with one processor: it knows that, the other one does not start, in bounded
/// time, and nothing is wrong.
pub fn alone(toolchain: &Toolchain, roms: &mut Roms) -> Result<Vec<Finding>> {
    let (kernel, image) = sound(toolchain, roms)?;
    let machines = [("alone-native", vec![]), ("alone-rom", vec![image.bytes()])];
    let findings = parallel::map(machines, |(name, roms)| {
        let mut machine = Machine::new(name, &kernel.path);
        machine.roms = roms;
        machine.processors = 1;
        let run = machine.run(&toolchain.emulator)?;
        let report = Report::parse(&run.serial);
        let mut complaints: Vec<_> = report.failures().map(ToString::to_string).collect();
        complaints.extend(report.defects());
        let processors = report.figure("processors");
        if processors != Some(1) {
            complaints.push(format!("found {processors:?} processors, expected 1"));
        }
        Ok(Finding::new(name, &complaints))
    });
    findings.into_iter().collect()
}

/// The kernel, and a sound ROM that provides every call.
pub(super) fn sound(toolchain: &Toolchain, roms: &mut Roms) -> Result<(Kernel, Image)> {
    let kernel = Kernel::read(&artifact::build(&toolchain.compiler, Package::KERNEL)?.path)?;
    Ok((kernel, roms.image(&toolchain.compiler, Flavour::DEFAULT)?.clone()))
}

/// Whether it shows on bare hardware that a call of the ROM does nothing. The calls of interrupts are left
/// out: nothing in the kernel works without them.
fn is_visible(call: Call, image: &Image) -> bool {
    let does_something = !call.info().native.is_empty() || call == Call::SET_INITIAL_AP_STATE;
    let is_interrupt = call.info().group == Call::IRET.info().group;
    image.entry(call).is_some() && does_something && !is_interrupt && !INVISIBLE.contains(&call)
}

/// What the kernel reports with a ROM.
fn run(toolchain: &Toolchain, kernel: &Kernel, name: &str, word: &str, rom: &[u8]) -> Result<Report> {
    let mut machine = Machine::new(name, &kernel.path);
    machine.command_line = word;
    machine.roms = vec![rom];
    machine.limit = LIMIT;
    let run = machine.run(&toolchain.emulator)?;
    let report = Report::parse(&run.serial);
    ensure!(report.is_vmi(), "{name}: the ROM was not used");
    Ok(report)
}

/// The image with other code for a call.
pub(super) fn replace(image: &Image, call: Call, code: &[u8]) -> Result<Vec<u8>> {
    let entry = image.entry(call).with_context(|| format!("the ROM does not have {call}"))?.offset;
    let next = image.symbols().iter().map(|symbol| symbol.offset).filter(|offset| *offset > entry).min();
    ensure!(next.is_some_and(|next| entry + code.len() <= next), "{call} has too little room in the ROM");
    let mut bytes = image.bytes().to_vec();
    bytes[entry..entry + code.len()].copy_from_slice(code);
    seal(&mut bytes);
    Ok(bytes)
}

/// Makes the sum of an image right, at which the firmware looks.
pub(super) fn seal(bytes: &mut [u8]) {
    let sum = bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    if let Some(last) = bytes.last_mut() {
        *last = last.wrapping_sub(sum);
    }
}
