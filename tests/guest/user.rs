//! What a kernel does for user programs: bitmap, skipped instructions, frames.

use iced_x86::{Code, Decoder, DecoderOptions};
use paravirt_vmi::descriptor::{Selector, came_from_user};
use paravirt_vmi::user::{
    GeneralProtection, Instruction, IoPermissionBitmap, MAX_INSTRUCTION_LENGTH, Skip, UserFlags, UserFrame,
    skip_interrupt_flag_instruction,
};
use proptest::prelude::*;

/// The prefixes without a meaning for `cli` and `sti`.
const PREFIXES: [u8; 10] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3];
const LOCK: u8 = 0xf0;

/// What a disassembler makes of the first instruction.
fn decoded(bytes: &[u8]) -> Option<Skip> {
    let bytes = &bytes[..bytes.len().min(MAX_INSTRUCTION_LENGTH)];
    let instruction = Decoder::new(32, bytes, DecoderOptions::NONE).decode();
    let kind = match instruction.code() {
        Code::Cli => Instruction::Cli,
        Code::Sti => Instruction::Sti,
        _ => return None,
    };
    Some(Skip { length: u8::try_from(instruction.len()).unwrap(), instruction: kind })
}

/// Bytes among which prefixes and the two opcodes are frequent.
fn code() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => prop::sample::select(PREFIXES.to_vec()),
        2 => prop::sample::select(vec![0xfa, 0xfb]),
        1 => Just(LOCK),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..24)
}

proptest! {
    #[test]
    fn what_is_skipped_is_what_a_disassembler_calls_cli_or_sti(bytes in code()) {
        prop_assert_eq!(skip_interrupt_flag_instruction(&bytes), decoded(&bytes));
    }

    #[test]
    fn only_what_is_granted_and_came_from_ring_3_with_error_code_0_is_skipped(
        bytes in code(),
        error_code in prop_oneof![Just(0u32), any::<u32>()],
        [eip, cs, eflags] in any::<[u32; 3]>(),
        granted: bool,
    ) {
        const VM: u32 = 1 << 17;
        const RF: u32 = 1 << 16;
        let fault = GeneralProtection { error_code, eip, cs, eflags };
        let is_user = cs & 3 == 3 && eflags & VM == 0;
        prop_assert_eq!(fault.is_candidate(), is_user && error_code == 0);
        let expected = skip_interrupt_flag_instruction(&bytes).filter(|_| granted && fault.is_candidate());
        let found = fault.fix_up(granted, &bytes);
        prop_assert_eq!(found.map(|fix_up| fix_up.skip), expected);
        if let Some(fix_up) = found {
            prop_assert_eq!(fix_up.eip, eip.wrapping_add(fix_up.skip.length.into()));
            prop_assert_eq!(fix_up.eflags, eflags & !RF);
        }
    }

    #[test]
    fn flags_for_user_mode_have_if_set_and_iopl_nt_vm_vif_and_vip_clear(eflags: u32) {
        const PRIVILEGED: u32 = 3 << 12 | 1 << 14 | 1 << 17 | 1 << 19 | 1 << 20;
        let flags = UserFlags::new(eflags).bits();
        prop_assert_eq!(flags & PRIVILEGED, 0);
        prop_assert_eq!(flags & 0x202, 0x202);
        // CF PF AF ZF SF TF DF OF RF AC ID
        let own = [0, 2, 4, 6, 7, 8, 10, 11, 16, 18, 21].map(|bit| 1 << bit).iter().sum::<u32>();
        prop_assert_eq!(flags & own, eflags & own);
        prop_assert_eq!(flags & !own, 0x202, "reserved bits are clear");
        prop_assert_eq!(UserFlags::new(flags).bits(), flags, "correcting twice is correcting once");
    }

    #[test]
    fn a_frame_leads_to_ring_3_whatever_it_is_made_of([code, stack]: [u16; 2], [eip, esp, flags]: [u32; 3]) {
        let flags = UserFlags::new(flags);
        let frame = UserFrame::new(Selector(code), eip, Selector(stack), esp, flags);
        prop_assert!(came_from_user(frame.cs().0.into(), frame.flags().bits()));
        prop_assert!(frame.cs().same_segment(Selector(code)) && frame.ss().same_segment(Selector(stack)));
        prop_assert_eq!((frame.cs().rpl(), frame.ss().rpl()), (3, 3));
        prop_assert_eq!((frame.eip(), frame.esp(), frame.flags()), (eip, esp, flags));
    }

    #[test]
    fn a_port_is_open_if_the_last_range_that_had_it_was_opened(
        changes in prop::collection::vec((any::<bool>(), any::<[u16; 2]>()), 0..6),
        probes in prop::collection::vec((any::<u16>(), 0u8..5), 64),
    ) {
        let mut bitmap = IoPermissionBitmap::CLOSED;
        let mut model = vec![false; 0x1_0000];
        for (open, [first, last]) in changes {
            if open { bitmap.open(first..=last) } else { bitmap.close(first..=last) }
            for port in first..=last {
                model[usize::from(port)] = open;
            }
        }
        for port in 0..=u16::MAX {
            prop_assert_eq!(bitmap.is_open(port), model[usize::from(port)], "port {:04x}", port);
        }
        for (port, width) in probes {
            let bytes = usize::from(port)..usize::from(port) + usize::from(width);
            let expected = bytes.into_iter().all(|port| model.get(port) == Some(&true));
            prop_assert_eq!(bitmap.allows(port, width), expected, "{} bytes at {:04x}", width, port);
        }
    }
}

#[test]
fn every_prefix_may_stand_before_the_opcode_up_to_fifteen_bytes_in_all() {
    for (opcode, instruction) in [(0xfa, Instruction::Cli), (0xfb, Instruction::Sti)] {
        for prefix in PREFIXES {
            for prefixes in 0..=20 {
                let mut bytes = vec![prefix; prefixes];
                bytes.push(opcode);
                let length = u8::try_from(prefixes + 1).unwrap();
                let expected = (prefixes < 15).then_some(Skip { length, instruction });
                assert_eq!(skip_interrupt_flag_instruction(&bytes), expected, "{prefixes} of {prefix:02x}");
            }
        }
    }
}

#[test]
fn all_other_single_bytes_are_not_skipped() {
    for byte in (0..=0xff).filter(|byte| !matches!(byte, 0xfa | 0xfb)) {
        assert_eq!(skip_interrupt_flag_instruction(&[byte]), None, "{byte:02x}");
    }
    assert_eq!(skip_interrupt_flag_instruction(&[]), None);
}

#[test]
fn a_locked_cli_is_another_exception() {
    for bytes in [&[LOCK, 0xfa][..], &[0x3e, LOCK, 0xfb], &[LOCK, 0x66, 0xfa]] {
        assert_eq!(skip_interrupt_flag_instruction(bytes), None);
    }
}

#[test]
fn the_bitmap_is_one_bit_a_port_and_a_byte_of_ones() {
    // SAFETY: bytes without padding.
    let bytes = |bitmap: &IoPermissionBitmap| unsafe {
        core::mem::transmute_copy::<IoPermissionBitmap, [u8; 8193]>(bitmap)
    };
    assert_eq!(bytes(&IoPermissionBitmap::CLOSED), [0xff; 8193]);
    assert_eq!(bytes(&IoPermissionBitmap::OPEN)[..8192], [0; 8192]);
    let mut bitmap = IoPermissionBitmap::OPEN;
    bitmap.close(0..=u16::MAX);
    bitmap.open(0x3c9..=0x3d2);
    let bytes = bytes(&bitmap);
    assert_eq!(bytes[0x78..0x7c], [0xff, 0x01, 0xf8, 0xff]);
    assert_eq!(bytes[8192], 0xff);
    assert_eq!(format!("{bitmap:?}"), "{03c9..=03d2}");
    assert_eq!(format!("{:?}", IoPermissionBitmap::OPEN), "{0000..=ffff}");
}

#[test]
fn the_last_ports_are_ports_too() {
    let bitmap = IoPermissionBitmap::OPEN;
    assert!(bitmap.allows(0xffff, 1) && bitmap.allows(0xfffc, 4));
    assert!(!bitmap.allows(0xffff, 2), "the byte behind the bitmap is closed");
}

#[test]
fn a_bitmap_can_be_made_by_the_compiler() {
    const VIDEO: IoPermissionBitmap = {
        let mut bitmap = IoPermissionBitmap::CLOSED;
        bitmap.open(0x3c0..=0x3df);
        bitmap
    };
    assert!(VIDEO.is_open(0x3c0) && VIDEO.is_open(0x3df));
    assert!(!VIDEO.is_open(0x3bf) && !VIDEO.is_open(0x3e0));
}

#[test]
fn the_segments_limit_includes_the_byte_of_ones() {
    assert_eq!(IoPermissionBitmap::segment_limit(104), 104 + 8192);
    assert_eq!(IoPermissionBitmap::segment_limit(IoPermissionBitmap::MAX_BASE), 0xffff);
    assert!(u32::from(IoPermissionBitmap::NONE) > IoPermissionBitmap::segment_limit(104));
}

#[test]
#[should_panic(expected = "DFFF")]
fn a_bitmap_too_high_in_its_segment_is_refused() {
    let _ = IoPermissionBitmap::segment_limit(IoPermissionBitmap::MAX_BASE + 1);
}
