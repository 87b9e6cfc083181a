//! What the kernel must say about each ROM with one thing wrong, word for word.

use anyhow::{Context as _, Result};
use paravirt_vmi_abi::header::ROM_WINDOW_END;
use paravirt_vmi_abi::legacy::{SLOT_SIZE, SLOTS_13_0, SLOTS_13_3};
use paravirt_vmi_abi::{Call, PciDataStructure, PnpExpansionHeader};

use crate::kernel::Kernel;
use crate::rom::{Bend, Generation};

/// Length of the PCI data structure.
const PCI_LENGTH: u32 = size_of::<PciDataStructure>() as u32;

/// Length of the PnP header.
const PNP_LENGTH: u32 = size_of::<PnpExpansionHeader>() as u32;

/// What the kernel must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It uses the ROM: what is wrong is not its business.
    Used,
    /// It stays native, for this reason.
    Native(String),
    /// Activation fails with this error; then it stays native.
    Error(String),
}

/// Where the sound ROM lies when the kernel runs; a bent one lies at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The generation of the interface.
    pub generation: Generation,
    /// Physical address.
    pub physical: u32,
    /// Linear address.
    pub linear: u32,
    /// Length of the image.
    pub length: u32,
    /// Offset of the PCI data structure.
    pub pci: u16,
    /// Offset of the licence string.
    pub license: u16,
}

/// What the kernel must say about a bent ROM; `None` if no guest can see what is wrong.
pub fn answer(bend: Bend, place: Place) -> Option<Answer> {
    let Place { generation, physical, linear, length, pci, license } = place;
    let rom = |defect: String| Answer::Native(format!("ROM at {physical:05X}: {defect}"));
    let error = |call: Call, text: String| {
        Answer::Error(format!("ROM at {physical:05X}: {call} (call {}): {text}", call.number()))
    };
    let outside = |target: u32| {
        let end = linear.wrapping_add(length);
        let text = format!("target {target:08x} is outside the ROM at {linear:08x}..{end:08x}");
        error(Call::DISABLE_INTERRUPTS, text)
    };
    let field_outside =
        |field, offset: u32| rom(format!("{field} {offset:#06x} is outside the image of {length:#x} bytes"));
    Some(match bend {
        // The firmware has checked these itself, and not loaded the ROM.
        Bend::Signature | Bend::LengthZero | Bend::Checksum => none(),
        // To the kernel this is an option ROM of some other kind.
        Bend::VmiSignature => none(),
        Bend::LengthBeyondWindow => {
            let rest = ROM_WINDOW_END - physical;
            rom(format!("length 0x1fe00 at 0x02 leads beyond the window, which ends after {rest:#x}"))
        }
        Bend::MajorVersion => {
            let found = match generation {
                Generation::V3_0 => "4.0",
                Generation::V13_0 => "14.0",
                Generation::V13_3 => "14.3",
            };
            rom(format!("interface version {found} at 0x0c, expected 3.x or 13.x"))
        }
        // Nothing says that images of 13.x have one.
        Bend::PciMissing if generation != Generation::V3_0 => Answer::Used,
        Bend::PciMissing => rom("no PCI header: the offset at 0x18 is 0".to_owned()),
        Bend::PciOutside => field_outside("pci_header_offset", length - PCI_LENGTH + 1),
        Bend::PciSignature => {
            let found = b"RICP";
            rom(format!("PCI header at {pci:#06x} begins with {found:02x?}, expected PCIR"))
        }
        Bend::LicenseOutside => {
            rom(format!("the string at license_offset {length:#06x} does not end inside the image"))
        }
        Bend::PnpOutside => field_outside("pnp_header_offset", length - PNP_LENGTH + 1),
        Bend::InitFails => rom(format!("vmi_init failed with status {:#x}", Bend::INIT_STATUS)),
        Bend::RelocationKindUnknown => {
            error(Call::DISABLE_INTERRUPTS, "relocation type 0x04 is unknown".to_owned())
        }
        Bend::JumpForCall => error(Call::DISABLE_INTERRUPTS, "JUMP_REL where only a call fits".to_owned()),
        // 13.x does not know it at all.
        Bend::NopForResult if generation != Generation::V3_0 => {
            error(Call::GET_INTERRUPT_MASK, "relocation type NOP is unknown".to_owned())
        }
        Bend::NopForResult => {
            error(Call::GET_INTERRUPT_MASK, "NOP for a call that cannot be left out".to_owned())
        }
        Bend::IretNone => error(Call::IRET, "the ROM must provide it, and answers NONE".to_owned()),
        Bend::TargetOutside => outside(linear.wrapping_add(length)),
        Bend::TargetBefore => outside(linear.wrapping_sub(1)),
        // The first question that the kernel asks.
        Bend::Garbage => error(Call::CPUID, format!("relocation type {:#04x} is unknown", Bend::GARBAGE)),
        Bend::OtherGeneration if generation == Generation::V3_0 => rom(format!(
            "interface version 13.0 at 0x0c, but the licence offset {license:#06x} of 3.x at 0x16"
        )),
        // The version alone says where the calls are: what lies there is run.
        Bend::OtherGeneration => return None,
        Bend::SlotsOutside => {
            let slots = if generation == Generation::V13_0 { SLOTS_13_0 } else { SLOTS_13_3 };
            let end = SLOT_SIZE * u32::from(slots);
            rom(format!("the slots end at {end:#x}, outside the image of {:#x} bytes", Bend::SLOTS_LENGTH))
        }
        // The licence is not the kernel's business.
        Bend::LicenseMissing | Bend::LicenseUnknown => Answer::Used,
    })
}

/// The kernel found no ROM at all.
fn none() -> Answer {
    Answer::Native("no VMI ROM in C0000..E0000".to_owned())
}

/// What the kernel must say about its first site when one byte of it was changed.
pub fn corrupt_site(kernel: &Kernel) -> Result<Answer> {
    let site = kernel.sites.first().context("the kernel has no sites")?;
    let (call, native) = (site.form.call, site.native());
    let native = native.as_slice();
    let mut found = native.to_vec();
    found[0] ^= 1;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    Ok(Answer::Native(format!(
        "{call} site at {:08x}: found {}, expected {}; \
         is the linker script right, or did something else patch the kernel?",
        site.address,
        hex(&found),
        hex(native)
    )))
}
