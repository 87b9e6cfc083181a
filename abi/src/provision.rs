//! [`Provision`]: what a ROM for bare hardware provides of the interface.
//!
//! Here, and nowhere else, it is decided which calls such a ROM has code for and what its GetRelocationInfo
//! answers. The table of a real ROM is made from this, and so are those of images that only tests see.
//!
//! Source: facts sheet, sections 4.1, 4.4, 6.1 and 6.2.

use crate::call::Call;
use crate::generation::Generation;
use crate::legacy::{SLOT_GET_RELOCATION_INFO, SLOT_INIT};
use crate::relocation::RelocationKind;

/// What a ROM answers where native code does as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// CALL_REL: a guest exercises every path.
    #[default]
    Full,
    /// NONE, or in 3.0 NOP: a guest is left with as much of its native code as the interface allows.
    Minimal,
}

impl Style {
    /// Both styles.
    pub const ALL: [Self; 2] = [Self::Full, Self::Minimal];

    /// The name, as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Minimal => "minimal",
        }
    }

    /// The style with the given [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|style| style.name() == name)
    }
}

/// What a ROM for bare hardware provides, and how that is to be reached.
///
/// ```
/// use paravirt_vmi_abi::{Call, Generation, Provision, RelocationKind, Style};
///
/// let minimal = Provision::new(Generation::V3_0, Style::Minimal);
/// assert_eq!(minimal.answer(Call::HALT.number()), RelocationKind::CALL_REL);
/// assert_eq!(minimal.answer(Call::CPUID.number()), RelocationKind::NONE);
/// assert_eq!(minimal.answer(Call::ALLOCATE_PAGE.number()), RelocationKind::NOP);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Provision {
    /// The generation of the interface.
    pub generation: Generation,
    /// What is answered where native code does as well.
    pub style: Style,
    /// How IRET and SYSEXIT are to be reached: CALL_REL or JUMP_REL.
    pub leave: RelocationKind,
}

impl Provision {
    /// What a ROM of the given generation and style provides, with IRET and SYSEXIT reached by a call.
    pub const fn new(generation: Generation, style: Style) -> Self {
        Self { generation, style, leave: RelocationKind::CALL_REL }
    }

    /// What GetRelocationInfo answers for a number: of a call in 3.0, of a slot in 13.3.
    ///
    /// What cannot be asked for, in 13.0 everything, is not provided.
    pub const fn answer(self, number: u32) -> RelocationKind {
        if number >= self.generation.relocations() {
            return RelocationKind::NONE;
        }
        match (self.generation, Call::from_number(number)) {
            (Generation::V3_0, Some(call)) => self.of_call(call),
            (_, _) => self.of_slot(number),
        }
    }

    /// The answer for a call of 3.0.
    const fn of_call(self, call: Call) -> RelocationKind {
        match call {
            Call::IRET | Call::SYSEXIT => self.leave,
            _ if is_in_every_style(call) => RelocationKind::CALL_REL,
            // There is no time interface, as a whole.
            Call::GET_CYCLE_FREQUENCY
            | Call::GET_CYCLE_COUNTER
            | Call::SET_ALARM
            | Call::CANCEL_ALARM
            | Call::GET_WALLCLOCK_TIME
            | Call::WALLCLOCK_UPDATED => RelocationKind::NONE,
            // Nobody knows what it does.
            Call::SET_CALLBACKS => RelocationKind::NONE,
            // On bare hardware they have nothing to do.
            Call::UPDATE_KERNEL_STACK
            | Call::UPDATE_PXE
            | Call::UPDATE_PXE_LONG
            | Call::ALLOCATE_PAGE
            | Call::RELEASE_PAGE
            | Call::SET_LINEAR_MAPPING
            | Call::SET_LAZY_MODE => self.full_or(RelocationKind::NOP),
            // Native code does them as well.
            _ => self.full_or(RelocationKind::NONE),
        }
    }

    /// The answer for a slot of 13.3, which has no NOP.
    ///
    /// The slots of the time calls are answered like all others: the one guest of this version that is known
    /// stops when a slot is not CALL_REL, and the frequency of 0 says what NONE would say.
    const fn of_slot(self, slot: u32) -> RelocationKind {
        if slot < SLOT_INIT as u32 {
            // The header lies there.
            return RelocationKind::NONE;
        }
        if slot == SLOT_INIT as u32 || slot == SLOT_GET_RELOCATION_INFO as u32 {
            return RelocationKind::CALL_REL;
        }
        let mut number = 0;
        while let Some(call) = Call::from_number(number) {
            number += 1;
            match self.generation.slot(call) {
                Some(of_call) if of_call.number as u32 == slot => match call {
                    Call::IRET | Call::SYSEXIT => return self.leave,
                    _ if is_in_every_style(call) => return RelocationKind::CALL_REL,
                    _ => {}
                },
                _ => {}
            }
        }
        self.full_or(RelocationKind::NONE)
    }

    /// CALL_REL in the full style, `minimal` in the other.
    const fn full_or(self, minimal: RelocationKind) -> RelocationKind {
        match self.style {
            Style::Full => RelocationKind::CALL_REL,
            Style::Minimal => minimal,
        }
    }
}

/// Whether a call is provided in every style: the interrupt flag, Halt and the power calls.
const fn is_in_every_style(call: Call) -> bool {
    matches!(
        call,
        Call::ENABLE_INTERRUPTS
            | Call::DISABLE_INTERRUPTS
            | Call::GET_INTERRUPT_MASK
            | Call::SET_INTERRUPT_MASK
            | Call::HALT
            | Call::REBOOT
            | Call::SHUTDOWN
    )
}
