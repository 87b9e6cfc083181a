//! Machine code as text and as instructions.

use iced_x86::{Decoder, DecoderOptions, Formatter as _, Instruction, IntelFormatter, Mnemonic};

/// The instructions that `bytes` at linear address `address` consist of.
pub fn instructions(bytes: &[u8], address: u32) -> Vec<Instruction> {
    Decoder::with_ip(32, bytes, address.into(), DecoderOptions::NONE).into_iter().collect()
}

/// The first instruction, if `bytes` hold all of it.
pub fn first(bytes: &[u8], address: u32) -> Option<Instruction> {
    let instruction = Decoder::with_ip(32, bytes, address.into(), DecoderOptions::NONE).decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// One instruction in Intel syntax.
pub fn text(instruction: &Instruction) -> String {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_space_after_operand_separator(true);
    options.set_branch_leading_zeros(false);
    options.set_uppercase_hex(false);
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    text
}

/// All instructions in one line, separated by semicolons; a filling of `int3` is left out.
pub fn line(bytes: &[u8], address: u32) -> String {
    let mut texts: Vec<_> = instructions(bytes, address).iter().map(text).collect();
    while texts.len() > 1 && texts.last().is_some_and(|text| text == "int3") {
        texts.pop();
    }
    texts.join("; ")
}

/// The code of a patched site in one line, up to the branch; behind a jump lies filling.
pub fn patched_line(bytes: &[u8], address: u32) -> String {
    let instructions = instructions(bytes, address);
    let end = instructions.iter().position(|found| found.mnemonic() == Mnemonic::Jmp);
    let shown = &instructions[..end.map_or(instructions.len(), |end| end + 1)];
    shown.iter().map(text).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_shown_with_its_target() {
        assert_eq!(line(&[0xE8, 0xFB, 0x0F, 0, 0], 0x10_0000), "call 0x101000");
        assert_eq!(line(&[0xE9, 0xFB, 0xFF, 0xFF, 0xFF], 0x10_0000), "jmp 0x100000");
    }

    #[test]
    fn a_sequence_is_one_line_without_its_filling() {
        assert_eq!(line(&[0xFB, 0x0F, 0x35, 0xCC, 0xCC], 0), "sti; sysexit");
        assert_eq!(line(&[0xCC, 0xCC], 0), "int3");
    }

    #[test]
    fn behind_a_jump_nothing_is_shown() {
        assert_eq!(patched_line(&[0xE9, 0x05, 0, 0, 0, 0xCC, 0xCC], 0x10), "jmp 0x1a");
        assert_eq!(patched_line(&[0xE8, 0x05, 0, 0, 0, 0x89, 0xF6], 0x10), "call 0x1a; mov esi, esi");
    }

    #[test]
    fn bytes_that_are_no_instruction_are_shown_as_such() {
        assert_eq!(line(&[0xE8, 0x00], 0), "(bad)");
    }
}
