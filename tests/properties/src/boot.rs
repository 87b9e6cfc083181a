//! The boot sequence: any window gives a patched kernel, or a native and whole one and the reason.
//!
//! # Safety
//!
//! The machine is made of variables: its ROM has no code, and nobody runs the text. What is lent to the boot sequence
//! is dropped after everything that it returns.
#![allow(unsafe_code)]

use std::fmt;
use std::sync::LazyLock;

use paravirt_vmi::abi::header::{ROM_INIT_OFFSET, ROM_WINDOW_START};
use paravirt_vmi::boot::{Backend, Error, ErrorCause, Machine, NativeReason, activate_on};
use paravirt_vmi::mmu::LinearMapping;
use paravirt_vmi::patch::Relocation;
use paravirt_vmi::rom::{Adapter, Generation, ProbeError};
use paravirt_vmi::site::StubTable;
use paravirt_vmi_rom_image::Image;

use crate::inline;
use crate::kernel::Kernel;
use crate::lent::Lent;
use crate::probe;

/// Where physical memory is mapped.
const OFFSET: u32 = 0xc000_0000;

/// Where the kernel has its first adapter; each has 16 bytes.
const ADAPTERS: u32 = 0xc017_0000;

/// A kernel with a site of each call.
static KERNEL: LazyLock<Kernel> = LazyLock::new(|| Kernel::of_all_forms(1));

/// What became of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is native.
    Native(NativeReason),
    /// It is native in paravirtual mode.
    Failed(Error),
    /// It is patched, for a ROM of this generation.
    Patched(Generation),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(reason) => write!(f, "native: {reason}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Patched(generation) => write!(f, "patched for {generation}"),
        }
    }
}

/// Boots on a machine with the given window, whose ROM answers what lies in its bytes, and checks what comes of it.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(window: &[u8]) -> Ending {
    let ending = boot(window);
    // What people are shown must not end the kernel either.
    _ = ending.to_string();
    ending
}

/// The same without the words.
fn boot(window: &[u8]) -> Ending {
    let found = probe::check(window).map(|rom| (rom.address(), rom.generation()));
    let lent = Lent::new(window);
    // SAFETY: what `activate_on` returns, and the machine, are dropped at the end of this function or before, in
    // front of `lent`; nothing of the window is in what this function returns.
    let option_roms = unsafe { lent.get() };
    let mut machine = Fake { option_roms, found, image: None };
    let mut text = KERNEL.text.clone();
    // SAFETY: machine and text are data.
    let result = unsafe { activate_on(&mut machine, &mut text) };
    let is_initialised = machine.image.is_some();
    let vmi = match result {
        Ok(Backend::Vmi(vmi)) => vmi,
        Ok(Backend::Native(reason)) => {
            match reason {
                NativeReason::Rom(error) => assert_eq!((machine.found, is_initialised), (Err(error), false)),
                NativeReason::Init { rom, status } => {
                    assert!(is_initialised && status != 0);
                    assert_eq!(machine.found.map(|(address, _)| address), Ok(rom));
                }
                other => panic!("native for no reason: {other}"),
            }
            assert_eq!(text.bytes, KERNEL.text.bytes, "a native kernel that is not whole");
            return Ending::Native(reason);
        }
        Err(error) => {
            assert!(is_initialised && matches!(error.cause, ErrorCause::Plan(_)), "{error}");
            assert_eq!(text.bytes, KERNEL.text.bytes, "a kernel that is not whole: {error}");
            return Ending::Failed(error);
        }
    };
    assert_eq!(machine.found, Ok((vmi.rom.address(), vmi.rom.generation())));
    assert_eq!(vmi.plan.verify(&text), Ok(()));
    let rom = (OFFSET + vmi.rom.range().start)..(OFFSET + vmi.rom.range().end);
    for call in vmi.plan.calls() {
        let target = call.relocation.branch_target();
        let is_adapter = |target: u32| (ADAPTERS..ADAPTERS + 16 * Adapter::COUNT as u32).contains(&target);
        assert!(target.is_none_or(|target| rom.contains(&target) || is_adapter(target)), "{call}");
        if let Some(code) = call.inline_code {
            let target = target.expect("code of a call that is not to be called");
            inline::check(call.call, code.as_slice(), &vmi.rom.image()[(target - rom.start) as usize..]);
        }
    }
    // SAFETY: the text is data.
    let reverted = unsafe { vmi.plan.revert(&mut text) };
    assert_eq!((reverted, &text.bytes), (Ok(()), &KERNEL.text.bytes));
    Ending::Patched(vmi.rom.generation())
}

/// A machine that answers what its ROM's bytes say, and allows only what there is to be called.
struct Fake {
    option_roms: &'static [u8],
    found: Result<(u32, Generation), ProbeError>,
    /// The ROM, as soon as its vmi_init has been called.
    image: Option<Image>,
}

impl Fake {
    /// Linear address of the ROM, and its generation.
    fn rom(&self) -> (u32, Generation) {
        let (address, generation) = self.found.expect("a ROM that is not sound is used");
        (OFFSET + address, generation)
    }

    /// The ROM, which has been initialised.
    fn image(&self) -> &Image {
        self.image.as_ref().expect("a ROM is asked before it has been initialised")
    }
}

impl Machine for Fake {
    fn site_records(&self) -> (u32, &'static [u8]) {
        (KERNEL.record_address, &KERNEL.records)
    }

    fn native_stubs(&self) -> &'static StubTable {
        &KERNEL.stubs
    }

    fn option_roms(&self) -> &'static [u8] {
        self.option_roms
    }

    fn linear(&self, physical: u32) -> u32 {
        physical.wrapping_add(OFFSET)
    }

    unsafe fn init(&mut self, entry: u32) -> u32 {
        let (rom, generation) = self.rom();
        assert_eq!(entry, rom + ROM_INIT_OFFSET);
        assert!(self.image.is_none(), "the ROM is initialised twice");
        let start = (rom - OFFSET - ROM_WINDOW_START) as usize;
        let bytes = self.option_roms[start..].to_vec();
        let image = Image::new(generation).with_bytes(bytes);
        // What lies behind the image reads as ones.
        let status = image.init_status().unwrap_or(u32::MAX);
        self.image = Some(image);
        status
    }

    unsafe fn relocation(&mut self, entry: u32, number: u32) -> Relocation {
        let (rom, generation) = self.rom();
        assert_eq!(generation.get_relocation_offset().map(|offset| rom + offset), Some(entry));
        assert!(number < generation.relocations(), "number {number} is asked for");
        let answer = self.image().answer(number, rom);
        Relocation { kind: answer.kind, target: answer.eip.get() }
    }

    fn adapter(&mut self, adapter: Adapter, target: u32) -> u32 {
        let (rom, _) = self.rom();
        let length = 512 * u32::from(self.image().bytes()[2]);
        assert!((rom..rom + length).contains(&target), "{adapter:?} leads to {target:08x}");
        ADAPTERS + 16 * adapter as u32
    }

    fn ring(&self) -> u8 {
        1
    }

    unsafe fn set_linear_mapping(&mut self, _entry: u32, _mapping: LinearMapping) {
        unreachable!("the kernel has declared no linear mapping");
    }
}
