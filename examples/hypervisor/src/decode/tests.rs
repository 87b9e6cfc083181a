//! The decoder against iced-x86.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction as Reference, Mnemonic, OpKind, Register};
use proptest::prelude::*;

use super::*;
use crate::frame::Frame;

/// The general registers in the order of the encoding.
const REGISTERS: [[Register; 8]; 3] = {
    use Register::*;
    [
        [AL, CL, DL, BL, AH, CH, DH, BH],
        [AX, CX, DX, BX, SP, BP, SI, DI],
        [EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI],
    ]
};

fn general(number: u8, width: u8) -> Register {
    REGISTERS[usize::from(width / 2)][usize::from(number)]
}

fn segment(of: Segment) -> Register {
    match of {
        Segment::Es => Register::ES,
        Segment::Cs => Register::CS,
        Segment::Ss => Register::SS,
        Segment::Ds => Register::DS,
        Segment::Fs => Register::FS,
        Segment::Gs => Register::GS,
    }
}

fn reference(bytes: &[u8], big: bool) -> Reference {
    let bitness = if big { 32 } else { 16 };
    Decoder::new(bitness, bytes, DecoderOptions::NO_INVALID_CHECK).decode()
}

/// A frame with different values in its general registers.
fn frame() -> Frame {
    let mut frame = Frame::default();
    for number in 0..8 {
        *frame.register_mut(number) = 0x1357_9BDF_u32.rotate_left(4 * u32::from(number)) ^ 0x0101 << number;
    }
    frame
}

/// The offset that iced-x86 gives for its memory operand, with the same registers.
fn offset(of: &Reference) -> u32 {
    let frame = frame();
    let value = |register: Register| {
        let full = register.full_register32();
        let number = REGISTERS[2].iter().position(|known| *known == full);
        number.map_or(0, |number| frame.register(number as u8))
    };
    let is_16 = of.memory_base().size() == 2
        || of.memory_index().size() == 2
        || of.memory_base() == Register::None
            && of.memory_index() == Register::None
            && of.memory_displ_size() == 2;
    let offset = value(of.memory_base())
        .wrapping_add(value(of.memory_index()).wrapping_mul(of.memory_index_scale()))
        .wrapping_add(of.memory_displacement32());
    if is_16 { offset & 0xFFFF } else { offset }
}

fn same_memory(memory: &Memory, of: &Reference) -> bool {
    segment(memory.segment) == of.memory_segment() && memory.offset(&frame()) == offset(of)
}

fn same_operand(operand: &Operand, of: &Reference, index: u32) -> bool {
    match operand {
        Operand::Memory(memory) => of.op_kind(index) == OpKind::Memory && same_memory(memory, of),
        Operand::Register(number) => {
            let register = of.op_register(index).full_register32();
            register == general(*number, 4)
        }
    }
}

fn same_far(to: &Far, of: &Reference) -> bool {
    match to {
        Far::Memory(memory) => same_memory(memory, of),
        Far::Immediate { selector, offset } => {
            let expected = match of.op0_kind() {
                OpKind::FarBranch16 => u32::from(of.far_branch16()),
                _ => of.far_branch32(),
            };
            (*selector, *offset) == (of.far_branch_selector(), expected)
        }
    }
}

/// The port's and the accumulator's operand.
fn same_port(port: Port, width: u8, of: &Reference, accumulator: u32) -> bool {
    let port = match port {
        Port::Dx => of.op_register(1 - accumulator) == Register::DX,
        Port::Immediate(port) => of.immediate8() == port,
    };
    port && of.op_register(accumulator) == general(0, width)
}

/// A string instruction: the width of what it moves, and the size of its addresses.
fn same_string(instruction: &Instruction, width: u8, of: &Reference, destination: bool) -> bool {
    let kind = |index| {
        let kind = of.op_kind(index);
        matches!(kind, OpKind::MemoryESEDI | OpKind::MemorySegESI)
    };
    let address_size = if (0..of.op_count()).any(kind) { 4 } else { 2 };
    let repeat = match instruction.prefixes.repeat {
        None => (false, false),
        Some(Repeat::Equal) => (true, false),
        Some(Repeat::NotEqual) => (false, true),
    };
    let source = instruction.prefixes.segment.unwrap_or(Segment::Ds);
    of.memory_size().size() == usize::from(width)
        && address_size == instruction.prefixes.address_size
        && repeat == (of.has_rep_prefix(), of.has_repne_prefix())
        && (destination || segment(source) == of.memory_segment())
}

/// Whether iced-x86 sees the same instruction with the same operands.
fn same(instruction: &Instruction, of: &Reference) -> bool {
    use Mnemonic as M;
    let mnemonic = of.mnemonic();
    match &instruction.operation {
        Operation::Cli => mnemonic == M::Cli,
        Operation::Sti => mnemonic == M::Sti,
        Operation::Hlt => mnemonic == M::Hlt,
        Operation::Clts => mnemonic == M::Clts,
        Operation::Invd => mnemonic == M::Invd,
        Operation::Wbinvd => matches!(mnemonic, M::Wbinvd | M::Wbnoinvd),
        Operation::Rdmsr => mnemonic == M::Rdmsr,
        Operation::Wrmsr => mnemonic == M::Wrmsr,
        Operation::Rdtsc => mnemonic == M::Rdtsc,
        Operation::Rdpmc => mnemonic == M::Rdpmc,
        Operation::Sysenter => mnemonic == M::Sysenter,
        Operation::Sysexit => mnemonic == M::Sysexit,
        Operation::Lgdt(from) => mnemonic == M::Lgdt && same_memory(from, of),
        Operation::Lidt(from) => mnemonic == M::Lidt && same_memory(from, of),
        Operation::Lldt(from) => mnemonic == M::Lldt && same_operand(from, of, 0),
        Operation::Ltr(from) => mnemonic == M::Ltr && same_operand(from, of, 0),
        Operation::Lmsw(from) => mnemonic == M::Lmsw && same_operand(from, of, 0),
        Operation::Invlpg(page) => mnemonic == M::Invlpg && same_memory(page, of),
        Operation::WriteControl { control, register } => {
            of.code() == Code::Mov_cr_r32 && same_system(of, 0, Register::CR0, *control, *register)
        }
        Operation::ReadControl { control, register } => {
            of.code() == Code::Mov_r32_cr && same_system(of, 1, Register::CR0, *control, *register)
        }
        Operation::WriteDebug { debug, register } => {
            of.code() == Code::Mov_dr_r32 && same_system(of, 0, Register::DR0, *debug, *register)
        }
        Operation::ReadDebug { debug, register } => {
            of.code() == Code::Mov_r32_dr && same_system(of, 1, Register::DR0, *debug, *register)
        }
        Operation::In { width, port } => mnemonic == M::In && same_port(*port, *width, of, 0),
        Operation::Out { width, port } => mnemonic == M::Out && same_port(*port, *width, of, 1),
        Operation::Ins { width } => {
            matches!(mnemonic, M::Insb | M::Insw | M::Insd) && same_string(instruction, *width, of, true)
        }
        Operation::Outs { width } => {
            matches!(mnemonic, M::Outsb | M::Outsw | M::Outsd) && same_string(instruction, *width, of, false)
        }
        Operation::Int(vector) => mnemonic == M::Int && of.immediate8() == *vector,
        Operation::Int3 => mnemonic == M::Int3,
        Operation::Into => mnemonic == M::Into,
        Operation::Iret { width } => of.code() == if *width == 4 { Code::Iretd } else { Code::Iretw },
        Operation::Retf { width, release } => {
            let expected = if of.op_count() == 0 { 0 } else { of.immediate16() };
            let wide = matches!(of.code(), Code::Retfd | Code::Retfd_imm16);
            mnemonic == M::Retf && *release == expected && (*width == 4) == wide
        }
        Operation::JumpFar { width, to } => {
            use Code::{Jmp_m1616, Jmp_m1632, Jmp_ptr1616, Jmp_ptr1632};
            let codes = if *width == 4 { [Jmp_ptr1632, Jmp_m1632] } else { [Jmp_ptr1616, Jmp_m1616] };
            codes.contains(&of.code()) && same_far(to, of)
        }
        Operation::CallFar { width, to } => {
            use Code::{Call_m1616, Call_m1632, Call_ptr1616, Call_ptr1632};
            let codes = if *width == 4 { [Call_ptr1632, Call_m1632] } else { [Call_ptr1616, Call_m1616] };
            codes.contains(&of.code()) && same_far(to, of)
        }
        Operation::MoveSegment { segment: to, from } => {
            mnemonic == M::Mov && of.op0_register() == segment(*to) && same_operand(from, of, 1)
        }
        Operation::PopSegment { width, segment: to } => {
            let size = -of.stack_pointer_increment() as i64;
            mnemonic == M::Pop && of.op0_register() == segment(*to) && -size == i64::from(*width)
        }
        Operation::LoadFar { width, segment: to, register, from } => {
            let expected = match mnemonic {
                M::Lss => Segment::Ss,
                M::Lds => Segment::Ds,
                M::Les => Segment::Es,
                M::Lfs => Segment::Fs,
                M::Lgs => Segment::Gs,
                _ => return false,
            };
            expected == *to && of.op0_register() == general(*register, *width) && same_memory(from, of)
        }
        Operation::PushFlags { width } => of.code() == if *width == 4 { Code::Pushfd } else { Code::Pushfw },
        Operation::PopFlags { width } => of.code() == if *width == 4 { Code::Popfd } else { Code::Popfw },
        Operation::Store { width, to, from } => {
            let value = match from {
                Source::Register(number) => of.op1_register() == general(*number, *width),
                Source::Immediate(value) => of.immediate(1) as u32 == *value,
            };
            let size = of.memory_size().size() == usize::from(*width);
            mnemonic == M::Mov && value && size && same_memory(to, of)
        }
        Operation::Exchange { width, with, register } => {
            mnemonic == M::Xchg && of.op1_register() == general(*register, *width) && same_memory(with, of)
        }
        Operation::StoreString { width } => {
            matches!(mnemonic, M::Stosb | M::Stosw | M::Stosd) && same_string(instruction, *width, of, true)
        }
        Operation::MoveString { width } => {
            matches!(mnemonic, M::Movsb | M::Movsw | M::Movsd) && same_string(instruction, *width, of, false)
        }
    }
}

fn same_system(of: &Reference, system: u32, first: Register, number: u8, register: u8) -> bool {
    of.op_register(system) == first + u32::from(number) && of.op_register(1 - system) == general(register, 4)
}

/// Whether the instruction is one of those that [`Operation`] knows.
fn is_known(of: &Reference) -> bool {
    use Mnemonic as M;
    match of.mnemonic() {
        M::Cli
        | M::Sti
        | M::Hlt
        | M::Clts
        | M::Invd
        | M::Wbinvd
        | M::Rdmsr
        | M::Wrmsr
        | M::Rdtsc
        | M::Rdpmc
        | M::Sysenter
        | M::Sysexit
        | M::Lgdt
        | M::Lidt
        | M::Lldt
        | M::Ltr
        | M::Lmsw
        | M::Invlpg
        | M::In
        | M::Out
        | M::Insb
        | M::Insw
        | M::Insd
        | M::Outsb
        | M::Outsw
        | M::Outsd
        | M::Int
        | M::Int3
        | M::Into
        | M::Iret
        | M::Iretd
        | M::Retf
        | M::Lss
        | M::Lds
        | M::Les
        | M::Lfs
        | M::Lgs
        | M::Pushf
        | M::Pushfd
        | M::Popf
        | M::Popfd => true,
        M::Mov => {
            let system = of.op0_register().is_cr()
                || of.op0_register().is_dr()
                || of.op1_register().is_cr()
                || of.op1_register().is_dr();
            let to_segment = of.op0_register().is_segment_register() && of.op0_register() != Register::CS;
            system
                || to_segment
                || of.op0_kind() == OpKind::Memory && !of.op1_register().is_segment_register()
        }
        M::Pop => of.op0_register().is_segment_register() && of.op0_register() != Register::CS,
        M::Jmp | M::Call => {
            use Code::*;
            matches!(
                of.code(),
                Jmp_ptr1616
                    | Jmp_ptr1632
                    | Jmp_m1616
                    | Jmp_m1632
                    | Call_ptr1616
                    | Call_ptr1632
                    | Call_m1616
                    | Call_m1632
            )
        }
        _ => false,
    }
}

/// An opcode of a known instruction, behind prefixes and in front of anything.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let prefix = prop::sample::select(vec![0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3]);
    let one: Vec<Vec<u8>> = [
        0x07, 0x17, 0x1F, 0x6C, 0x6D, 0x6E, 0x6F, 0x86, 0x87, 0x88, 0x89, 0x8E, 0x9A, 0x9C, 0x9D, 0xA2, 0xA3,
        0xA4, 0xA5, 0xAA, 0xAB, 0xC4, 0xC5, 0xC6, 0xC7, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xE4, 0xE5, 0xE6,
        0xE7, 0xEA, 0xEC, 0xED, 0xEE, 0xEF, 0xF4, 0xFA, 0xFB, 0xFF,
    ]
    .map(|opcode| vec![opcode])
    .to_vec();
    let two = [
        0x00, 0x01, 0x06, 0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0xA1, 0xA9,
        0xB2, 0xB4, 0xB5,
    ]
    .map(|opcode| vec![0x0F, opcode]);
    let opcode = prop::sample::select([one, two.to_vec()].concat());
    let parts = (prop::collection::vec(prefix, 0..5), opcode, prop::collection::vec(any::<u8>(), 12));
    parts.prop_map(|(prefixes, opcode, rest)| [prefixes, opcode, rest].concat())
}

/// LES and LDS with a register would be the VEX prefix, 8F that of XOP: those are other instructions.
fn compare(bytes: &[u8], big: bool) -> Result<(), TestCaseError> {
    let expected = reference(bytes, big);
    match decode(bytes, big) {
        Ok(found) => {
            prop_assert!(same(&found, &expected), "{found:x?} is {expected} ({:?})", expected.code());
            prop_assert_eq!(usize::from(found.length), expected.len());
            prop_assert_eq!(found.prefixes.lock, expected.has_lock_prefix());
        }
        Err(error) => prop_assert!(
            expected.is_invalid() || !is_known(&expected),
            "{error:?} is {expected} ({:?})",
            expected.code()
        ),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]

    #[test]
    fn a_known_instruction_is_what_iced_says(bytes in likely(), big: bool) {
        compare(&bytes, big)?;
    }

    #[test]
    fn random_bytes_are_what_iced_says(bytes in prop::collection::vec(any::<u8>(), 0..20), big: bool) {
        compare(&bytes, big)?;
    }
}

#[test]
fn fourteen_prefixes_are_allowed_and_fifteen_are_not() {
    let mut bytes = [0x3E; 16];
    bytes[14] = 0xFA;
    assert_eq!(decode(&bytes, true).map(|it| (it.operation, it.length)), Ok((Operation::Cli, 15)));
    bytes[14] = 0x3E;
    bytes[15] = 0xFA;
    assert_eq!(decode(&bytes, true), Err(Error::Incomplete));
}

#[test]
fn bytes_that_end_too_early_are_not_an_instruction() {
    assert_eq!(decode(&[], true), Err(Error::Incomplete));
    assert_eq!(decode(&[0xCD], true), Err(Error::Incomplete));
    assert_eq!(decode(&[0x0F, 0x01, 0x15, 0, 0, 0], true), Err(Error::Incomplete));
}

#[test]
fn an_addition_is_unknown() {
    assert_eq!(decode(&[0x01, 0xC8], true), Err(Error::Unknown(0x01)));
    assert_eq!(decode(&[0x0F, 0xA2], true), Err(Error::Unknown(0x0FA2)));
}
