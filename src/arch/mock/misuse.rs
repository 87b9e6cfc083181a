//! [`Misuse`]: what a kernel must not do.

use core::fmt;

use paravirt_vmi_abi::Call;

use super::{FlagChange, Place};

/// Something that a kernel must not do, or that cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// A state that was saved earlier has been restored before one that was saved later.
    RestoreOutOfOrder {
        /// Where the later state is restored.
        place: Place,
        /// Where it was saved.
        saved: Place,
        /// Where the earlier state was restored; `None`: the state is that of interrupted code.
        ended: Option<Place>,
    },
    /// A guard is dropped before one that was created later.
    GuardOutOfOrder {
        /// Where the guard that is dropped was created.
        dropped: Place,
        /// Where the later one was created.
        inner: Place,
    },
    /// Interrupts are unmasked inside a section that relies on masked ones.
    UnmaskedInSection {
        /// By which call.
        call: Call,
        /// Where.
        place: Place,
        /// Where the section began.
        section: Place,
    },
    /// The processor is halted with interrupts masked before it, and nothing will wake it.
    HaltedMasked {
        /// Where.
        place: Place,
        /// What has masked interrupts.
        masked: FlagChange,
    },
    /// The processor is halted, and nothing will wake it.
    HaltedForEver {
        /// Where.
        place: Place,
    },
    /// An interrupt came between the check for work and the halt.
    LostWakeUp {
        /// Where the processor is halted.
        place: Place,
        /// The interrupt.
        vector: u8,
        /// The last check before it.
        checked: Place,
    },
    /// User mode is entered with EFLAGS.IF clear.
    MaskedUserMode {
        /// Where.
        place: Place,
        /// EFLAGS of the frame.
        eflags: u32,
    },
    /// A handler returns with interrupts unmasked, or inside a section.
    HandlerChangedFlag {
        /// Its vector.
        vector: u8,
        /// What has changed the flag.
        change: FlagChange,
    },
    /// A handler returns inside a section that it has begun.
    HandlerLeftSection {
        /// Its vector.
        vector: u8,
        /// Where the section began.
        section: Place,
    },
    /// The test ends with interrupts masked.
    EndedMasked {
        /// What has masked interrupts.
        masked: FlagChange,
    },
    /// An interrupt whose vector has no handler.
    NoHandler {
        /// The vector.
        vector: u8,
        /// What it interrupts.
        place: Place,
    },
    /// Too many handlers are under way.
    NestedTooDeep {
        /// The vector of the last one.
        vector: u8,
        /// What it interrupts.
        place: Place,
        /// The limit.
        limit: usize,
    },
    /// Too many operations.
    TooManyOperations {
        /// The limit.
        limit: usize,
        /// The last one.
        place: Place,
        /// The vector of the handler that is under way, and what it has interrupted.
        handler: Option<(u8, Place)>,
        /// How many of them are this handler's own, or those of the code under test outside handlers.
        own: usize,
    },
    /// Too many interrupts.
    TooManyInterrupts {
        /// The limit.
        limit: usize,
        /// The vector of the last one.
        vector: u8,
        /// What it interrupts.
        place: Place,
    },
    /// Two accesses to one place at a time, of which one writes.
    DataRace {
        /// The access that came into the other.
        place: Place,
        /// Its type and method.
        name: &'static str,
        /// The access that was under way.
        other: Place,
    },
    /// The hypervisor is activated with interrupts unmasked.
    ActivatedUnmasked {
        /// Where.
        place: Place,
        /// What has unmasked them.
        unmasked: FlagChange,
    },
    /// A ROM is called where its code has no entry point: it is of another generation than its header says.
    NoRomEntry {
        /// Where it is activated.
        place: Place,
        /// The linear address that is called.
        entry: u32,
    },
    /// A call for which the processor would raise an exception.
    Exception {
        /// The call.
        call: Call,
        /// Where.
        place: Place,
        /// Why.
        reason: &'static str,
        /// The register or port.
        value: u32,
    },
    /// A call that the machine carries out, and a hypervisor need not: it breaks a rule of the interface.
    BrokenRule {
        /// The call.
        call: Call,
        /// Where.
        place: Place,
        /// The rule.
        rule: &'static str,
        /// What breaks it: a frame, an address or a mode.
        value: u32,
    },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RestoreOutOfOrder { place, saved, ended: Some(ended) } => write!(
                f,
                "restore out of order at {place}: the state was saved at {saved}, inside a section that has ended \
                 at {ended}"
            ),
            Self::RestoreOutOfOrder { place, saved, ended: None } => write!(
                f,
                "restore out of order at {place}: the state was saved at {saved}, by the code that this handler has \
                 interrupted"
            ),
            Self::GuardOutOfOrder { dropped, inner } => write!(
                f,
                "restore out of order: the guard created at {dropped} is dropped before the one created at {inner}"
            ),
            Self::UnmaskedInSection { call, place, section } => {
                write!(f, "{call} at {place} unmasks interrupts inside the section begun at {section}")
            }
            Self::HaltedMasked { place, masked } => write!(
                f,
                "halted at {place} with interrupts masked {masked}, and with nothing pending: nothing wakes the \
                 processor"
            ),
            Self::HaltedForEver { place } => {
                write!(
                    f,
                    "halted at {place} with nothing pending, and nothing is left that could wake the processor"
                )
            }
            Self::LostWakeUp { place, vector, checked } => write!(
                f,
                "lost wake-up: interrupt {vector:#04x} came between the last check, at {checked}, and the halt at \
                 {place}; mask interrupts before the check"
            ),
            Self::MaskedUserMode { place, eflags } => {
                write!(f, "return to user mode at {place} with EFLAGS {eflags:#010x}: IF is clear")
            }
            Self::HandlerChangedFlag { vector, change } => {
                write!(f, "the handler of interrupt {vector:#04x} returns with interrupts unmasked {change}")
            }
            Self::HandlerLeftSection { vector, section } => write!(
                f,
                "the handler of interrupt {vector:#04x} returns inside the section that it has begun at {section}"
            ),
            Self::EndedMasked { masked } => write!(f, "the test ends with interrupts masked {masked}"),
            Self::NoHandler { vector, place } => write!(
                f,
                "interrupt {vector:#04x} at {place} has no handler; register one with Cpu::handle({vector:#04x}, ..)"
            ),
            Self::NestedTooDeep { vector, place, limit } => write!(
                f,
                "interrupt {vector:#04x} at {place} would be handler number {} under way; the limit is {limit}",
                limit + 1
            ),
            Self::TooManyOperations { limit, place, handler: Some((vector, interrupted)), own } => write!(
                f,
                "no end after {limit} operations: the handler of interrupt {vector:#04x}, which has interrupted \
                 {interrupted}, has begun {own} and has not returned; its last one was at {place}"
            ),
            Self::TooManyOperations { limit, place, handler: None, .. } => {
                write!(f, "no end after {limit} operations; the last one was at {place}")
            }
            Self::TooManyInterrupts { limit, vector, place } => {
                write!(f, "no end after {limit} interrupts; the last one was {vector:#04x}, at {place}")
            }
            Self::DataRace { place, name, other } => write!(
                f,
                "data race: {name} at {place}, in a handler that has interrupted the access at {other}"
            ),
            Self::ActivatedUnmasked { place, unmasked } => {
                write!(f, "the hypervisor is activated at {place} with interrupts unmasked {unmasked}")
            }
            Self::NoRomEntry { place, entry } => write!(
                f,
                "activation at {place} calls {entry:08x}, where no ROM has an entry point: the ROM there is not of \
                 the generation that its header says"
            ),
            Self::Exception { call, place, reason, value } => {
                write!(f, "{call} at {place}: {reason} ({value:#x})")
            }
            Self::BrokenRule { call, place, rule, value } => {
                write!(f, "{call} at {place} breaks a rule of the interface: {rule} ({value:#x})")
            }
        }
    }
}

impl core::error::Error for Misuse {}
