//! [`Processor`]: what the boot sequence needs of the machine.
//!
//! # Safety
//!
//! The functions read the option-ROM window and call into it. What they need of the machine is owed by
//! the caller of [`boot::activate`](crate::boot::activate), and stated there.
#![allow(unsafe_code)]

use core::arch::asm;
use core::ptr;
use core::slice;

use paravirt_vmi_abi::RelocationKind;
use paravirt_vmi_abi::header::ROM_INIT_OFFSET;

use crate::boot::{Machine, Options};
use crate::mmu::{LinearMapping, LinearMappingSlot};
use crate::patch::Relocation;
use crate::rom::WINDOW;
use crate::site::SiteRecord;

/// The processor that this code runs on.
#[derive(Debug)]
pub(crate) struct Processor {
    options: Options,
}

impl Processor {
    /// The processor, mapped and to be used as `options` say.
    ///
    /// # Safety
    ///
    /// As for [`boot::activate`](crate::boot::activate).
    pub(crate) const unsafe fn new(options: Options) -> Self {
        Self { options }
    }
}

unsafe extern "C" {
    /// The first record. The linker defines the bounds of a section whose name is a C identifier; a
    /// strong reference, because the bounds of a weak one are null when the section has been folded
    /// into another, and then nothing would be patched without a word.
    static __start_vmi_sites: [SiteRecord; 0];
    /// The end of the last record.
    static __stop_vmi_sites: [SiteRecord; 0];
}

/// The linear address and the bytes of the section `vmi_sites`.
pub(crate) fn site_records() -> (u32, &'static [u8]) {
    // An empty contribution to the section, so that a kernel without sites links too.
    // SAFETY: no instruction is emitted.
    unsafe {
        asm!(
            ".pushsection vmi_sites, \"aR\", @progbits",
            ".popsection",
            options(nomem, nostack, preserves_flags),
        )
    };
    let start = (&raw const __start_vmi_sites).cast::<u8>();
    let stop = (&raw const __stop_vmi_sites).cast::<u8>();
    let length = stop.addr() - start.addr();
    // SAFETY: the linker defines the bounds around the section, which is constant and part of the
    // kernel's image.
    let records = unsafe { slice::from_raw_parts(start, length) };
    (start.addr() as u32, records)
}

impl Machine for Processor {
    fn option_roms(&self) -> &'static [u8] {
        let window = WINDOW.start.wrapping_add(self.options.physical_offset);
        let window = ptr::with_exposed_provenance(window as usize);
        // SAFETY: the caller of `boot::activate` has mapped the window, and nothing writes to it.
        unsafe { slice::from_raw_parts(window, WINDOW.len()) }
    }

    fn linear(&self, physical: u32) -> u32 {
        physical.wrapping_add(self.options.physical_offset)
    }

    unsafe fn init(&mut self, entry: u32) -> u32 {
        let status;
        // A ROM of 13.0 may want to know in EAX where it lies; no other looks at the register.
        let base = entry.wrapping_sub(ROM_INIT_OFFSET);
        // SAFETY: the caller vouches for the entry point; standard clobbers. No `nomem`: the call
        // changes descriptor tables.
        unsafe {
            asm!(
                "call ecx",
                inout("eax") base => status,
                inout("ecx") entry => _,
                out("edx") _,
            )
        };
        status
    }

    unsafe fn relocation(&mut self, entry: u32, number: u32) -> Relocation {
        let (target, kind): (u32, u32);
        // SAFETY: the caller vouches for the entry point; standard clobbers.
        unsafe {
            asm!(
                "call ecx",
                inout("eax") number => target,
                inout("ecx") entry => _,
                out("edx") kind,
            )
        };
        // Bits 31 to 8 are reserved.
        Relocation { kind: RelocationKind(kind as u8), target }
    }

    fn inlines(&self) -> bool {
        self.options.inline
    }

    fn linear_mapping(&self) -> Option<LinearMapping> {
        self.options.linear_mapping
    }

    unsafe fn set_linear_mapping(&mut self, entry: u32, mapping: LinearMapping) {
        let words = [mapping.first_frame, entry];
        // SAFETY: the caller vouches for the entry point and the mapping; standard clobbers.
        unsafe {
            asm!(
                "push [edi]",
                "call [edi + 4]",
                "lea esp, [esp + 4]",
                in("edi") &words,
                inout("eax") LinearMappingSlot::LOW_MEMORY.number() => _,
                inout("edx") mapping.address => _,
                inout("ecx") mapping.pages => _,
            )
        };
    }
}

/// The ring in which this code runs: CS.RPL.
#[inline]
pub(crate) fn ring() -> u8 {
    let selector: u16;
    // SAFETY: reads CS.
    unsafe { asm!("mov {0:x}, cs", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    (selector & 3) as u8
}
