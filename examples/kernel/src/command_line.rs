//! The words that the loader passes to the kernel.
//!
//! # Safety
//!
//! Reads the loader's information structure and the string that it points to, while paging is off and
//! nothing has been written over them.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};

use paravirt_vmi::abi::flags::RebootKind;

use crate::entry::BOOTLOADER_MAGIC;

/// The flag in the information structure's first word that makes `cmdline` valid.
const HAS_COMMAND_LINE: u32 = 1 << 2;

/// The start of the loader's information structure. Source: Multiboot Specification, section 3.3.
#[repr(C)]
struct MultibootInformation {
    flags: u32,
    memory_lower: u32,
    memory_upper: u32,
    boot_device: u32,
    command_line: *const c_char,
}

/// A way to end, by a call that does not come back.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// Reboot, of this kind.
    Reboot(RebootKind),
    /// Shutdown.
    Shutdown,
}

/// A part of the conformance suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// All of it.
    All,
    /// Those of each call.
    Calls,
    /// Those of what a call may change.
    Clobbers,
    /// Those that hold of a kernel that is not patched, in any ring.
    Unpatched,
    /// The one with many interrupts and masked sections.
    Storm,
    /// None: what masking costs is measured.
    Bench,
}

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether to look for a VMI ROM; cleared by `vmi=off`.
    pub vmi: bool,
    /// Whether sites may hold the ROM's own code; cleared by `vmi=calls`.
    pub inline: bool,
    /// Whether to change a byte of one site before activation; set by `vmi=corrupt-site`.
    pub corrupt_site: bool,
    /// Whether to test a ROM that has been patched in; cleared by `vmi=untested`.
    pub self_test: bool,
    /// How to end instead of running the checks; set by `end=reboot`, `end=reboot-soft` and `end=shutdown`.
    pub ending: Option<Ending>,
    /// Which checks to run; set by `checks=calls` and so on.
    pub checks: Checks,
}

impl Options {
    /// The options on the command line of a multiboot1 loader.
    ///
    /// # Panics
    ///
    /// If another kind of loader started the kernel.
    ///
    /// # Safety
    ///
    /// `magic` and `information` are what EAX and EBX held at entry, and no memory was written since
    /// then but the kernel's own.
    pub unsafe fn from_multiboot(magic: u32, information: u32) -> Self {
        assert!(magic == BOOTLOADER_MAGIC, "loader's magic number {magic:08x} is not multiboot1's");
        let information = information as *const MultibootInformation;
        // SAFETY: a multiboot1 loader passes a valid structure.
        let information = unsafe { information.read() };
        let mut options = Self {
            vmi: true,
            inline: true,
            corrupt_site: false,
            self_test: true,
            ending: None,
            checks: Checks::All,
        };
        if information.flags & HAS_COMMAND_LINE != 0 {
            // SAFETY: the flag says that the pointer leads to a C string.
            let words = unsafe { CStr::from_ptr(information.command_line) };
            for word in words.to_bytes().split(|byte| *byte == b' ') {
                match word {
                    b"vmi=off" => options.vmi = false,
                    b"vmi=calls" => options.inline = false,
                    b"vmi=corrupt-site" => options.corrupt_site = true,
                    b"vmi=untested" => options.self_test = false,
                    b"checks=calls" => options.checks = Checks::Calls,
                    b"checks=clobbers" => options.checks = Checks::Clobbers,
                    b"checks=unpatched" => options.checks = Checks::Unpatched,
                    b"checks=storm" => options.checks = Checks::Storm,
                    b"checks=bench" => options.checks = Checks::Bench,
                    b"end=reboot" => options.ending = Some(Ending::Reboot(RebootKind::HARD)),
                    b"end=reboot-soft" => options.ending = Some(Ending::Reboot(RebootKind::SOFT)),
                    b"end=shutdown" => options.ending = Some(Ending::Shutdown),
                    _ => {}
                }
            }
        }
        options
    }
}
