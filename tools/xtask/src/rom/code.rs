//! The code of an image as text, one instruction a line: offset, bytes, instruction.

use std::fmt::{self, Write};

use iced_x86::Instruction;

use vmi_audit::disassembly;

/// Writes the `size` bytes of code at `offset`, as far as they lie inside `image`.
pub fn write(text: &mut String, image: &[u8], offset: usize, size: usize) -> fmt::Result {
    let end = offset.saturating_add(size).min(image.len());
    for instruction in decode(image, offset, end) {
        write_instruction(text, image, &instruction)?;
    }
    Ok(())
}

/// Writes the first instruction at `offset`.
pub fn write_first(text: &mut String, image: &[u8], offset: usize) -> fmt::Result {
    let end = offset.saturating_add(LENGTH_MAX).min(image.len());
    match decode(image, offset, end).first() {
        Some(instruction) => write_instruction(text, image, instruction),
        None => writeln!(text, "  {offset:04x}  outside the image"),
    }
}

/// The longest instruction, in bytes.
const LENGTH_MAX: usize = 15;

/// The instructions from `offset` to `end`; their addresses are offsets in the image.
fn decode(image: &[u8], offset: usize, end: usize) -> Vec<Instruction> {
    disassembly::instructions(image.get(offset..end).unwrap_or_default(), offset as u32)
}

fn write_instruction(text: &mut String, image: &[u8], instruction: &Instruction) -> fmt::Result {
    let offset = instruction.ip() as usize;
    let bytes = &image[offset..offset + instruction.len()];
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(text, "  {offset:04x}  {:24}  {}", bytes.join(" "), disassembly::text(instruction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(image: &[u8], offset: usize, size: usize) -> String {
        let mut text = String::new();
        write(&mut text, image, offset, size).unwrap();
        text
    }

    #[test]
    fn an_instruction_is_shown_with_its_offset_and_bytes() {
        let image = [0x90, 0x90, 0xFB, 0x0F, 0x35, 0x90];
        let expected = concat!(
            "  0002  fb                        sti\n",
            "  0003  0f 35                     sysexit\n",
        );
        assert_eq!(text(&image, 2, 3), expected);
    }

    #[test]
    fn the_target_of_a_jump_is_an_offset_in_the_image() {
        let mut image = [0x90; 0x24];
        image[0x20..0x22].copy_from_slice(&[0xEB, 0xF0]);
        let expected = "  0020  eb f0                     jmp short 0x12\n";
        assert_eq!(text(&image, 0x20, 2), expected);
    }

    #[test]
    fn code_that_is_cut_off_or_outside_is_survived() {
        assert!(text(&[0xE9, 0x01], 0, 5).contains("(bad)"));
        assert_eq!(text(&[0x90], 1, 5), "");
        assert_eq!(text(&[0x90], usize::MAX, 5), "");
        let mut text = String::new();
        write_first(&mut text, &[0x90], 7).unwrap();
        assert_eq!(text, "  0007  outside the image\n");
    }
}
