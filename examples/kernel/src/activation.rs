//! Finding the hypervisor: one call of the guest crate, and the report of what it did.
//!
//! # Safety
//!
//! See [`activate`].
#![allow(unsafe_code)]

use core::ptr;

use paravirt_vmi::abi::{Call, RelocationKind};
use paravirt_vmi::boot::{self, Backend, Vmi};
use paravirt_vmi::descriptor::kernel_ring;
use paravirt_vmi::site::{MAX_SITE_LENGTH, Site};

use crate::command_line::Options;
use crate::paging::{LOW_MEMORY, UPPER_WINDOW};
use crate::raw;
use crate::report::figure;
use crate::serial::line;
use crate::text::{self, Hex};

/// What the kernel runs on, and the text as it was before that was known.
pub struct Activation {
    /// The hypervisor; `None` if the kernel is native.
    pub vmi: Option<Vmi>,
    /// Checksum of the text before activation.
    pub native_text: u32,
    /// The number of processors.
    pub processors: u32,
}

/// What the kernel may do, and what it has been told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It is in ring 0, natively or with a ROM.
    Ring0,
    /// It is in ring 1 or 2, and its sites are patched.
    Paravirtual,
    /// It is in ring 1 or 2, and believes to be native: privileged instructions trap.
    Trapped,
}

impl Activation {
    /// What the kernel may do.
    pub fn privilege(&self) -> Privilege {
        match (kernel_ring(), &self.vmi) {
            (0, _) => Privilege::Ring0,
            (_, Some(_)) => Privilege::Paravirtual,
            (_, None) => Privilege::Trapped,
        }
    }

    /// How the ROM wants `call` to be reached; NONE if there is no ROM.
    pub fn relocation_kind(&self, call: Call) -> RelocationKind {
        self.vmi.as_ref().map_or(RelocationKind::NONE, |vmi| vmi.plan.relocation(call).kind)
    }
}

/// Looks for a VMI ROM, patches the kernel if there is one, and reports. If `is_sound` does not want to go on with
/// the ROM, it has made the kernel native again.
///
/// # Panics
///
/// If activation fails so late that the kernel can go on neither with the ROM nor without it.
///
/// # Safety
///
/// As for [`boot::activate`]; the window at [`UPPER_WINDOW`] is mapped.
pub unsafe fn activate(
    options: &Options,
    processors: u32,
    is_sound: impl FnOnce(&Vmi, &boot::Options) -> bool,
) -> Activation {
    let native_text = text::checksum();
    let corruption = options.corrupt_site.then(Corruption::new).flatten();
    let vmi_options = boot::Options {
        enabled: options.vmi,
        physical_offset: UPPER_WINDOW,
        linear_mapping: Some(LOW_MEMORY),
        inline: options.inline,
    };
    let start = raw::rdtsc();
    // SAFETY: passed on to the caller.
    let outcome = unsafe { boot::activate(&vmi_options, &mut text::writer()) };
    let ticks = raw::rdtsc() - start;
    let vmi = match outcome {
        Ok(Backend::Native(reason)) => {
            line!("@backend native {reason}");
            None
        }
        Ok(Backend::Vmi(vmi)) if !is_sound(&vmi, &vmi_options) => {
            line!("@backend native activation failed");
            None
        }
        Ok(Backend::Vmi(vmi)) => {
            let (major, minor) = vmi.rom.api_version();
            let (rom, ring) = (vmi.rom.address(), vmi.kernel_ring);
            line!("@backend vmi rom={rom:08x} api={major}.{minor} ring={ring}");
            Some(vmi)
        }
        Err(error) => {
            line!("@error {error}");
            stay_native(error.kernel_ring);
            line!("@backend native activation failed");
            None
        }
    };
    if let Some(corruption) = corruption {
        assert!(vmi.is_none(), "a site was patched whose bytes were not native");
        corruption.undo();
    }
    let activation = Activation { vmi, native_text, processors };
    report(&activation);
    // Where the emulator counts instructions: those of the processor, the ROM's and the hypervisor's among them.
    figure("boot.ticks", ticks as u32);
    activation
}

/// Checks that native code does what it says where the kernel is.
pub fn stay_native(ring: u8) {
    assert!(ring == 0, "native code cannot run in ring {ring}");
}

fn report(activation: &Activation) {
    for report in activation.vmi.iter().flat_map(|vmi| vmi.plan.calls()) {
        let (number, kind, sites) = (report.call.number(), report.relocation.kind, report.sites);
        match report.relocation.branch_target() {
            Some(target) => line!("@call {number} {kind} {target:08x} {sites}"),
            None => line!("@call {number} {kind} - {sites}"),
        }
    }
    let mut count = 0;
    for site in text::sites() {
        let native = site.native();
        let native = native.as_slice();
        let mut now = [0; MAX_SITE_LENGTH];
        for (byte, address) in now.iter_mut().zip(site.range()) {
            *byte = text::byte(address);
        }
        let (address, number) = (site.address, site.form.call.number());
        line!("@site {address:08x} {number} {} {}", Hex(native), Hex(&now[..native.len()]));
        count += 1;
    }
    figure("sites", count);
    figure("processors", activation.processors);
}

/// A site whose first byte is not what it should be: what a wrong linker script or a foreign patch
/// leaves behind.
struct Corruption {
    byte: *mut u8,
}

impl Corruption {
    /// Changes the first site through the upper window; `None` if the kernel has no site.
    fn new() -> Option<Self> {
        let Some(Site { address, .. }) = text::sites().next() else {
            line!("vmi=corrupt-site: this kernel has no site");
            return None;
        };
        let linear = address.wrapping_add(UPPER_WINDOW);
        let corruption = Self { byte: ptr::with_exposed_provenance_mut(linear as usize) };
        corruption.flip();
        Some(corruption)
    }

    /// Puts the byte back.
    fn undo(self) {
        self.flip();
    }

    fn flip(&self) {
        // SAFETY: the window maps the site's page writable, and nothing executes the site meanwhile.
        let value = unsafe { self.byte.read_volatile() };
        // SAFETY: as above.
        unsafe { self.byte.write_volatile(value ^ 1) };
    }
}
