//! The ROM's own code at a site: one instruction that stands at the start of the ROM's code as well, in front of a
//! return, and does nothing but access an absolute address.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};
use paravirt_vmi::abi::Call;

/// Checks what a site of `call` holds against `code`, the ROM's bytes from the target of the call on.
///
/// # Panics
///
/// If the property does not hold.
pub fn check(call: Call, site: &[u8], code: &[u8]) {
    let decode = |bytes| Decoder::with_ip(32, bytes, 0, DecoderOptions::NONE).into_iter();
    let instructions = Vec::from_iter(decode(site));
    let [found] = instructions[..] else { panic!("{site:02x?} is not one instruction") };
    let original: Vec<Instruction> = decode(code).take(2).collect();
    let [original, end] = original[..] else { panic!("{code:02x?} is cut off") };
    assert_eq!(end.code(), Code::Retnd, "no return behind the first instruction of {code:02x?}");
    assert!(!found.is_invalid() && !found.has_lock_prefix() && !found.is_stack_instruction());
    assert_eq!(found.flow_control(), FlowControl::Next);

    assert_eq!((found.code(), found.memory_segment()), (original.code(), original.memory_segment()));
    assert_eq!(found.memory_displacement32(), original.memory_displacement32());
    assert_eq!((found.memory_base(), found.memory_index()), (Register::None, Register::None));
    assert!(matches!(found.memory_segment(), Register::DS | Register::SS));
    for operand in 0..found.op_count() {
        assert_eq!(found.op_kind(operand), original.op_kind(operand));
        match found.op_kind(operand) {
            // Of GetInterruptMask's result, guests look at bit 9 alone, which AH has.
            OpKind::Register if operand == 0 => {
                assert!(matches!(found.op_register(operand), Register::EAX | Register::AH));
            }
            OpKind::Register => assert_eq!(found.op_register(operand), Register::EAX),
            OpKind::Memory => {}
            _ => assert_eq!(found.immediate(operand), original.immediate(operand)),
        }
    }
    let loads_eax = found.op0_kind() == OpKind::Register;
    assert_eq!(loads_eax, call == Call::GET_INTERRUPT_MASK, "EAX is the result of {call}");
    let stores_eax = found.op1_kind() == OpKind::Register;
    assert_eq!(stores_eax, call == Call::SET_INTERRUPT_MASK, "EAX is the argument of {call}");
}
