//! The ROM's own code at a site, in place of a call to it.
//!
//! Where a ROM's code for a call of the interrupt flag is one store, or another simple instruction with an absolute
//! operand, and a return, the site can hold the instruction itself: that does the same, and saves the call and the
//! return. What may be copied is a short list of encodings; all else stays a call. None of them looks at the
//! instruction pointer, the stack or a register but EAX, where the call takes or returns that, so that none of them
//! notices where it stands. Source: facts sheet, section 6.3.

use paravirt_vmi_abi::Call;

use crate::site::{MAX_SITE_LENGTH, SiteBytes};

/// The calls whose code may stand at their sites: those of the interrupt flag, 29 to 32.
const FIRST: Call = Call::ENABLE_INTERRUPTS;
const COUNT: usize = 4;

/// `ss:`.
const SS: u8 = 0x36;
/// `ds:`, which changes nothing in front of an instruction with an absolute operand.
const DS: u8 = 0x3e;
/// `ret`.
const RET: u8 = 0xc3;
/// Bytes of an absolute address.
const ADDRESS: usize = 4;

/// What an encoding has to do with EAX.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Eax {
    /// Nothing.
    Kept,
    /// It is loaded, or its byte with bit 9 is: GetInterruptMask.
    Loaded,
    /// It is stored: SetInterruptMask.
    Stored,
}

/// The encodings, without the prefix that each may have: the bytes in front of the absolute address, the number
/// of immediate bytes behind it, and what becomes of EAX.
const ENCODINGS: [(&[u8], usize, Eax); 10] = [
    // mov byte [address], imm8
    (&[0xc6, 0x05], 1, Eax::Kept),
    // and byte [address], imm8
    (&[0x80, 0x25], 1, Eax::Kept),
    // or byte [address], imm8
    (&[0x80, 0x0d], 1, Eax::Kept),
    // bts dword [address], imm8
    (&[0x0f, 0xba, 0x2d], 1, Eax::Kept),
    // btr dword [address], imm8
    (&[0x0f, 0xba, 0x35], 1, Eax::Kept),
    // mov eax, [address]
    (&[0xa1], 0, Eax::Loaded),
    (&[0x8b, 0x05], 0, Eax::Loaded),
    // mov ah, [address]
    (&[0x8a, 0x25], 0, Eax::Loaded),
    // mov [address], eax
    (&[0xa3], 0, Eax::Stored),
    (&[0x89, 0x05], 0, Eax::Stored),
];

/// What the sites of calls 29 to 32 hold in place of a call, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InlineTable([Option<SiteBytes>; COUNT]);

impl InlineTable {
    /// Looks at the ROM's code for each call: `code` has the bytes from the target of its relocation on, if that
    /// is a call.
    pub(super) fn new<'a>(code: impl Fn(Call) -> Option<&'a [u8]>) -> Self {
        let mut table = Self::default();
        for call in Call::all() {
            if let Some(entry) = table.0.get_mut(index(call)) {
                *entry = code(call).and_then(|code| site_bytes(call, code));
            }
        }
        table
    }

    /// What the sites of `call` hold in place of a call.
    pub(super) fn get(&self, call: Call) -> Option<SiteBytes> {
        self.0.get(index(call)).copied().flatten()
    }
}

/// The place of a call in the table; beyond its end for one that has none.
fn index(call: Call) -> usize {
    call.number().wrapping_sub(FIRST.number()) as usize
}

/// What a site of `call` holds if the ROM's code for it is `code`: the one instruction in front of the `ret`, made
/// as long as the site by repeating a prefix that changes nothing.
fn site_bytes(call: Call, code: &[u8]) -> Option<SiteBytes> {
    let length = instruction_length(call, code)?;
    if *code.get(length)? != RET {
        return None;
    }
    let mut site = SiteBytes::of(call);
    let bytes = site.as_mut_slice();
    let padding = bytes.len().checked_sub(length)?;
    let (front, rest) = bytes.split_at_mut(padding);
    front.fill(if code[0] == SS { SS } else { DS });
    rest.copy_from_slice(&code[..length]);
    Some(site)
}

/// The length of the instruction at the start of `code`, if it is one of the list and does with EAX what `call`
/// may.
fn instruction_length(call: Call, code: &[u8]) -> Option<usize> {
    let eax = match call {
        Call::GET_INTERRUPT_MASK => Eax::Loaded,
        Call::SET_INTERRUPT_MASK => Eax::Stored,
        _ => Eax::Kept,
    };
    let prefix = usize::from(code.first() == Some(&SS));
    let bare = &code[prefix..];
    let of_call = ENCODINGS.iter().filter(|encoding| encoding.2 == eax);
    let (opcode, immediate, _) = of_call.into_iter().find(|encoding| bare.starts_with(encoding.0))?;
    Some(prefix + opcode.len() + ADDRESS + immediate)
}

/// A prefix repeated in front of the longest encoding stays within what the processor takes for an instruction.
const _: () = assert!(MAX_SITE_LENGTH <= 15);
