//! What `cargo xtask rom` prints of an image.

use std::fmt::{self, Write};
use std::mem::offset_of;

use paravirt_vmi_abi::header::ROM_LENGTH_UNIT;
use paravirt_vmi_abi::layout::{Layout, StructLayout};
use paravirt_vmi_abi::legacy::SLOT_SIZE;
use paravirt_vmi_abi::{Call, PciDataStructure, PnpExpansionHeader, RelocationKind, RomHeader};
use paravirt_vmi_rom_image::{Generation, field, slots};

use super::code;
use super::image::Image;

/// The image as text: its header and tables field by field, and the code of every entry.
///
/// The fields are shown as they are, right or wrong; what lies outside the image is said to do so.
pub fn listing(image: &Image) -> String {
    let mut text = String::new();
    write_listing(&mut text, image).expect("writing to a String does not fail");
    text
}

fn write_listing(text: &mut String, image: &Image) -> fmt::Result {
    let bytes = image.bytes();
    write_size(text, bytes)?;
    write_structure(text, bytes, 0, RomHeader::LAYOUT)?;
    write_text(text, bytes, offset_of!(RomHeader, license_offset), "licence")?;
    let follow = |field| field::read_offset(bytes, field).unwrap_or_default();
    let pci = follow(offset_of!(RomHeader, pci_header_offset));
    write_structure(text, bytes, pci, PciDataStructure::LAYOUT)?;
    let pnp = follow(offset_of!(RomHeader, pnp_header_offset));
    write_structure(text, bytes, pnp, PnpExpansionHeader::LAYOUT)?;
    if pnp != 0 {
        let manufacturer = offset_of!(PnpExpansionHeader, manufacturer_offset);
        write_text(text, bytes, pnp + manufacturer, "manufacturer")?;
        let product = offset_of!(PnpExpansionHeader, product_offset);
        write_text(text, bytes, pnp + product, "product")?;
    }
    write_relocations(text, image)?;
    write_entries(text, image)?;
    write_functions(text, image)
}

/// Length and checksum.
fn write_size(text: &mut String, bytes: &[u8]) -> fmt::Result {
    let stated = bytes.get(offset_of!(RomHeader, rom_length)).copied().unwrap_or_default();
    let stated = usize::from(stated) * ROM_LENGTH_UNIT as usize;
    let length = match stated == bytes.len() {
        true => "as the header says".to_owned(),
        false => format!("but the header says {stated}"),
    };
    let sum = match field::sum(bytes) {
        0 => "ok".to_owned(),
        sum => format!("wrong, the bytes add up to {sum:#04x}"),
    };
    writeln!(text, "{} bytes, {length}; checksum {sum}", bytes.len())
}

/// One structure: offset in the image, bytes, name, value and meaning of each field.
fn write_structure(text: &mut String, bytes: &[u8], offset: usize, layout: &StructLayout) -> fmt::Result {
    if offset == 0 && layout.name != RomHeader::LAYOUT.name {
        return writeln!(text, "\n{}: none", layout.name);
    }
    writeln!(text, "\n{} at {offset:#06x}", layout.name)?;
    for layout in layout.fields {
        let start = offset + layout.offset;
        let Some(field) = bytes.get(start..start + layout.size) else {
            writeln!(text, "  {start:04x}  outside the image{:9}{}", "", layout.name)?;
            continue;
        };
        let value = match (layout.elements, field::read(bytes, start, layout.size)) {
            (None, Some(value)) => format!("{value:#0width$x}", width = 2 + 2 * layout.size),
            _ => printable(field),
        };
        let meaning = layout.documentation.lines().next().unwrap_or_default().trim();
        writeln!(
            text,
            "  {start:04x}  {:24}  {:19}  {value:10}  {meaning}",
            hexadecimal(field),
            layout.name,
        )?;
    }
    Ok(())
}

/// The bytes in hexadecimal, the first eight of them.
fn hexadecimal(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(8)];
    let mut text: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    if shown.len() < bytes.len() {
        text.pop();
        text.push("..".to_owned());
    }
    text.join(" ")
}

/// The bytes as text, if they are text.
fn printable(bytes: &[u8]) -> String {
    match bytes.iter().all(u8::is_ascii_graphic) {
        true => format!("\"{}\"", bytes.escape_ascii()),
        false => String::new(),
    }
}

/// The string to which the offset at `place` leads.
fn write_text(text: &mut String, bytes: &[u8], place: usize, name: &str) -> fmt::Result {
    match field::read_offset(bytes, place) {
        None => writeln!(text, "  {name}: no offset inside the image"),
        Some(0) => writeln!(text, "  {name}: none"),
        Some(offset) => match field::read_text(bytes, offset) {
            Some(string) => writeln!(text, "  {offset:04x}  {name} \"{string}\""),
            None => writeln!(text, "  {offset:04x}  {name}: does not end inside the image"),
        },
    }
}

/// The relocations that are not NONE, and how many are.
fn write_relocations(text: &mut String, image: &Image) -> fmt::Result {
    match image.init_status() {
        Some(status) => writeln!(text, "\nvmi_init returns {status:#x}")?,
        None => writeln!(text, "\nthe status of vmi_init lies outside the image")?,
    }
    let Some(table) = image.parts().relocations else { return Ok(()) };
    let (none, provided): (Vec<_>, Vec<_>) =
        image.relocations().partition(|(_, entry)| entry.kind == RelocationKind::NONE);
    writeln!(text, "\nrelocations at {table:#06x}")?;
    for (number, entry) in &provided {
        let place = match (entry.offset as usize) < image.bytes().len() {
            _ if entry.kind == RelocationKind::NOP => String::new(),
            true => format!("  {:04x}", entry.offset),
            false => format!("  {:04x}  outside the image", entry.offset),
        };
        writeln!(text, "  {number:2}  {:22}  {:8}{place}", name(image, *number), entry.kind)?;
    }
    let all = none.len() + provided.len();
    writeln!(text, "  {} of {all} {} are answered NONE", none.len(), what(image))
}

/// What the numbers of the relocation table count.
fn what(image: &Image) -> &'static str {
    if image.generation() == Generation::V3_0 { "calls" } else { "slots" }
}

/// The name of a call or a slot.
fn name(image: &Image, number: u32) -> String {
    match image.generation() {
        Generation::V3_0 => Call::from_number(number).map(|call| call.to_string()).unwrap_or_default(),
        generation => {
            let slot = slots(generation).into_iter().find(|slot| u32::from(slot.number) == number);
            slot.map(|slot| slot.name).unwrap_or_default()
        }
    }
}

/// The code at the two fixed offsets of 3.0, or in each slot of 13.x.
fn write_entries(text: &mut String, image: &Image) -> fmt::Result {
    let bytes = image.bytes();
    if image.generation() == Generation::V3_0 {
        for (name, offset) in [
            ("vmi_init", offset_of!(RomHeader, vmi_init)),
            ("GetRelocationInfo", offset_of!(RomHeader, get_relocation)),
        ] {
            writeln!(text, "\n{name} at {offset:#06x}")?;
            code::write_first(text, bytes, offset)?;
        }
        return Ok(());
    }
    let slots = slots(image.generation());
    writeln!(text, "\n{} slots of {SLOT_SIZE} bytes", slots.len())?;
    for slot in slots {
        writeln!(text, "\nslot {}, {}, at {:#06x}", slot.number, slot.name, slot.offset())?;
        // The rest of a slot is padding.
        let size = match image.symbols().iter().find(|symbol| symbol.offset == slot.offset()) {
            Some(symbol) => symbol.size,
            None => {
                code::write_first(text, bytes, slot.offset())?;
                continue;
            }
        };
        code::write(text, bytes, slot.offset(), size)?;
    }
    Ok(())
}

/// The code of every function that is not in a slot.
fn write_functions(text: &mut String, image: &Image) -> fmt::Result {
    let end = SLOT_SIZE as usize * usize::from(image.generation().slots());
    let functions = image.symbols().iter().filter(|symbol| symbol.size > 0 && symbol.offset >= end);
    for symbol in functions {
        let is_code = symbol.name.starts_with("vmi_") || symbol.name.starts_with("rom_");
        if !is_code || ["rom_relocations", "rom_init_status"].contains(&symbol.name.as_str()) {
            continue;
        }
        let call = Call::all().find(|&call| image.entry(call) == Some(symbol));
        let number = call.and_then(|call| match image.generation() {
            Generation::V3_0 => Some(format!(", call {}", call.number())),
            generation => generation.slot(call).map(|slot| format!(", slot {}", slot.number)),
        });
        writeln!(text, "\n{} at {:#06x}{}", symbol.name, symbol.offset, number.unwrap_or_default())?;
        code::write(text, image.bytes(), symbol.offset, symbol.size)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Bend;
    use super::super::fixture::Fixture;
    use super::*;

    fn image() -> Image {
        Image::from_elf(&Fixture::new().elf()).unwrap()
    }

    /// The lines that contain `part`, with single blanks.
    fn lines(text: &str, part: &str) -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains(part));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn every_field_is_shown_with_its_offset_and_its_value() {
        let text = listing(&image());
        let shown = lines(&text, " vrom_signature ");
        assert!(shown[0].starts_with("0008 63 56 6d 69 vrom_signature 0x696d5663 "), "{shown:?}");
        let shown = lines(&text, " vendor_id ");
        assert!(shown[0].starts_with("00b4 ad 15 vendor_id 0x15ad "), "{shown:?}");
        assert_eq!(lines(&text, "licence \""), ["00c8 licence \"GPL v2\""]);
        assert_eq!(lines(&text, "manufacturer \""), ["00cf manufacturer \"paravirt-vmi\""]);
        let bent = image().edit(|_, _, pnp| pnp.product_offset = 0.into());
        let text = listing(&image().with_bytes(bent.into_bytes()));
        assert_eq!(lines(&text, "  product:"), ["product: none"]);
    }

    #[test]
    fn the_provided_calls_are_shown_and_the_others_counted() {
        let text = listing(&image());
        let iret = Fixture::new().code_of(Call::IRET);
        assert_eq!(lines(&text, " IRET "), [format!("33 IRET CALL_REL {iret:04x}")]);
        assert_eq!(lines(&text, "answered NONE"), ["58 of 74 calls are answered NONE"]);
        let heading = format!("vmi_IRET at {iret:#06x}, call 33");
        let code = text.lines().skip_while(|&line| line != heading).skip(1).take(1);
        let code: Vec<_> = code.map(|line| line.split_whitespace().last().unwrap()).collect();
        assert_eq!(code, ["int3"]);
    }

    #[test]
    fn what_is_wrong_with_an_image_is_shown() {
        let shown = |bend, part| lines(&listing(&image().bend(bend)), part).concat();
        assert!(listing(&image()).starts_with("1024 bytes, as the header says; checksum ok\n"));
        assert!(shown(Bend::Checksum, "checksum").contains("wrong, the bytes add up to 0x01"));
        assert!(shown(Bend::LengthZero, "checksum").contains("but the header says 0;"));
        assert_eq!(shown(Bend::PciMissing, "PciData"), "PciDataStructure: none");
        assert!(shown(Bend::PciOutside, " reserved").contains("outside the image"));
        assert!(shown(Bend::LicenseOutside, "licence").ends_with("does not end inside the image"));
        assert!(shown(Bend::TargetOutside, " Disable").ends_with("0400 outside the image"));
        assert!(shown(Bend::InitFails, "vmi_init returns").ends_with("0xffffffff"));
    }

    #[test]
    fn no_bytes_make_the_listing_panic() {
        let image = image();
        for length in 0..image.bytes().len() {
            let cut = image.with_bytes(image.bytes()[..length].to_vec());
            assert!(listing(&cut).starts_with(&format!("{length} bytes")));
        }
        let mut state: u32 = 1;
        for _ in 0..1000 {
            let bytes = image.bytes().iter().map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let image = image.with_bytes(bytes.collect());
            assert!(listing(&image).starts_with("1024 bytes"));
        }
    }

    #[test]
    fn every_slot_is_shown_with_its_code() {
        for (generation, count) in [(Generation::V13_0, 81), (Generation::V13_3, 84)] {
            let text = listing(&Image::from_elf(&Fixture::of(generation).elf()).unwrap());
            assert_eq!(lines(&text, "slots of"), [format!("{count} slots of 32 bytes")]);
            assert_eq!(lines(&text, "slot ").len(), count);
            let code = text.lines().skip_while(|&line| line != "slot 39, IRET, at 0x04e0").skip(1).take(1);
            let code: Vec<_> = code.map(|line| line.split_whitespace().last().unwrap()).collect();
            assert_eq!(code, ["int3"]);
            let answered = lines(&text, "answered NONE").concat();
            let expected = if count == 81 { "" } else { "4 of 88 slots are answered NONE" };
            assert_eq!(answered, expected);
        }
    }

    #[test]
    fn the_code_to_which_a_slot_jumps_is_shown_behind_the_slots() {
        let mut fixture = Fixture::of(Generation::V13_0);
        fixture.resize(0x1000);
        fixture.symbol("vmi_IRET").offset = 0xC00;
        fixture.write(0x4E0, &[0xE9, 0x1B, 0x07, 0x00, 0x00]);
        let text = listing(&Image::from_elf(&fixture.elf()).unwrap());
        assert_eq!(lines(&text, "slot 39"), ["slot 39, IRET, at 0x04e0", "vmi_IRET at 0x0c00, slot 39"]);
        assert_eq!(lines(&text, "04e0 ")[0], "04e0 e9 1b 07 00 00 jmp 0xc00");
    }
}
