//! Probing: any window gives a ROM of which every part lies inside it, or an error that is true.

use std::mem::offset_of;

use paravirt_vmi::abi::header::{LICENSES, ROM_SIGNATURE, ROM_WINDOW_START, ROM_WINDOW_STEP, VROM_SIGNATURE};
use paravirt_vmi::abi::{PciDataStructure, PnpExpansionHeader, RomHeader, pci, pnp};
use paravirt_vmi::rom::{self, Generation, ProbeError, Rom, RomDefect, RomError};
use paravirt_vmi_rom_image::field;
use zerocopy::IntoBytes;

/// Probes `window`, which begins at C0000, and checks what comes of it against a second reading of the bytes.
///
/// # Errors
///
/// If there is no ROM to use.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(window: &[u8]) -> Result<Rom<'_>, ProbeError> {
    let result = rom::probe(window);
    assert_eq!(rom::probe(window), result, "probing twice gives two results");
    match &result {
        Ok(rom) => check_rom(window, rom),
        Err(ProbeError::NotFound) => assert_eq!(places(window).next(), None),
        Err(ProbeError::Rejected(RomError { address, defect })) => {
            let first = places(window).next();
            assert_eq!(first, Some(*address), "{defect} is not said of the first ROM");
            let bytes = &window[(address - ROM_WINDOW_START) as usize..];
            assert!(is_true(defect, bytes), "not so: {defect}");
            for place in places(window) {
                let bytes = &window[(place - ROM_WINDOW_START) as usize..];
                assert!(Rom::parse(bytes, place).is_err(), "the ROM at {place:05X} is sound");
            }
            _ = result.as_ref().map_err(ToString::to_string);
        }
    }
    result
}

/// `window` with the sum of the first ROM's bytes made right, so that a change behind the header is not hidden by it.
pub fn resum(window: &[u8]) -> Vec<u8> {
    let mut window = window.to_vec();
    let length = 512 * usize::from(window.get(2).copied().unwrap_or_default());
    if let Some(image) = window.get_mut(..length) {
        let sum = field::sum(image);
        if let Some(last) = image.last_mut() {
            *last = last.wrapping_sub(sum);
        }
    }
    window
}

/// The addresses in the window at which there is VMI's signature.
fn places(window: &[u8]) -> impl Iterator<Item = u32> {
    let step = ROM_WINDOW_STEP as usize;
    let places = (0..window.len().min(0x2_0000)).step_by(step);
    let signature = |place| field::read(window, place + offset_of!(RomHeader, vrom_signature), 4);
    places
        .filter(move |&place| signature(place) == Some(VROM_SIGNATURE))
        .map(|place| ROM_WINDOW_START + place as u32)
}

/// Checks a ROM that has been found.
fn check_rom(window: &[u8], rom: &Rom<'_>) {
    let before = places(window).take_while(|&place| place != rom.address());
    for place in before {
        let bytes = &window[(place - ROM_WINDOW_START) as usize..];
        assert!(Rom::parse(bytes, place).is_err(), "the ROM at {place:05X} is sound, and lies in front");
    }
    assert!(places(window).any(|place| place == rom.address()));
    let image = rom.image();
    let start = (rom.address() - ROM_WINDOW_START) as usize;
    assert_eq!(image.as_ptr_range(), window[start..start + image.len()].as_ptr_range());
    assert_eq!(Rom::parse(image, rom.address()).as_ref(), Ok(rom), "something behind the ROM is looked at");
    assert_eq!(rom.range(), rom.address()..rom.address() + image.len() as u32);

    assert_eq!(field::read(image, 0, 2), Some(ROM_SIGNATURE.into()));
    assert_eq!(field::read(image, 2, 1), Some(image.len() as u32 / 512));
    assert_eq!(image.len() % 512, 0);
    assert_eq!(field::sum(image), 0);
    let (major, minor) = rom.api_version();
    assert_eq!((image[13], image[12]), (major, minor));
    assert_eq!(Generation::of_version(major, minor), Some(rom.generation()));
    assert!(image.len() >= rom.generation().fixed_length());

    assert_eq!(rom.header().as_bytes().as_ptr(), image.as_ptr());
    assert!(is_inside(image, rom.header().as_bytes()));
    assert!(rom.pci().is_some() || rom.generation() != Generation::V3_0);
    if let Some(pci) = rom.pci() {
        assert!(is_inside(image, pci.as_bytes()) && pci.signature == pci::SIGNATURE);
    }
    if let Some(pnp) = rom.pnp() {
        assert!(is_inside(image, pnp.as_bytes()) && pnp.signature == pnp::SIGNATURE);
    }
    for string in [rom.license(), rom.manufacturer(), rom.product()].into_iter().flatten() {
        assert!(is_inside(image, string.to_bytes_with_nul()));
    }
}

/// Whether `part` lies inside `image`.
fn is_inside(image: &[u8], part: &[u8]) -> bool {
    let (image, part) = (image.as_ptr_range(), part.as_ptr_range());
    image.start <= part.start && part.end <= image.end
}

/// Whether what is said of the ROM at the start of `bytes` is so.
fn is_true(defect: &RomDefect, bytes: &[u8]) -> bool {
    let word = |place: usize| field::read(bytes, place, 2).unwrap_or_default() as u16;
    let length = bytes.get(2).map_or(0, |units| 512 * usize::from(*units));
    let image = bytes.get(..length).unwrap_or_default();
    let version = || (bytes[13], bytes[12]);
    match *defect {
        RomDefect::Truncated { available } => available == bytes.len() && available < size_of::<RomHeader>(),
        RomDefect::Signature { found } => found == word(0) && found != ROM_SIGNATURE,
        RomDefect::TooShort { length: said } => said == length && length < size_of::<RomHeader>(),
        RomDefect::BeyondWindow { length: said, available } => {
            (said, available) == (length, bytes.len()) && length > available
        }
        RomDefect::Checksum { sum } => sum == field::sum(image) && sum != 0,
        RomDefect::Version { major, minor } => {
            (major, minor) == version() && Generation::of_version(major, minor).is_none()
        }
        RomDefect::LicenseOfOtherGeneration { major, minor, found } => {
            (major, minor) == version()
                && major == 13
                && found == word(0x16)
                && field::read_text(image, found.into()).is_some_and(|text| LICENSES.contains(&&*text))
        }
        RomDefect::SlotsOutside { end, length: said } => {
            let generation = Generation::of_version(bytes[13], bytes[12]);
            said == length && generation.is_some_and(|it| it.fixed_length() == end) && end > length
        }
        RomDefect::NoPciHeader => word(0x18) == 0,
        RomDefect::PciSignature { offset, found } => {
            let structure = structure::<PciDataStructure>(image, offset);
            offset == word(0x18) && structure.starts_with(&found) && found != pci::SIGNATURE
        }
        RomDefect::PnpSignature { offset, found } => {
            let structure = structure::<PnpExpansionHeader>(image, offset);
            offset == word(0x1a) && structure.starts_with(&found) && found != pnp::SIGNATURE
        }
        RomDefect::OffsetOutside { field, offset, length: said } => {
            let (place, size) = place_of(field, bytes);
            said == length && offset == word(place) && usize::from(offset) + size > length
        }
        RomDefect::UnterminatedString { field, offset } => {
            let (place, _) = place_of(field, bytes);
            offset == word(place) && field::read_text(image, offset.into()).is_none()
        }
        // `VmiSignature` among them: what bears another signature is not taken for a ROM.
        _ => false,
    }
}

/// The bytes of a structure; none if it does not lie inside the image as a whole, which is another defect.
fn structure<T>(image: &[u8], offset: u16) -> &[u8] {
    let rest = image.get(usize::from(offset)..).unwrap_or_default();
    rest.get(..size_of::<T>()).unwrap_or_default()
}

/// Where the field lies that holds an offset, and the size of what the offset leads to.
fn place_of(name: &str, bytes: &[u8]) -> (usize, usize) {
    let pnp = field::read(bytes, 0x1a, 2).unwrap_or_default() as usize;
    match name {
        "pci_header_offset" => (offset_of!(RomHeader, pci_header_offset), size_of::<PciDataStructure>()),
        "pnp_header_offset" => (offset_of!(RomHeader, pnp_header_offset), size_of::<PnpExpansionHeader>()),
        "license_offset" => (offset_of!(RomHeader, license_offset), 0),
        "manufacturer_offset" => (pnp + offset_of!(PnpExpansionHeader, manufacturer_offset), 0),
        "product_offset" => (pnp + offset_of!(PnpExpansionHeader, product_offset), 0),
        other => panic!("no field has the name {other}"),
    }
}
